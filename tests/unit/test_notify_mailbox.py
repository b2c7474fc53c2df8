"""What waits for one address: once a period, with a count of the rest, and never without end."""

from __future__ import annotations

import json

import pytest

from nowcast_cli.notify import mailbox
from nowcast_cli.notify.channels import Channel, Kind, channels_of
from nowcast_cli.notify.events import Event
from nowcast_cli.notify.mailbox import LONGEST_QUEUE, Mailbox

AT = "2026-11-22T03:04:05.678Z"
OPERATORS = Channel(
    "operators", "apprise", "json://h", frozenset({"failure", "daemon down"}), None, 60.0
)


def failure(worker: str = "collect_weather", at: str = AT) -> Event:
    return Event("failure", worker, "", at, f"{worker} failed", ("message 1: failure",))


def received(*events: Event, times: tuple[float, ...]) -> Mailbox:
    box = Mailbox()
    for event, now in zip(events, times, strict=True):
        box = mailbox.receive(box, OPERATORS, event, now)
    return box


def titles(box: Mailbox) -> list[str]:
    return [notice.title for notice in box.queue]


def test_one_kind_of_one_worker_is_told_once_a_period() -> None:
    box = received(failure(), failure(), failure("run_NEMO"), times=(0, 1, 2))
    assert titles(box) == ["collect_weather failed", "run_NEMO failed"]


def test_what_was_left_out_is_summed_up_when_the_period_is_over() -> None:
    box = received(failure(), failure(), failure(), times=(0, 1, 59))
    assert titles(mailbox.end_periods(box, OPERATORS, 59.9)) == ["collect_weather failed"]
    box = mailbox.end_periods(box, OPERATORS, 60)
    assert titles(box)[1:] == ["collect_weather failed (2 times more)"]
    assert "last at 2026-11-2" in box.queue[-1].text
    box = mailbox.receive(box, OPERATORS, failure(), 61)
    assert len(box.queue) == 2, "the sum begins a period of its own"


def test_a_period_in_which_nothing_more_came_ends_without_a_word() -> None:
    box = mailbox.end_periods(received(failure(), times=(0,)), OPERATORS, 60)
    assert titles(box) == ["collect_weather failed"]
    assert box.recent == {}


def test_an_event_after_the_period_brings_the_sum_with_it() -> None:
    box = received(failure(), failure(), failure(), times=(0, 1, 70))
    assert titles(box) == [
        "collect_weather failed",
        "collect_weather failed (once more)",
        "collect_weather failed",
    ]


def test_a_clock_that_was_put_back_does_not_silence_anybody() -> None:
    assert len(received(failure(), failure(), times=(1000, 10)).queue) == 2


def test_a_queue_that_cannot_be_sent_has_an_end_and_says_how_many_are_missing() -> None:
    workers = [f"worker{number}" for number in range(LONGEST_QUEUE + 5)]
    box = received(*map(failure, workers), times=tuple(range(len(workers))))
    assert len(box.queue) == LONGEST_QUEUE
    head = mailbox.head(box)
    assert head is not None
    assert head.title == "worker5 failed"
    assert "5 older notifications could not be sent" in head.text
    following = mailbox.head(mailbox.sent(box))
    assert following is not None
    assert "older" not in following.text


def test_what_has_waited_too_long_is_dropped_and_counted() -> None:
    box = mailbox.without_old(received(failure(), failure("b"), times=(0, 50)), 40)
    assert titles(box) == ["b failed"]
    assert box.overflowed == 1


def test_a_mailbox_is_the_same_after_a_restart() -> None:
    box = received(failure(), failure(), failure("b"), times=(0, 1, 2))
    assert mailbox.from_json(json.loads(json.dumps(mailbox.to_json(box)))) == box


@pytest.mark.parametrize(
    ("kind", "subject", "wanted"),
    [
        ("failure", "sleep", True),
        ("failure", "run_NEMO", False),
        ("crash", "sleep", False),
        ("daemon down", "manager", True),
    ],
)
def test_a_target_is_told_of_its_events_and_workers_alone(
    kind: Kind, subject: str, wanted: bool
) -> None:
    target = {"to": "json://h", "events": ["failure", "daemon down"], "workers": ["sleep"]}
    (channel,), unusable = channels_of({"notify": {"a": target}}, {})
    assert not unusable
    assert channel.wants(kind, subject) is wanted


def test_slack_has_its_own_text_with_the_links_that_are_configured() -> None:
    config = {
        "slack notifications": {
            "SLACK_A": ["sleep"],
            "SLACK_B": ["sleep"],
            "website log url": "https://x/log",
            "website checklist url": "https://x/checklist",
        }
    }
    (channel,), (unusable,) = channels_of(config, {"SLACK_A": "https://hooks/1"})
    event = Event("message", "sleep", "success", AT, "sleep: success")
    (notice,) = mailbox.receive(Mailbox(), channel, event, 0).queue
    assert notice.text == "sleep: success\nLog: https://x/log\nChecklist: https://x/checklist"
    assert "SLACK_B is not set" in unusable.reason


def test_an_address_may_stand_in_the_environment() -> None:
    config = {"notify": {"a": {"to": ["$(NOWCAST.ENV.ALERT)", "json://b"]}}}
    channels, unusable = channels_of(config, {"ALERT": "json://secret"})
    assert [(channel.name, channel.url) for channel in channels] == [
        ("a", "json://secret"),
        ("a 2", "json://b"),
    ]
    assert not unusable
    channels, (missing,) = channels_of(config, {})
    assert [channel.url for channel in channels] == ["json://b"]
    assert "ALERT is not set" in missing.reason


def test_a_target_that_cannot_be_used_takes_no_other_with_it() -> None:
    config = {
        "notify": {
            "a": {"to": "json://a", "period": "soon"},
            "b": {"to": "json://b", "workers": [["nested"]]},
            "c": {"to": "json://c", "period": "2h"},
        }
    }
    (channel,), unusable = channels_of(config, {})
    assert (channel.name, channel.period) == ("c", 7200)
    assert [place.name for place in unusable] == ["notify.a", "notify.b"]
