"""The built wheel, installed and used on every interpreter from 3.11 on that the machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MINORS = range(11, 15)
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("NOWCAST_", "PYTHON", "VIRTUAL_ENV"))
}


def candidates(minor: int) -> Iterator[Path]:
    """Where an interpreter of that version may be: ours, on the PATH, under pyenv."""
    if sys.version_info[1] == minor:
        yield Path(sys.executable)
    on_path = shutil.which(f"python3.{minor}")
    if on_path:
        yield Path(on_path)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob(f"versions/3.{minor}.*/bin/python3"), reverse=True)


def works(python: Path, minor: int) -> bool:
    """Whether it starts, is of that version, and can make virtual environments."""
    code = f"import ensurepip, sqlite3, sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def interpreters() -> list[Path]:
    """One interpreter of each version, our own among them."""
    found = (next((p for p in candidates(m) if works(p, m)), None) for m in MINORS)
    return [python for python in found if python]


def run(*command: object, folder: Path) -> str:
    """The standard output of a command that must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        folder,
        ".",
        folder=REPOSITORY,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.mark.timeout(300)
@pytest.mark.parametrize("python", interpreters(), ids=str)
def test_the_installed_wheel_sets_up_and_runs_a_system(
    python: Path, wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    run(python, "-m", "venv", environment, folder=tmp_path)
    pins = REPOSITORY / "constraints.txt"
    run(environment / "bin/pip", "install", "-q", "-c", pins, wheel, folder=tmp_path)
    nowcast = environment / "bin/nowcast"
    assert "0.1.0" in run(nowcast, "--version", folder=tmp_path)
    for place in (
        "bash-completion/completions/nowcast",
        "zsh/site-functions/_nowcast",
        "fish/vendor_completions.d/nowcast.fish",
    ):
        assert (environment / "share" / place).stat().st_size > 0

    code = "import nemo_nowcast; print(nemo_nowcast.NowcastWorker.__module__)"
    named = run(environment / "bin/python", "-c", code, folder=tmp_path)
    assert named == "nowcast_cli.worker.nowcast_worker\n"

    run(nowcast, "init", "toy", folder=tmp_path)
    toy = tmp_path / "toy"
    run(nowcast, "start", folder=toy)
    try:
        run(nowcast, "run-worker", "sleep", "--follow", "--", "--sleep-time", "0", folder=toy)
        shown = run(nowcast, "checklist", "show", folder=toy)
    finally:
        run(nowcast, "stop", folder=toy)
    assert "sleepyhead" in shown
