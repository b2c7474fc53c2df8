"""``request`` of users' programs: done once, and what went wrong is told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli import request, subscribe
from nowcast_cli.bus.requesting import NotInTime, RequestFailed
from nowcast_cli.errors import NowcastError
from systems import MakeSystem, System

ACTIONS = """\
[actionmapping]
?T?add = parts.add
?T?fail = parts.fail
?T?until = parts.until
"""
PARTS = """\
import time
from pathlib import Path

HERE = Path(__file__).parent


def add(number, more=1):
    return {"number": number + more}


def fail():
    raise ValueError("as it was told to")


def until(context):
    with (HERE / "begun").open("a") as file:
        file.write(context.run + "\\n")
    while not (HERE / "go").exists():
        time.sleep(0.02)
    return {"done": True}
"""


@pytest.fixture
def system(make_system: MakeSystem) -> System:
    system = make_system()
    (system.folder / "actions.ini").write_text(ACTIONS)
    (system.folder / "parts.py").write_text(PARTS)
    return system.start("message_broker", "manager", "action_workers")


def test_an_action_is_done_and_gives_its_result(system: System) -> None:
    def ask(key: str, **values: Any) -> Any:
        return request(key, values, config=system.config_file, timeout=60)

    assert ask("?T?add", number=2, more=3) == {"number": 5}
    with pytest.raises(RequestFailed, match="as it was told to") as failed:
        ask("?T?fail")
    assert failed.value.state == "failed"
    assert failed.value.run[-8:] in str(failed.value.hint)
    with pytest.raises(NowcastError, match="nobody carries out"):
        ask("?T?nothing")
    with pytest.raises(NowcastError, match="has no question mark"):
        ask("add")


def test_a_request_that_took_too_long_is_waited_for_and_not_done_twice(system: System) -> None:
    with pytest.raises(NotInTime) as late:
        request("?T?until", timeout=2, config=system.config_file)
    assert str(late.value.hint).startswith("it goes on; ")
    wait_until((system.folder / "begun").exists, timeout=60, what="the begin")
    gave: list[Any] = []

    def again() -> None:
        gave.append(request("?T?until", timeout=100, config=system.config_file, id=late.value.id))

    asking = threading.Thread(target=again)
    asking.start()
    system.restart("manager")
    system.touch("go")
    asking.join(100)
    assert gave == [{"done": True}]
    assert len((system.folder / "begun").read_text().splitlines()) == 1


def test_the_steps_of_a_request_are_events(system: System) -> None:
    with subscribe("flows~?T?add", config=system.config_file) as subscription:
        request("?T?add", {"number": 1}, config=system.config_file, timeout=60)
        topics = []
        while not topics or not topics[-1].endswith("run~done"):
            event = subscription.next(60)
            assert event is not None
            topics.append(event.topic)
    assert topics == [
        "flows~?T?add~run~running",
        "flows~?T?add~step~call~running",
        "flows~?T?add~step~call~done",
        "flows~?T?add~run~done",
    ]


def test_a_request_that_nobody_answers_may_have_begun(system: System) -> None:
    system.stop("message_broker")
    with pytest.raises(NotInTime, match="nobody answered") as late:
        request("?T?add", timeout=0.5, config=system.config_file)
    assert late.value.run is None
    assert str(late.value.hint).startswith("it may have begun; request(…, id=")
