"""Files for other supervisors, tried with those that are installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.errors import NowcastError
from nowcast_cli.supervisor.daemons import BROKER, MANAGER
from nowcast_cli.supervisor.export import Plan, circus, supervisord, systemd
from nowcast_cli.supervisor.services import ServiceProgram
from nowcast_command import nowcast
from systems import MakeSystem, System

SUPERVISORS = (systemd, circus, supervisord)


def plan(folder: Path, name: str = "toy", services: Sequence[ServiceProgram] = ()) -> Plan:
    config = folder / "nowcast.yaml"
    return Plan(
        name, sys.executable, config, folder / "run", folder / "logs", (BROKER, MANAGER),
        {"NOWCAST_YAML": str(config)}, services,
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not there")
def test_systemd_accepts_the_units_also_with_odd_characters_in_paths(tmp_path: Path) -> None:
    folder = tmp_path / "100% odd $HOME 'quoted'"
    folder.mkdir()
    units = tmp_path / "units"
    units.mkdir()
    for name, text in systemd.files_for(plan(folder)).items():
        (units / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--user", *map(str, sorted(units.iterdir()))],
        capture_output=True, text=True, check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "nowcast" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_units_leave_jobs_alone_and_start_in_order(tmp_path: Path) -> None:
    files = systemd.files_for(plan(tmp_path))
    assert sorted(files) == [
        "nowcast-toy-manager.service",
        "nowcast-toy-message-broker.service",
        "nowcast-toy.target",
    ]
    manager = files["nowcast-toy-manager.service"].splitlines()
    assert "KillMode=process" in manager
    assert "After=nowcast-toy-message-broker.service" in manager
    assert f"ExecStart={sys.executable} -m nowcast_cli.manager {tmp_path}/nowcast.yaml" in manager


@pytest.mark.parametrize("kind", SUPERVISORS, ids=lambda kind: kind.__name__.rpartition(".")[2])
def test_a_path_that_cannot_be_written_is_refused(kind: object, tmp_path: Path) -> None:
    with pytest.raises(NowcastError, match="cannot be told the path"):
        kind.files_for(plan(tmp_path / "two\nlines"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("circus", ["circus.circusd"]),
        ("supervisord", ["supervisor.supervisord", "--nodaemon", "-c"]),
    ],
)
def test_another_supervisor_runs_a_system_and_keeps_it_up(
    kind: str, command: list[str], make_system: MakeSystem, tmp_path: Path
) -> None:
    system = make_system(tmp_path / "a system")
    done = nowcast(system.folder, "export", kind, "--output", str(tmp_path / "out"))
    assert done.code == 0, done.err
    file = Path(done.out.strip())
    with subprocess.Popen(
        [sys.executable, "-m", *command, str(file)],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            first = ready(system)
            assert first
            system.wait_for_chain(system.launch("first"))
            status = nowcast(system.folder, "status")
            assert (status.code, "another supervisor" in status.out) == (0, True), status.out
            for order in ("start", "stop"):
                refused = nowcast(system.folder, order)
                assert (refused.code, "stop them there" in refused.err) == (1, True), refused.err
            assert ready(system) == first
            os.kill(first, signal.SIGKILL)
            assert ready(system, but=first)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
    assert system.ran() == ["first"]


def ready(system: System, but: int = 0) -> int:
    def answers() -> int:
        health = system.health() or {}
        pid = int(health.get("pid", 0)) if health.get("state") == "ready" else 0
        return 0 if pid == but else pid

    return wait_until(answers, timeout=30, what="the manager to be ready")


def test_without_a_folder_the_files_are_printed(make_system: MakeSystem) -> None:
    system = make_system()
    done = nowcast(system.folder, "export", "systemd")
    assert done.code == 0
    assert "# --- nowcast-system0.target" in done.out
    assert f"Environment=NOWCAST_YAML={system.config_file}" in done.out


def test_services_are_kept_up_with_the_daemons_and_started_where_they_ask_for_it(
    tmp_path: Path,
) -> None:
    services = [
        ServiceProgram(name, ("./run it", "x"), tmp_path, {"PLACE": "far"}, autostart, 30.0)
        for name, autostart in (("ingest", True), ("post", False))
    ]
    units = systemd.files_for(plan(tmp_path, services=services))
    unit = units["nowcast-toy-ingest.service"]
    assert 'ExecStart="./run it" x' in unit
    assert "KillMode=mixed" in unit
    assert "KillMode=process" in units["nowcast-toy-manager.service"]
    assert "Environment=PLACE=far" in unit
    assert "After=nowcast-toy-manager.service" in unit
    assert (
        "Wants=nowcast-toy-message-broker.service nowcast-toy-manager.service "
        in (units["nowcast-toy.target"])
    )
    assert "ingest" in units["nowcast-toy.target"]
    assert "post" not in units["nowcast-toy.target"]
    for supervisor, section in ((circus, "watcher"), (supervisord, "program")):
        (text,) = supervisor.files_for(plan(tmp_path, services=services)).values()
        parts = {each.split("]")[0]: each for each in text.split(f"\n[{section}:")}
        assert "autostart = true" in parts["ingest"]
        assert "autostart = false" in parts["post"]
        assert "'./run it' x" in parts["post"]
        assert "far" in parts["post"]
