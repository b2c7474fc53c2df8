"""``nowcast start|stop|restart|status|reload`` with services, under the real supervisord."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.bus.requesting import request
from nowcast_cli.cli.context import System as LookedAt
from nowcast_cli.cli.status_report import as_json, gather
from nowcast_cli.process_identity import identity_of, is_alive
from nowcast_command import nowcast
from service_lab import SETTINGS, ServiceLab
from systems import MakeSystem

PROGRAMS = {
    "dies": {"command": "sh -c 'echo the disk is full; exit 3'", "ready within": "20s"},
    "mute": {"command": ["sh", "-c", "echo here I am; exec sleep 1000"], "ready within": "1s"},
}


@pytest.fixture
def lab(make_system: MakeSystem) -> Iterator[ServiceLab]:
    lab = ServiceLab(make_system(settings=deepcopy(SETTINGS)))
    yield lab
    nowcast(lab.system.folder, "stop")


def services(lab: ServiceLab) -> dict[str, dict[str, Any]]:
    """Give the services as ``nowcast status --json`` shows them, without a process a look."""
    report = as_json(gather(LookedAt(lab.system.config, lab.system.paths)))
    return {service["name"]: service for service in report["services"]}


def test_services_are_started_and_stopped_with_the_daemons_and_by_name(lab: ServiceLab) -> None:
    folder = lab.system.folder
    done = nowcast(folder, "start")
    assert (done.code, done.out) == (0, "started message_broker, manager, ingest\n"), done.err
    before = services(lab)
    assert {name: each["state"] for name, each in before.items()} == {
        "ingest": "ready", "post": "stopped",
    }  # fmt: skip
    done = nowcast(folder, "status", "--json")
    assert done.code == 0, "one that starts by hand may be stopped"
    assert [each["name"] for each in done.json["services"]] == ["ingest", "post"]

    assert nowcast(folder, "start", "post").out == "started post\n"
    assert nowcast(folder, "start", "post").out == "post already runs\n"
    answer = request("?ingest?do", {"ask": "?post?do", "value": 4}, config=lab.system.config_file)
    assert (answer["asked"]["by"], answer["asked"]["value"]) == ("post", 4)

    assert nowcast(folder, "restart", "ingest").out == "restarted ingest\n"
    assert services(lab)["ingest"]["pid"] not in (None, before["ingest"]["pid"])
    assert nowcast(folder, "stop", "ingest").out == "stopped ingest\n"
    assert nowcast(folder, "stop", "ingest").out == "ingest did not run\n"
    done = nowcast(folder, "status", "ingest")
    assert (done.code, "nowcast start ingest starts it" in done.out) == (3, True)
    assert nowcast(folder, "status").code == 5
    assert nowcast(folder, "status", "post", "--json").json["state"] == "ready"
    done = nowcast(folder, "start", "ingets")
    assert (done.code, "the services are ingest, post" in done.err) == (4, True)

    assert nowcast(folder, "start").out == "started ingest\n"
    pids = [identity_of(each["pid"]) for each in services(lab).values()]
    assert nowcast(folder, "stop").out == "stopped ingest, post, manager, message_broker\n"
    assert not any(each is not None and is_alive(each) for each in pids)
    assert lab.system.log("ingest.out").count("it begins") == 3
    assert lab.system.log("ingest.out").count("it ends") == 3


def test_a_service_that_dies_or_never_is_ready_is_told_and_the_rest_runs(lab: ServiceLab) -> None:
    system = lab.system
    system.settings["services"] |= PROGRAMS
    system.write_config()
    done = nowcast(system.folder, "start")
    assert done.code == 5
    assert "these services are not ready" in done.err
    assert "dies: the disk is full" in done.err.replace("dies:  ", "dies: ")
    assert "mute: it lives" in done.err
    wait_until(lambda: services(lab)["dies"]["restarts"] > 1, what="it to be started again")
    seen = services(lab)
    assert seen["ingest"]["state"] == "ready"
    assert seen["dies"]["state"] in ("restarting", "starting")
    assert (seen["mute"]["state"], seen["mute"]["last lines"]) == ("not ready", ["here I am"])
    doctor = nowcast(system.folder, "doctor").out
    assert "the service mute is not ready" in doctor
    assert "the service post" not in doctor
    text = nowcast(system.folder, "status").out
    assert "has not said within 1 s that it is ready" in text

    pid = seen["ingest"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: (
            services(lab)["ingest"]["state"] == "ready" and services(lab)["ingest"]["pid"] != pid
        ),
        what="a killed service to be back",
    )
    os.kill(services(lab)["ingest"]["pid"], signal.SIGSTOP)
    wait_until(lambda: services(lab)["ingest"]["state"] == "silent", what="it to be silent")
    assert nowcast(system.folder, "restart", "ingest").code == 0
    assert services(lab)["ingest"]["state"] == "ready"


def test_a_reload_starts_new_services_and_stops_those_that_are_gone(lab: ServiceLab) -> None:
    system = lab.system
    assert nowcast(system.folder, "start").code == 0
    declared = system.settings["services"]
    system.settings["services"] = {
        "post": {**declared["post"], "environment": {"PLACE": "east"}},
        "other": {"command": "python3 program.py other"},
    }
    system.write_config()
    done = nowcast(system.folder, "reload")
    assert done.code == 0, done.err
    assert done.out == "starting other\nstopped ingest\nreloaded\n"
    assert "the service post has changed: nowcast restart post" in done.err
    wait_until(lambda: services(lab)["other"]["state"] == "ready", what="the new service")
    assert nowcast(system.folder, "restart", "post").code == 0
    environ = Path(f"/proc/{services(lab)['post']['pid']}/environ").read_bytes()
    assert b"PLACE=east" in environ.split(b"\0")


def test_services_whose_supervisor_was_killed_are_ended_and_started_anew(lab: ServiceLab) -> None:
    folder, run = lab.system.folder, lab.system.paths.run
    assert nowcast(folder, "start").code == 0
    orphan = identity_of(services(lab)["ingest"]["pid"])
    os.kill(int((run / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_until(
        lambda: json.loads(nowcast(folder, "status", "--json").out)["supervisor"] == "gone",
        what="the supervisor to be gone",
    )
    assert nowcast(folder, "start").out == "started message_broker, manager, ingest\n"
    assert orphan is not None
    assert not is_alive(orphan)
    assert services(lab)["ingest"]["state"] == "ready"
