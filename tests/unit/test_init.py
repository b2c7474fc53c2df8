"""`nowcast init`: the folder of a new system."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nowcast_cli.cli import skeleton
from nowcast_cli.cli.app import main
from nowcast_cli.errors import NowcastError


def init(folder: Path, *options: str) -> int:
    return main(["-C", str(folder), "init", *options])


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def config_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "nowcast.yaml").read_text())


@pytest.mark.parametrize("template", skeleton.TEMPLATES)
def test_a_template_makes_a_clean_git_repository_that_keeps_var_out(
    tmp_path: Path, template: str
) -> None:
    assert init(tmp_path, "toy", "--template", template) == 0
    made = tmp_path / "toy"
    (made / "var").mkdir(exist_ok=True)
    (made / "var" / "nowcast.db").touch()
    assert git(made, "status", "--short") == ""
    assert git(made, "rev-list", "--count", "HEAD") == "1"
    assert "nowcast.yaml" in git(made, "ls-files")


@pytest.mark.parametrize("template", skeleton.TEMPLATES)
def test_a_template_has_no_mistake_and_nothing_left_to_fill_in(
    tmp_path: Path, template: str
) -> None:
    from nowcast_cli.config.check import check

    assert init(tmp_path, "toy", "--template", template) == 0
    assert check(tmp_path / "toy" / "nowcast.yaml") == []
    for file in (tmp_path / "toy").rglob("*"):
        if file.is_file() and ".git" not in file.parts:
            assert "_PORT@" not in file.read_text()
            assert "@NAME@" not in file.read_text()


def test_the_ports_are_free_and_one_after_the_other(tmp_path: Path) -> None:
    init(tmp_path, "toy")
    ports = config_of(tmp_path / "toy")["zmq"]["ports"]
    assert ports["manager"] == ports["workers"] + 1
    for port in ports.values():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_two_systems_made_before_either_runs_have_other_ports(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        init(tmp_path, name)
    ports = [
        tuple(config_of(tmp_path / n)["zmq"]["ports"].values()) for n in ("one", "two", "three")
    ]
    assert len(set(ports)) == 3  # one in 18 million runs fails


def test_taken_ports_are_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        taken, taken_beside = first.getsockname()[1], second.getsockname()[1]
        monkeypatch.setattr(skeleton, "_draws", lambda: [taken, taken_beside - 1])
        with pytest.raises(NowcastError, match="no two free ports"):
            skeleton.free_ports()


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "toy" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    assert init(tmp_path, "toy") == 2
    assert [file.name for file in kept.parent.iterdir()] == ["mine.txt"]
    assert "is not empty" in (said := capsys.readouterr().err)
    assert "--force" in said


def test_force_writes_into_a_folder_and_commits_only_its_own_files(tmp_path: Path) -> None:
    kept = tmp_path / "toy" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    assert init(tmp_path, "toy", "--force") == 0
    assert kept.read_text() == "mine"
    assert git(kept.parent, "status", "--short") == "?? mine.txt"


def test_an_empty_folder_and_a_dot_will_do(tmp_path: Path) -> None:
    (tmp_path / "my toy").mkdir()
    assert main(["-C", str(tmp_path / "my toy"), "init", "."]) == 0
    assert '"my toy"' in (tmp_path / "my toy" / "nowcast.yaml").read_text()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toy").write_text("")
    assert init(tmp_path, "toy", "--force") == 2


def test_a_folder_that_cannot_be_made_is_an_error_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert init(tmp_path, "file/toy") == 1
    assert "cannot be made" in capsys.readouterr().err


def test_a_dry_run_lists_the_files_and_writes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "toy", "--dry-run") == 0
    listed = set(capsys.readouterr().out.split())
    assert not (tmp_path / "toy").exists()
    init(tmp_path, "toy")
    tracked = git(tmp_path / "toy", "ls-files").split()
    assert listed == {str(tmp_path / "toy" / name) for name in tracked}


def test_json_tells_the_files_and_the_ports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "toy", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["ports"] == config_of(tmp_path / "toy")["zmq"]["ports"]
    assert sorted(told["files"]) == sorted(git(tmp_path / "toy", "ls-files").split())


def test_git_without_a_user_name_still_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{name}_{part}", raising=False)
    assert init(tmp_path, "toy") == 0
    assert git(tmp_path / "toy", "rev-list", "--count", "HEAD") == "1"


def test_inside_a_git_hook_the_commit_goes_to_the_new_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "other")], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert init(tmp_path, "toy") == 0
    monkeypatch.delenv("GIT_DIR")
    assert git(tmp_path / "toy", "rev-list", "--count", "HEAD") == "1"
    assert git(tmp_path / "other", "rev-list", "--all", "--count") == "0"


def test_without_git_the_system_is_made_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert init(tmp_path, "toy") == 0
    assert (tmp_path / "toy" / "nowcast.yaml").exists()
    assert "note: git is not installed" in capsys.readouterr().err


def test_it_says_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["init", "my toy"])
    said = capsys.readouterr().err
    assert "  cd 'my toy'\n  nowcast start\n  nowcast run-worker sleep -- --sleep-time 2\n" in said


def test_the_schema_that_editors_read_is_the_one_that_the_first_line_names(tmp_path: Path) -> None:
    init(tmp_path, "toy")
    first_line = (tmp_path / "toy" / "nowcast.yaml").read_text().splitlines()[0]
    schema = tmp_path / "toy" / first_line.partition("$schema=")[2]
    assert "message registry" in json.loads(schema.read_text())["properties"]


def test_the_tests_of_the_toy_pass_with_plain_pytest(tmp_path: Path) -> None:
    init(tmp_path, "toy")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "toy",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
