"""What the doctor finds, and what it advises, in situations made for it."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config import Config, system_paths
from nowcast_cli.config.paths import ensure
from nowcast_cli.doctor import (
    configuration,
    daemons,
    examination,
    installation,
    journal,
    machine,
    state_folder,
)
from nowcast_cli.doctor.finding import Finding, Subject
from nowcast_cli.process_identity import identity_of, to_json
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import MessageReceived, MessageRecord
from ports import free_ports

MakeSubject = Callable[..., Subject]


@pytest.fixture
def make_subject(tmp_path: Path) -> MakeSubject:
    """Give a function that makes a deployment with one worker, and looks at it."""

    def make(environment: dict[str, str] | None = None, **settings: Any) -> Subject:
        folder = tmp_path / "toy"
        folder.mkdir(exist_ok=True)
        workers, manager = free_ports(2)
        data = {
            "state directory": "var",
            "zmq": {"host": "localhost", "ports": {"workers": workers, "manager": manager}},
            "message registry": {
                "next workers module": "next_workers",
                "workers": {"rotate_logs": {"success": "done"}},
            },
            **{key.replace("_", " "): value for key, value in settings.items()},
        }
        file = folder / "nowcast.yaml"
        file.write_text(yaml.safe_dump(data))
        (folder / "next_workers.py").write_text(
            "def after_rotate_logs(msg, config, checklist):\n    return []\n"
        )
        config = Config()
        config.load(file)
        subject = Subject(config, system_paths(config), environment or {})
        ensure(subject.paths)
        return subject

    return make


def found(check: examination.Check, subject: Subject) -> list[Finding]:
    return list(check(subject))


def the_only(check: examination.Check, subject: Subject) -> tuple[str, str, str]:
    (finding,) = check(subject)
    assert finding.remedy
    return finding.level, finding.what, finding.remedy


def test_a_new_system_is_well(make_subject: MakeSubject) -> None:
    examined = list(examination.examine(make_subject().file, {}))
    findings = [(each.name, each.findings) for each in examined if each.level not in (None, "note")]
    warned = {name for name, _ in findings}
    assert warned <= {"configuration"}, findings  # it has no words for the manager's replies
    assert len(examined) == len(examination.CHECKS) + 1


def test_every_check_says_what_its_failure_means() -> None:
    for check in examination.CHECKS:
        assert (check.__doc__ or "").startswith(("Failure means that ", "Never fails: ")), check


def test_a_configuration_that_cannot_be_read_ends_the_examination(tmp_path: Path) -> None:
    file = tmp_path / "nowcast.yaml"
    file.write_text("zmq: [\n")
    (examined,) = examination.examine(file, {})
    assert examined.level == "error"
    assert examination.exit_code([examined]) == 1


def test_a_check_that_fails_in_an_unforeseen_way_is_a_finding(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls_ill(subject: Subject) -> Any:
        """Failure means that nothing helps."""
        raise ZeroDivisionError

    monkeypatch.setattr(examination, "CHECKS", (falls_ill,))
    *_, examined = examination.examine(make_subject().file, {})
    assert examined.level == "warning"
    assert "ZeroDivisionError" in examined.findings[0].what
    assert examination.exit_code([examined]) == 5


def test_an_unset_address_and_a_missing_extra_are_found(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = make_subject(
        slack_notifications={"SLACK_HOOK": ["rotate_logs"]},
        notify={"operators": {"to": "json://localhost"}},
    )
    monkeypatch.setattr(configuration, "find_spec", lambda name: None)
    unset, missing = found(configuration.environment, subject)
    assert (unset.level, missing.level) == ("warning", "error")
    assert "SLACK_HOOK is not set" in unset.what
    assert "nowcast-cli[notify]" in (missing.remedy or "")


def test_an_address_that_apprise_cannot_use_is_found_and_not_shown(
    make_subject: MakeSubject,
) -> None:
    targets = {"right": {"to": "json://localhost"}, "wrong": {"to": "pigeon://me:secret@loft"}}
    (finding,) = found(configuration.environment, make_subject(notify=targets))
    assert finding.level == "warning"
    assert finding.what.startswith("notify.wrong: ")
    assert "secret" not in str(finding)


def test_upstream_beside_this_package_is_found(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "26.1" if name == "NEMO_Nowcast" else version(name)
    )
    level, what, remedy = the_only(installation.nemo_nowcast_beside, make_subject())
    assert level == "warning"
    assert what.startswith("NEMO_Nowcast 26.1 is installed beside")
    assert "pip uninstall NEMO_Nowcast" in remedy


@pytest.mark.parametrize(
    ("version", "bounds", "is_enough"),
    [
        ("4.3.0", ">=4.3,<5", True),
        ("4.3", ">=4.3.0", True),
        ("5.0rc1", ">=4.3,<5", False),
        ("0.29.1", ">=0.26,<0.29", False),
        ("27.3.0", ">=27", True),
        ("1.0", "!=1.0", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, bounds: str, is_enough: bool) -> None:
    assert installation.satisfies(version, bounds) is is_enough


def test_an_interpreter_of_workers_without_nowcast_is_found(
    make_subject: MakeSubject, tmp_path: Path
) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys._base_executable} -I -S "$@"\n')  # type: ignore[attr-defined]
    bare.chmod(0o755)
    level, what, _ = the_only(installation.interpreter_of_workers, make_subject(python=str(bare)))
    assert level == "error"
    assert "nowcast-cli is not installed for" in what
    level, what, _ = the_only(
        installation.interpreter_of_workers, make_subject(python="/bin/false")
    )
    assert (level, "exit code 1" in what) == ("error", True)


def test_a_module_that_cannot_be_imported_is_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    (subject.paths.deployment / "next_workers.py").write_text("import no_such_module\n")
    level, what, _ = the_only(configuration.code, subject)
    assert (level, "no_such_module" in what) == ("error", True)


def test_a_log_file_that_is_a_folder_is_found(make_subject: MakeSubject, tmp_path: Path) -> None:
    handlers = {"file": {"class": "logging.FileHandler", "filename": str(tmp_path)}}
    subject = make_subject(logging={"version": 1, "handlers": handlers})
    level, what, _ = the_only(configuration.log_files, subject)
    assert (level, what) == ("error", f"the log file {tmp_path} is a folder")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_state_that_git_does_not_ignore_is_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    folder = subject.paths.deployment
    git(folder, "init", "--quiet")
    level, what, remedy = the_only(configuration.git, subject)
    assert level == "warning"
    assert what == f"git does not ignore {folder}/var, the state of the system"
    assert remedy == f"echo /var/ >> {folder}/.gitignore"
    (folder / ".gitignore").write_text("/var/\n")
    assert found(configuration.git, subject) == []
    subject.paths.database.touch()
    git(folder, "add", "--force", "var/nowcast.db")
    level, what, remedy = the_only(configuration.git, subject)
    assert "git tracks files" in what
    assert "git rm -r --cached" in remedy


@pytest.mark.parametrize(
    ("free", "files", "levels"),
    [
        (50 << 20, 1 << 20, ["error"]),
        (500 << 20, 1 << 20, ["warning"]),
        (5 << 30, 500, ["error"]),
        (5 << 30, 5_000, ["warning"]),
        (5 << 30, 1 << 20, []),
    ],
)
def test_a_disk_that_is_nearly_full_is_found(
    make_subject: MakeSubject,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    files: int,
    levels: list[str],
) -> None:
    subject = make_subject()
    disk = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=1 << 22, f_favail=files)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    findings = [*state_folder.disk_space(subject), *state_folder.inodes(subject)]
    assert [finding.level for finding in findings] == levels


def test_a_state_directory_on_a_network_is_found(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nowcast_cli.store.network_folders.network_file_system_of", lambda folder: "nfs4"
    )
    level, what, _ = the_only(state_folder.file_system, make_subject())
    assert (level, "(nfs4)" in what) == ("error", True)


def test_files_that_everybody_may_write_are_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    assert found(state_folder.permissions, subject) == []
    subject.paths.outbox.chmod(0o777)
    subject.paths.config_file.chmod(0o666)
    subject.paths.run.chmod(0o750)
    remedies = [finding.remedy for finding in state_folder.permissions(subject)]
    assert remedies == [
        f"chmod o-w {subject.paths.config_file}",
        f"chmod o-w {subject.paths.outbox}",
        f"chmod 700 {subject.paths.run}",
    ]


def message(number: int, received: str, **more: Any) -> MessageReceived:
    values: dict[str, Any] = {"state": "decided", **more}
    return MessageReceived(
        MessageRecord(
            number, f"id{number}", received, "first", "success", None, None, f"id{number}",
            "success", **values,
        )
    )  # fmt: skip


def write_journal(subject: Subject, *messages: MessageReceived) -> None:
    store = Store(subject.paths.database)
    store.commit(messages)
    store.close()


def test_a_clock_behind_the_journal_is_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    write_journal(subject, message(1, "2101-01-01T00:00:00.000Z"))
    levels = {finding.level: finding.what for finding in machine.clock(subject)}
    assert "the newest message of the journal is of 2101-01-01" in levels["error"]


def test_old_rules_of_time_zones_are_found(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "2024.1")
    level, what, remedy = the_only(machine.time_zones, make_subject())
    assert (level, "of 2024" in what) == ("warning", True)
    assert remedy == "pip install --upgrade tzdata"


def test_low_limits_of_the_kernel_are_found(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_INOTIFY", tmp_path)
    (tmp_path / "max_user_watches").write_text("100\n")
    (tmp_path / "max_user_instances").write_text("100000\n")
    level, _, remedy = the_only(machine.inotify, make_subject())
    assert (level, remedy) == ("warning", "as root: sysctl fs.inotify.max_user_watches=8192")
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (256, 512))
    level, what, _ = the_only(machine.open_files, make_subject())
    assert (level, what) == ("warning", "a process may have 512 files open")


def test_a_port_that_somebody_else_has_is_found_with_its_holder(make_subject: MakeSubject) -> None:
    subject = make_subject()
    port = subject.config["zmq"]["ports"]["workers"]
    with socket.create_server(("127.0.0.1", port)):
        level, what, _ = the_only(daemons.ports, subject)
    assert level == "error"
    assert f"the port {port} (zmq.ports.workers) is in use by process {os.getpid()}" in what
    assert found(daemons.ports, subject) == []


def test_ports_that_are_open_to_the_network_are_found(make_subject: MakeSubject) -> None:
    workers, manager = free_ports(2)
    zmq = {"host": "0.0.0.0", "ports": {"workers": workers, "manager": manager}}
    level, what, _ = the_only(daemons.ports, make_subject(zmq=zmq))
    assert (level, "without authentication" in what) == ("warning", True)


def test_leftovers_of_a_killed_system_are_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    run = subject.paths.run
    identity = identity_of(os.getpid())
    assert identity is not None
    for name in ("launcher", "old_daemon"):
        write_atomically(run / f"{name}.pid", json.dumps(to_json(identity)).encode())
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(run / "manager.sock"))
    (subject.paths.outbox / "a.yaml").write_text("{}")
    (subject.paths.outbox / "b.damaged").write_text("{")
    said = {finding.what: finding.level for finding in daemons.leftovers(subject)}
    assert said == {
        f"the launcher of jobs (process {os.getpid()}) runs without a manager": "note",
        f"process {os.getpid()} is the old daemon of this system, which its configuration does "
        "not ask for any more": "warning",
        f"nobody listens on {run}/manager.sock, which a killed process has left": "note",
        f"1 messages of workers wait in {subject.paths.outbox}": "note",
        f"1 message could not be read, the first {subject.paths.outbox}/b.damaged": "warning",
    }


def test_a_damaged_store_is_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    write_journal(subject, *(message(n, "2026-11-22T03:04:05.000Z") for n in range(1, 500)))
    assert found(journal.store, subject) == []
    with sqlite3.connect(subject.paths.database) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(subject.paths.database.read_bytes())
    data[page_size * 5 : page_size * 12] = b"\xff" * (page_size * 7)
    subject.paths.database.write_bytes(data)
    findings = found(journal.store, subject)
    assert findings
    assert {finding.level for finding in findings} == {"error"}
    subject.paths.database.write_bytes(b"this is no database at all" * 100)
    assert "not a database" in the_only(journal.store, subject)[1]


def test_a_store_that_was_removed_under_the_manager_is_found(
    make_subject: MakeSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = make_subject()
    assert the_only(journal.store, subject)[0] == "note"
    monkeypatch.setattr(journal, "ask_health", lambda socket: {"state": "ready"})
    level, what = the_only(journal.store, subject)[:2]
    assert (level, "has been removed" in what) == ("error", True)


def test_stuck_messages_are_found(make_subject: MakeSubject) -> None:
    subject = make_subject()
    at = "2026-11-22T03:04:05.000Z"
    write_journal(
        subject, message(1, at), message(2, at, state="stuck", error="Traceback\nKeyError: 'x'")
    )
    level, what, remedy = the_only(journal.stuck_messages, subject)
    assert (level, what) == ("warning", "message 2 (first success) is stuck: KeyError: 'x'")
    assert "nowcast message retry 2" in remedy
