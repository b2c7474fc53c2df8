"""The tutorials, typed into a real shell as their readers do."""

from __future__ import annotations

import difflib
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["tutorial.md", "tutorial-flows.md"])
def test_a_tutorial_shows_what_its_reader_sees(tmp_path: Path, name: str) -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts/run_tutorial.py"))
    (page,) = [each.read_text() for each in script["PAGES"] if each.name == name]
    try:
        real = script["follow"](page, tmp_path, script["settled"])
    finally:
        for system in tmp_path.glob("*/nowcast.yaml"):
            stop = [sys.executable, "-m", "nowcast_cli.cli", "--config", str(system), "stop"]
            subprocess.run(stop, capture_output=True, check=True)
    shown, seen = (script["normalised"](text).splitlines() for text in (page, real))
    difference = "\n".join(difflib.unified_diff(shown, seen, "shown", "seen", lineterm=""))
    if difference:
        hint = "the tutorial has aged: run scripts/run_tutorial.py, and read the page"
        pytest.fail(f"{hint}\n{difference}", pytrace=False)
