"""Notifications of a real system, to a real web server on this machine."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli import subscribe
from nowcast_cli.notify.memory import FILE_NAME
from systems import MakeSystem, System
from webhook import Webhook


@pytest.fixture(autouse=True)
def slack_address(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_TEST", webhook.url)


def slack(*workers: str) -> dict[str, Any]:
    return {"slack notifications": {"SLACK_TEST": list(workers)}}


def to_operators(webhook: Webhook, **more: Any) -> dict[str, Any]:
    return {"notify": {"operators": {"to": f"json://{webhook.address}/hook", **more}}}


def notifiers(system: System) -> list[int]:
    found = []
    for pid in system.processes():
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"nowcast_cli.notify" in command.read_bytes():
            found.append(pid)
    return found


def the_notifier(system: System) -> int:
    def following() -> list[int]:
        return notifiers(system) if (system.paths.state / FILE_NAME).exists() else []

    return wait_until(following, what="the notifier")[0]


def wait_for(webhook: Webhook, count: int, timeout: float = 15.0) -> None:
    wait_until(
        lambda: len(webhook.accepted) >= count, timeout=timeout, what=f"{count} notifications"
    )


def test_each_message_of_a_worker_is_posted_in_the_form_of_nemo_nowcast(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system(
        settings={
            "slack notifications": {
                "SLACK_TEST": ["first"],
                "SLACK_UNSET": ["first"],
                "website log url": "https://x/log",
                "website checklist url": "https://x/checklist",
            }
        }
    ).start()
    system.finish("second")
    system.finish("first", {"tide": 3})
    system.tell("first", "failure", outcome="failure")
    wait_for(webhook, 2)
    links = "\nLog: https://x/log\nChecklist: https://x/checklist"
    assert webhook.accepted == [
        {"text": f"first: success{links}"},
        {"text": f"first: failure{links}"},
    ]
    assert "the environment variable SLACK_UNSET is not set" in system.log()


def test_failures_crashes_and_stuck_messages_reach_an_address_of_apprise(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system(
        settings=to_operators(webhook), after={"second": "1 / 0", "third": "[]"}
    ).start()
    system.wait_for_chain(system.launch("first", "--fail"))
    system.wait_for_chain(system.launch("third", "--os-exit", "3"))
    system.finish("second")
    wait_for(webhook, 3)
    said = {body["title"].partition(": ")[2]: body["message"] for body in webhook.accepted}
    assert set(said) == {
        "first failed",
        "third crashed",
        "what follows from second is not launched: its message is stuck",
    }
    assert said["first failed"].startswith("it was told to fail\n")
    assert "exited with code 3" in said["third crashed"]
    assert "nowcast job show" in said["third crashed"]
    assert any("ZeroDivisionError" in text for text in said.values())


def test_a_crash_of_a_worker_without_a_crash_message_is_told_too(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system(settings=to_operators(webhook))
    del system.registry["first"]["crash"]
    system.write_config()
    system.start()
    system.launch("first", "--signal", str(int(signal.SIGKILL)))
    wait_for(webhook, 1)
    assert webhook.accepted[0]["title"].endswith("first crashed")
    with subscribe("notifications", since={}, config=system.config_file) as subscription:
        event = subscription.next(60)
    assert event is not None
    assert event.topic == "notifications~operators~sent"
    assert event.payload == {"channel": "operators", "title": "first crashed"}


def test_an_overdue_worker_is_told(make_system: MakeSystem, webhook: Webhook) -> None:
    system = make_system(settings=to_operators(webhook)).start()
    what = "first is overdue: it was expected by 09:30"
    assert system.request("overdue", {"worker": "first", "what": what}).type == "ack"
    wait_for(webhook, 1)
    assert webhook.accepted[0]["title"] == f"{system.folder.name}: first is overdue"
    assert webhook.accepted[0]["message"].startswith("it was expected by 09:30\n")
    wait_until(lambda: "told operators: first is overdue" in system.log(), what="a line of the log")
    assert "/hook" not in system.log(), "the address of a webhook is its password"


def test_what_happens_again_and_again_is_told_once_with_a_sum_at_the_end(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system(settings=to_operators(webhook, period=4)).start()
    for _ in range(20):
        system.tell("first", "failure", outcome="failure")
    wait_for(webhook, 2)
    titles = [body["title"].partition(": ")[2] for body in webhook.accepted]
    assert titles == ["first failed", "first failed (19 times more)"]


def test_the_manager_never_waits_for_a_slow_server(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    webhook.open.clear()
    system = make_system(settings=slack("first")).start()
    system.finish("first")
    wait_until(lambda: webhook.asked, what="a post that is not answered")
    began = time.monotonic()
    for number in range(50):
        system.finish("first", {"number": number})
    assert time.monotonic() - began < 5, "a post may take 20 s"
    assert not webhook.accepted
    webhook.open.set()
    wait_for(webhook, 1)


def test_a_server_that_fails_is_asked_again_and_what_is_accepted_comes_once(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    webhook.statuses = [500]
    system = make_system(settings=slack("first")).start()
    system.finish("first")
    wait_for(webhook, 1, timeout=20)
    assert webhook.texts == ["first: success"]
    assert webhook.asked == 2
    assert "SLACK_TEST could not be told: it was answered 500" in system.log()
    wait_until(lambda: "SLACK_TEST is reached again" in system.log(), what="good news")


def test_without_a_network_the_system_works_and_the_log_says_so_once(
    make_system: MakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TEST", "https://there-is-no-such-host.invalid/secret")
    system = make_system(settings=slack("first")).start()
    system.finish("first")
    system.finish("second")
    wait_until(lambda: "SLACK_TEST could not be told" in system.log(), timeout=20, what="the log")
    assert "secret" not in system.log(), "the address is a secret"
    assert system.checklist_file_is_current()
    memory = json.loads((system.paths.state / FILE_NAME).read_text())
    assert len(memory["boxes"]["SLACK_TEST"]["queue"]) == 1


def test_a_killed_notifier_is_started_again_and_loses_nothing(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    webhook.open.clear()
    system = make_system(settings=slack("first")).start()
    notifier = the_notifier(system)
    system.finish("first")
    wait_until(lambda: webhook.asked, what="a post that is not answered")
    os.kill(notifier, signal.SIGKILL)
    wait_until(lambda: notifiers(system) == [], what="the end of the notifier")
    system.tell("first", "failure", outcome="failure")
    system.restart()  # so that the next notifier comes at once
    webhook.open.set()
    # The server may accept the post of the killed one as well.
    wait_until(
        lambda: set(webhook.texts) == {"first: success", "first: failure"}, what="both messages"
    )


def test_a_restart_tells_nothing_twice(make_system: MakeSystem, webhook: Webhook) -> None:
    system = make_system(settings=slack("first")).start()
    system.finish("first")
    wait_for(webhook, 1)
    system.restart()
    system.tell("first", "failure", outcome="failure")
    wait_for(webhook, 2)
    assert webhook.texts == ["first: success", "first: failure"]


def test_what_came_while_the_notifier_was_away_is_told_and_the_time_before_it_is_not(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system().start()
    system.finish("first")
    system.stop()
    system.settings |= slack("first")
    system.write_config()
    system.start("manager")
    system.tell("first", "failure", outcome="failure")
    wait_for(webhook, 1)
    assert webhook.texts == ["first: failure"]


def test_the_notifier_ends_with_its_manager_and_follows_a_reload(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system().start()
    assert notifiers(system) == []
    system.settings |= slack("first")
    system.write_config()
    assert system.request("reload").type == "ack"
    the_notifier(system)
    assert system.stop() == 0
    assert notifiers(system) == []


def test_a_daemon_that_was_killed_and_stays_away_is_told(
    make_system: MakeSystem, webhook: Webhook
) -> None:
    system = make_system(settings=to_operators(webhook)).start()
    file = system.paths.state / FILE_NAME
    the_notifier(system)
    wait_until(
        lambda: set(json.loads(file.read_text())["seen"]) >= {"manager", "message_broker"},
        what="the daemons to be seen",
    )
    system.kill("message_broker")
    system.kill("manager")
    wait_for(webhook, 2, timeout=40)
    assert {body["title"].partition(": ")[2].partition(":")[0] for body in webhook.accepted} == {
        "the manager is down",
        "the message broker is down",
    }
    wait_until(lambda: notifiers(system) == [], what="the notifier to end after its manager")


def test_a_notifier_that_can_tell_nobody_ends_and_is_not_started_again(
    make_system: MakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLACK_TEST")
    system = make_system(settings=slack("first"))
    prelude = "import nowcast_cli.manager.notifier_process as n; n.SHORTEST_LIFE = 0.0"
    system.start(prelude=prelude)
    unset = "the environment variable SLACK_TEST is not set"
    wait_until(lambda: unset in system.log(), what="the notifier to say so")
    wait_until(lambda: notifiers(system) == [], what="the notifier to end")
    for _ in range(5):
        system.finish("second")  # each is a turn of the manager
    assert notifiers(system) == []
    assert system.log().count(unset) == 1
