"""``nowcast doctor`` on a real system: well, ill, and as JSON."""

from __future__ import annotations

import socket

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
