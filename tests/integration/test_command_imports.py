"""What quick commands may not import, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervised import make_deployment

HEAVY = {"pydantic", "zmq", "apscheduler", "rich", "filelock", "supervisor", "requests", "asyncio"}
TELL_MODULES = """
import sys
from nowcast_cli.cli.app import main
code = main(sys.argv[1:])
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(code)
"""


def modules_after(arguments: list[str], folder: Path, **environment: str) -> set[str]:
    """Return the top-level modules that a command has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", TELL_MODULES, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["status"], ["status", "--json"], ["job", "--help"]]
)
def test_quick_commands_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    make_deployment(tmp_path / "system")
    loaded = modules_after(arguments, tmp_path / "system")
    assert "nowcast_cli" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("line", ["nowcast sta", "nowcast job ", "nowcast run-worker sl"])
def test_completion_loads_nothing_heavy(shell: str, line: str, tmp_path: Path) -> None:
    make_deployment(tmp_path / "system")
    loaded = modules_after(
        [],
        tmp_path / "system",
        _NOWCAST_COMPLETE=f"complete_{shell}",
        COMP_WORDS=line,
        COMP_CWORD=str(line.count(" ")),
        _TYPER_COMPLETE_ARGS=line,
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_WORD_TO_COMPLETE=line.rpartition(" ")[2],
    )
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_version_does_without_typer(tmp_path: Path) -> None:
    loaded = modules_after(["--version"], tmp_path)
    assert not loaded & {"typer", "typing", "dataclasses", "yaml", "importlib.metadata"}


def test_help_loads_no_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nowcast_cli.cli", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "nowcast_cli.cli.root" in done.stderr
    assert "nowcast_cli.cli.status" not in done.stderr
    assert "nowcast_cli.config" not in done.stderr


@pytest.mark.parametrize("command", ["--help", "--version", "status", "stop"])
def test_a_reader_that_has_gone_ends_a_command_quietly(command: str, tmp_path: Path) -> None:
    make_deployment(tmp_path / "system")
    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nowcast_cli.cli", command],
            cwd=tmp_path / "system",
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(output)
    assert (done.returncode, done.stderr) == (0, "")
