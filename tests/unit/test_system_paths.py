"""Where a system keeps its files."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.config import paths as paths_module
from nowcast_cli.config.paths import ensure
from nowcast_cli.errors import ConfigError, NowcastError


def paths_of(folder: Path, text: str) -> SystemPaths:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nowcast.yaml").write_text(text)
    config = Config()
    config.load(folder / "nowcast.yaml")
    return system_paths(config)


def test_everything_lies_beside_the_checklist_file(tmp_path: Path) -> None:
    paths = paths_of(tmp_path, "checklist file: state/list.yaml")
    assert paths.config_file == tmp_path / "nowcast.yaml"
    assert paths.deployment == tmp_path
    assert paths.checklist_file == tmp_path / "state/list.yaml"
    assert paths.state == tmp_path / "state"
    assert paths.database == tmp_path / "state/nowcast.db"
    assert paths.jobs == tmp_path / "state/jobs"
    assert paths.logs == tmp_path / "state/logs"
    assert paths.outbox == tmp_path / "state/outbox"


def test_a_state_directory_goes_before_the_folder_of_the_checklist_file(tmp_path: Path) -> None:
    paths = paths_of(tmp_path, "checklist file: /else/where.yaml\nstate directory: var")
    assert paths.state == tmp_path / "var"
    assert paths.checklist_file == Path("/else/where.yaml")


def test_without_either_the_state_lies_in_var(tmp_path: Path) -> None:
    paths = paths_of(tmp_path, "a: 1")
    assert paths.checklist_file == tmp_path / "var/nowcast_checklist.yaml"


def test_a_checklist_file_that_is_no_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checklist file: must be a path, not 5"):
        paths_of(tmp_path, "checklist file: 5")


def test_sockets_lie_in_the_state_directory_while_their_paths_fit() -> None:
    state = Path("/srv/nowcast/var")
    assert paths_module.run_folder(state) == state / "run"


def test_sockets_of_a_deep_state_directory_lie_in_a_short_folder(tmp_path: Path) -> None:
    state = tmp_path / ("deep" * 30)
    run = paths_module.run_folder(state)
    assert run == paths_module.run_folder(state)
    assert run != paths_module.run_folder(tmp_path / ("else" * 30))
    assert run.parent == Path("/tmp")
    assert len(str(run / "message_broker.sock")) <= 107


def test_the_run_folder_does_not_depend_on_tmpdir(tmp_path: Path) -> None:
    state = str(tmp_path / ("deep" * 30))
    code = (
        "import sys; from pathlib import Path; from nowcast_cli.config.paths import run_folder;"
        "print(run_folder(Path(sys.argv[1])))"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code, state]
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(paths_module.run_folder(Path(state)))


def test_a_symbolic_link_to_the_state_leads_to_the_same_run_folder(tmp_path: Path) -> None:
    for name in ("var", "deep" * 30):
        state = tmp_path / name
        state.mkdir()
        link = tmp_path / f"link-{len(name)}"
        link.symlink_to(state)
        assert paths_module.run_folder(link) == paths_module.run_folder(state)


def test_ensure_makes_all_folders_and_the_run_folder_is_private(tmp_path: Path) -> None:
    paths = paths_of(tmp_path / "d", "checklist file: lists/list.yaml\nstate directory: var")
    ensure(paths)
    ensure(paths)
    try:
        for folder in (paths.jobs, paths.logs, paths.outbox, paths.checklist_file.parent):
            assert folder.is_dir()
        paths.run.chmod(0o755)
        ensure(paths)
        assert stat.S_IMODE(paths.run.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(paths.run)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    paths = paths_of(tmp_path, "state directory: var")
    (tmp_path / "var").write_text("a file")
    with pytest.raises(NowcastError, match=f"the folder {tmp_path}/var cannot be made"):
        ensure(paths)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_run_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = paths_of(tmp_path, "state directory: " + "deep" * 30)
    paths.run.mkdir()
    os.chown(paths.run, 12345, 12345)
    try:
        with pytest.raises(NowcastError, match="does not belong to this user"):
            ensure(paths)
    finally:
        paths.run.rmdir()


def test_a_symbolic_link_in_place_of_the_run_folder_is_refused(tmp_path: Path) -> None:
    paths = paths_of(tmp_path, "state directory: " + "deep" * 30)
    paths.run.symlink_to(tmp_path)
    try:
        with pytest.raises(NowcastError, match="does not belong to this user"):
            ensure(paths)
    finally:
        paths.run.unlink()
