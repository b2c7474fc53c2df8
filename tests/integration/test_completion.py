"""TAB in the real shells, with the committed completion scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from nowcast_cli.cli.app import main

ROOT = Path(__file__).parents[2]
COMPLETIONS = ROOT / "completions"
SHELLS = ("bash", "zsh", "fish")

# How to start each shell so that it has the script, and its prompt is "ready> ".
START = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": [
        "--no-config",
        "--init-command",
        f"function fish_prompt; echo 'ready> '; end; source {COMPLETIONS}/nowcast.fish",
    ],
}
SETUP = {
    "bash": f". {COMPLETIONS}/nowcast.bash",
    # Found by its name on the fpath and loaded at the first TAB, as an installed one is.
    "zsh": f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -u -D",
    "fish": "true",
}

Complete = Callable[[str], list[str]]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    assert main(["init", str(folder)]) == 0
    (folder / "var").mkdir(exist_ok=True)
    (folder / "var" / "nowcast_checklist.yaml").write_text("sleepyhead: {}\n'with blank': 1\n")
    return folder


@pytest.fixture(params=SHELLS)
def complete(request: pytest.FixtureRequest, system: Path) -> Iterator[Complete]:
    """Type a line and TAB in a shell, and give the words that then stand there."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TERM": "xterm",
        "PS1": "ready> ",
        "HOME": str(system),
    }
    shell = pexpect.spawn(
        request.param,
        START[request.param],
        cwd=str(system),
        env=environment,
        encoding="utf-8",
        timeout=20,
        dimensions=(50, 200),
    )
    shell.expect_exact("ready> ")
    shell.send(f"{SETUP[request.param]}; printf '<%s>' be'gun'\r")
    shell.expect_exact("<begun>")

    def typed(line: str) -> list[str]:
        # Keys are queued: the line is completed before Control-A leads back to its begin, where
        # a command is put that prints the words of the line instead of running it.
        shell.send(f"{line}\t\x01printf '<%s>' [ \x05 ]\r")
        shell.expect(r"<\[>(.*?)<\]>")
        assert shell.match is not None
        return shell.match[1].strip("<>").split("><")

    yield typed
    shell.close(force=True)


def test_the_first_tab_completes_a_command(complete: Complete) -> None:
    assert complete("nowcast run-w") == ["nowcast", "run-worker"]


def test_commands_of_groups_and_options_are_completed(complete: Complete) -> None:
    assert complete("nowcast checklist sh") == ["nowcast", "checklist", "show"]
    assert complete("nowcast job list --wor") == ["nowcast", "job", "list", "--worker"]


def test_names_of_workers_are_completed_also_those_of_the_user(complete: Complete) -> None:
    assert complete("nowcast run-worker make_f")[-1] == "make_forecast"
    assert complete("nowcast run-worker awa")[-1] == "awaken"


def test_keys_of_the_checklist_are_completed(complete: Complete) -> None:
    assert complete("nowcast checklist show slee")[-1] == "sleepyhead"


def test_names_come_from_the_system_that_the_line_names(complete: Complete, system: Path) -> None:
    other = system.parent / "other"
    main(["init", str(other)])
    (other / "workers" / "only_there.py").touch()
    assert complete("nowcast -C ../other run-worker only_t")[-1] == "only_there"


def test_without_a_system_nothing_is_offered_and_nothing_is_said(complete: Complete) -> None:
    assert complete("nowcast -C / run-worker make_f") == [
        "nowcast",
        "-C",
        "/",
        "run-worker",
        "make_f",
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_committed_script_is_what_the_command_writes(shell: str) -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from write_completions import FILES, script
    finally:
        sys.path.pop(0)
    assert (COMPLETIONS / FILES[shell]).read_text() == script(shell), "run `make completions`"


def test_tab_loads_nothing_heavy(system: Path) -> None:
    heavy = {"zmq", "pydantic", "rich", "filelock", "arrow"}
    program = (
        "import sys; from nowcast_cli.cli.app import main; main([]);"
        f"print(*{heavy} & set(sys.modules), file=sys.stderr)"
    )
    for line in ("nowcast ", "nowcast run-worker ", "nowcast checklist show ", "nowcast job show "):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=system,
            env={
                **os.environ,
                "_NOWCAST_COMPLETE": "complete_zsh",
                "_TYPER_COMPLETE_ARGS": line,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0
        assert done.stderr.strip() == "", line
