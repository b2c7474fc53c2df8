"""Finding the system that a command is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.config.find import find_config
from nowcast_cli.errors import NotFound


def system(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nowcast.yaml"
    file.write_text("a: 1")
    return file


def test_the_nearest_file_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system(tmp_path)
    nearest = system(tmp_path / "inner")
    (tmp_path / "inner/a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "inner/a/b")
    assert find_config(None, None, {}) == nearest


def test_the_variable_goes_before_walking_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system(tmp_path / "here")
    named = system(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "here")
    assert find_config(None, None, {"NOWCAST_YAML": str(named)}) == named


def test_a_named_file_goes_before_the_variable(tmp_path: Path) -> None:
    named, other = system(tmp_path / "named"), system(tmp_path / "other")
    assert find_config(None, named, {"NOWCAST_YAML": str(other)}) == named
    assert find_config(None, named.parent, {}) == named


def test_a_named_folder_goes_before_the_variable(tmp_path: Path) -> None:
    here, other = system(tmp_path / "here"), system(tmp_path / "other")
    (tmp_path / "here/workers").mkdir()
    environment = {"NOWCAST_YAML": str(other)}
    assert find_config(here.parent, None, environment) == here
    assert find_config(here.parent / "workers", None, environment) == here


def test_a_named_file_starts_at_the_named_folder(tmp_path: Path) -> None:
    file = system(tmp_path / "here")
    assert find_config(tmp_path / "here", Path("nowcast.yaml"), {}) == file


def test_without_a_system_all_that_was_tried_is_listed(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        find_config(tmp_path, None, {})
    assert caught.value.exit_code == 4
    assert f"-C {tmp_path}" in (caught.value.cause or "")
    assert "nowcast init" in (caught.value.hint or "")


@pytest.mark.parametrize("way", ["option", "variable", "folder"])
def test_a_name_that_leads_nowhere_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    system(tmp_path)
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone.yaml"
    with pytest.raises(NotFound, match=r"gone\.yaml"):
        find_config(
            gone if way == "folder" else None,
            gone if way == "option" else None,
            {"NOWCAST_YAML": str(gone)} if way == "variable" else {},
        )
