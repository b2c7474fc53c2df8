"""Write the completion scripts of ``nowcast`` for bash, zsh and fish into ``completions/``.

They are typer's, which ask the command itself at each TAB; zsh's has two mends. A test sees that
the committed files are what this writes: ``make completions`` after typer has been updated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "completions"
FILES = {"bash": "nowcast.bash", "zsh": "_nowcast", "fish": "nowcast.fish"}

# zsh runs the whole file when it first completes the command: without this line, the first TAB
# would define the function and offer nothing.
_CALL_AT_FIRST_TAB = '[[ ${funcstack[1]} = _nowcast ]] && _nowcast_completion "$@"\n'


def script(shell: str) -> str:
    """Return the completion script for ``shell``: bash, zsh or fish."""
    printed = subprocess.run(
        [sys.executable, "-m", "nowcast_cli.cli"],
        env={**os.environ, "_NOWCAST_COMPLETE": f"source_{shell}"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # zsh looks for #compdef on the first line, and typer begins with an empty one
    text = printed.strip() + "\n"
    return text + _CALL_AT_FIRST_TAB if shell == "zsh" else text


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for shell, name in FILES.items():
        (FOLDER / name).write_text(script(shell), encoding="utf-8")
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
