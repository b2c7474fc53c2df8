"""The configuration that is generated for supervisord."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from nowcast_cli.errors import NowcastError
from nowcast_cli.supervisor.daemons import BROKER, MANAGER, daemons_of
from nowcast_cli.supervisor.log_tail import prepare
from nowcast_cli.supervisor.observe import restarts_in
from nowcast_cli.supervisor.services import ServiceProgram
from nowcast_cli.supervisor.supervisord_conf import supervisord_conf


def conf_in(folder: Path, python: str = "/usr/bin/python3") -> str:
    return supervisord_conf(
        deployment=folder,
        logs=folder,
        config_file=folder / "nowcast.yaml",
        python=python,
        umask=0o027,
        daemons=(BROKER, MANAGER),
    )


def as_supervisord_reads(folder: Path, text: str) -> ServerOptions:
    (folder / "supervisord.conf").write_text(text)
    options = ServerOptions()
    options.realize(args=["-c", str(folder / "supervisord.conf")])
    return options


def test_supervisord_reads_the_daemons_and_their_way_of_restarting(tmp_path: Path) -> None:
    options = as_supervisord_reads(tmp_path, conf_in(tmp_path))
    programs = {p.name: p for group in options.process_group_configs for p in group.process_configs}
    assert set(programs) == {"message_broker", "manager"}
    manager = programs["manager"]
    assert shlex.split(manager.command) == [
        "/bin/sh",
        "-c",
        f"cd {tmp_path} && exec /usr/bin/python3 -m nowcast_cli.manager {tmp_path}/nowcast.yaml "
        f">>{tmp_path}/manager.out 2>&1",
    ]
    assert (manager.startretries, manager.startsecs, manager.autostart) == (100000, 2, False)
    assert options.umask == 0o027


@pytest.mark.parametrize(
    "name", ["two o'clock", "a ;b", "a #b", "100%", "%(here)s", '"quoted"', "mañana", "$HOME\n`x`"]
)
def test_any_path_arrives_whole(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    python = folder / "python %"
    python.write_text('#!/bin/sh\necho "$PWD" "$@"\n')
    python.chmod(0o755)
    options = as_supervisord_reads(folder, conf_in(folder, python=str(python)))
    manager = next(
        program
        for group in options.process_group_configs
        for program in group.process_configs
        if program.name == "manager"
    )
    subprocess.run(shlex.split(manager.command), cwd="/", check=True)
    printed = (folder / "manager.out").read_text()
    assert printed == f"{folder} -m nowcast_cli.manager {folder}/nowcast.yaml\n"


@pytest.mark.parametrize(
    "name", ["two o'clock", "a ;b #c 100% %(here)s", '"quoted"', "mañana $HOME"]
)
def test_a_service_runs_in_its_folder_with_its_words_and_variables_whole(
    tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "a program"
    program.write_text('#!/bin/sh\necho "$PWD" "$PLACE" "$@"\n')
    program.chmod(0o755)
    service = ServiceProgram(
        "ingest", ("./a program", name, "--x"), folder, {"PLACE": name}, True, 30.0
    )
    text = supervisord_conf(
        deployment=tmp_path, logs=folder, config_file=tmp_path / "nowcast.yaml",
        python="python3", umask=0o027, daemons=(BROKER,), services=(service,),
    )  # fmt: skip
    options = as_supervisord_reads(folder, text)
    (ingest,) = (
        program
        for group in options.process_group_configs
        for program in group.process_configs
        if program.name == "ingest"
    )
    assert (ingest.startsecs, ingest.stopwaitsecs, ingest.killasgroup) == (10, 20, True)
    subprocess.run(shlex.split(ingest.command), cwd="/", check=True)
    assert (folder / "ingest.out").read_text() == f"{folder} {name} {name} --x\n"


def test_the_broker_starts_before_the_manager() -> None:
    assert [daemon.name for daemon in daemons_of({}, None)] == ["message_broker", "manager"]


def test_restarts_are_the_deaths_since_supervisord_started() -> None:
    log = [
        "2026-11-22 03:00:00,000 WARN exited: manager (terminated by SIGKILL; not expected)",
        "2026-11-22 03:10:00,000 INFO supervisord started with pid 7",
        "2026-11-22 03:10:01,000 INFO spawned: 'manager' with pid 8",
        "2026-11-22 03:11:00,000 WARN exited: manager (exit status 1; not expected)",
        "2026-11-22 03:12:00,000 INFO stopped: manager (exit status 0)",
        "2026-11-22 03:13:00,000 WARN exited: message_broker (terminated by SIGSEGV; not expected)",
        "2026-11-22 03:14:00,000 WARN exited: manager (exit status 1; not expected)",
    ]
    assert restarts_in(log) == {"manager": 2, "message_broker": 1}


def test_a_large_log_is_put_aside_and_a_small_one_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "manager.out"
    log.write_bytes(b"small\n")
    assert prepare(log) == 6
    os.truncate(log, 11_000_000)
    assert prepare(log) == 0
    assert (tmp_path / "manager.out.1").stat().st_size == 11_000_000


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    log = tmp_path / "manager.out"
    log.mkdir()
    with pytest.raises(NowcastError, match=f"the log {log} cannot be written"):
        prepare(log)
