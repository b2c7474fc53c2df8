"""``nowcast doctor`` on a real system: well, ill, and as JSON."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from helpers import wait_until
from nowcast_cli.notify.journal import Cursor
from nowcast_cli.notify.mailbox import Mailbox, Notice
from nowcast_cli.notify.memory import FILE_NAME, Memory, write_memory
from nowcast_command import nowcast
from systems import MakeSystem, System


def findings(system: System) -> dict[str, list[dict[str, str]]]:
    document = nowcast(system.folder, "doctor", "--json").json
    assert document["schema"] == 1
    return {
        check["name"]: [each for each in check["findings"] if each["level"] != "note"]
        for check in document["checks"]
    }


def test_a_stuck_message_makes_a_system_degraded(make_system: MakeSystem) -> None:
    system = make_system(after={"first": "1 / 0"}).start()
    system.finish("first")
    system.wait_for_message(1, "stuck")
    done = nowcast(system.folder, "doctor")
    assert done.code == 5, done.out
    assert "○ stuck messages" in done.out
    assert "ZeroDivisionError" in done.out
    assert "nowcast message retry 1" in done.out
    assert [each["level"] for each in findings(system)["stuck messages"]] == ["warning"]


def test_a_port_that_is_taken_makes_a_system_ill(make_system: MakeSystem) -> None:
    system = make_system()
    with socket.create_server(("127.0.0.1", system.port)):
        done = nowcast(system.folder, "doctor")
    assert done.code == 1
    assert f"the port {system.port} (zmq.ports.workers) is in use" in done.out
    assert "remedy: end that process" in done.out


def test_a_dead_manager_is_found_while_the_broker_lives(system: System) -> None:
    assert findings(system)["daemons"] == []
    system.kill("manager")
    levels = [each["level"] for each in findings(system)["daemons"]]
    assert "error" in levels


def test_a_notifier_that_does_not_run_is_found(make_system: MakeSystem) -> None:
    notify = {"notify": {"operators": {"to": "json://127.0.0.1:9/hook"}}}
    system = make_system(settings=notify).start()
    memory = system.paths.state / "notifications.json"
    wait_until(memory.exists, what="the notifier to have begun")
    assert findings(system)["notifications"] == []
    for pid in system.processes():
        if b"nowcast_cli.notify" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    (finding,) = findings(system)["notifications"]
    assert finding["what"].startswith("the notifier does not run")


def test_notifications_that_have_waited_for_long_are_found(make_system: MakeSystem) -> None:
    system = make_system(settings={"notify": {"operators": {"to": "json://127.0.0.1:9/hook"}}})
    system.paths.state.mkdir()
    box = Mailbox((Notice("first failed", "", time.time() - 3600),))
    write_memory(
        system.paths.state / FILE_NAME, Memory(Cursor(1, "2026-11-22"), {"operators": box})
    )
    (finding,) = findings(system)["notifications"]
    assert finding["what"].startswith("1 notifications for operators wait to be sent")
