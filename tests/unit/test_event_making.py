"""What happens, as events: each topic is made, and stands in the reference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli.manager import product_events
from nowcast_cli.manager.daemon_watch import own_end
from nowcast_cli.manager.event_making import EventMaker
from nowcast_cli.manager.state import State
from nowcast_cli.products.registering import Registered, Taken
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.flow_records import FlowRunPut, FlowRunRecord, FlowStepPut, StepRecord
from nowcast_cli.store.product_records import (
    DataInstanceRecord,
    DataRecord,
    FileRecord,
    InstanceRecord,
)
from nowcast_cli.store.records import (
    AgentDropped,
    AgentPut,
    AgentRecord,
    Change,
    ChecklistCleared,
    ChecklistPut,
    EnsemblePut,
    EnsembleRecord,
    HoldDropped,
    HoldPut,
    HoldRecord,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
    SchedulePut,
    ScheduleRecord,
)

AT = "2026-11-22T03:00:00.000Z"
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"
JOB = JobRecord(
    "job-1", "first", "workers.first", (), "localhost", "local", "running", 2, None, None,
    "chain-1", None, AT,
)  # fmt: skip
RUN = FlowRunRecord("run-1", "forecast", "digest", {}, "running", "by hand", AT)
STEP = StepRecord("crop", None, "running")
ENSEMBLE = EnsembleRecord(
    "all-1", "first", "1..3", 3, None, None, "open", None, "chain-1", None, AT
)
ITEM = ScheduleRecord("daily", "03:00", AT)
AGENT = AgentRecord("node1")


def message(body: str, **more: Any) -> MessageReceived:
    return MessageReceived(
        MessageRecord(7, "id-7", AT, "first", "success", body, None, "id-7", "success", "received",
                      **more)
    )  # fmt: skip


def made(
    *changes: Change, begun: State | None = None, maker: EventMaker | None = None
) -> list[Any]:
    maker = maker or EventMaker(lambda _: None, [])
    return [
        (event.topic, json.loads(p) if isinstance(p := event.payload, str) else p)
        for event in maker.made_of(begun or State(), changes)
    ]


def test_nothing_is_remembered_of_a_run_that_has_ended() -> None:
    ended = replace(RUN, state="cancelled")
    maker = EventMaker({RUN.id: ended}.get, [])
    made(FlowRunPut(RUN), FlowRunPut(ended), maker=maker)
    late = replace(JOB, chain=RUN.id, flow_step="run-1/crop//1")
    made(JobPut(late), FlowRunPut(replace(ended, id="run-2", parent="run-1/crop//1")), maker=maker)
    assert not maker._runs


def test_a_job_is_told_once_a_state() -> None:
    begun = State(jobs={JOB.id: JOB})
    assert made(JobPut(replace(JOB, pid=4)), begun=begun) == []
    ((topic, payload),) = made(JobPut(replace(JOB, state="timed out", reason="late")), begun=begun)
    assert topic == "jobs~first~timed-out"
    assert (payload["job"], payload["state"], payload["reason"]) == ("job-1", "timed out", "late")


def test_a_step_is_told_once_a_state_and_attempt_with_the_outermost_run() -> None:
    maker = EventMaker(lambda _: None, [])
    inner = replace(RUN, id="run-2", flow="inner", parent="run-1/crop//1")
    turn = (FlowRunPut(RUN), FlowRunPut(inner), FlowStepPut("run-2", STEP))
    events = maker.made_of(State(), turn)
    assert [event.correlation for event in events] == ["run-1"] * 3
    assert maker.made_of(State(), [FlowStepPut("run-2", STEP._replace(deadline=None))]) == []
    again = [FlowStepPut("run-2", STEP._replace(attempt=2))]
    assert [event.attempt for event in maker.made_of(State(), again)] == [2]


def test_a_step_that_waits_for_nothing_is_told_when_it_begins() -> None:
    waiting = FlowStepPut("run-1", STEP._replace(state="waiting"))
    topics = [topic for topic, _ in made(FlowRunPut(RUN), waiting, FlowStepPut("run-1", STEP))]
    assert topics == ["flows~forecast~run~running", "flows~forecast~step~crop~running"]
    topics = [topic for topic, _ in made(FlowRunPut(RUN), waiting)]
    assert topics[-1] == "flows~forecast~step~crop~waiting"


def test_after_a_restart_a_step_that_was_told_is_not_told_again() -> None:
    run = replace(RUN, steps={("crop", None): STEP})
    maker = EventMaker({"run-1": run}.get, [])
    assert made(FlowStepPut("run-1", STEP), maker=maker) == []
    done = made(FlowStepPut("run-1", STEP._replace(state="done", reason='"so"')), maker=maker)
    assert done == [
        ("flows~forecast~step~crop~done",
         {"run": "run-1", "step": "crop", "state": "done", "reason": '"so"'}),
    ]  # fmt: skip


def test_a_change_below_a_key_of_the_checklist_has_what_has_changed_alone() -> None:
    value = {"a": 1, "b": 2, "c": 3}
    ((topic, payload),) = made(
        message('{"source": "first"}'), ChecklistPut("tide gauge", value, ("b",))
    )
    assert topic == "checklist~tide%20gauge"
    assert payload == {"key": "tide gauge", "message": 7, "subkeys": ["b"], "value": {"b": 2}}


@pytest.mark.parametrize("body", ["x" * 5000, "payload: [&a [1], *a]"])
def test_what_may_be_much_is_told_by_the_number_of_its_message(body: str) -> None:
    ((_, payload),) = made(message(body), ChecklistPut("first", {"a": 1}, None))
    assert payload == {"key": "first", "message": 7, "large": True}


# --- the reference


def documented() -> dict[str, set[str]]:
    """Give the topics of the table, each with the keys of its payload."""
    table = REFERENCE.read_text().partition("## Topics")[2].partition("## What holds")[0]
    rows = re.findall(r"^\| `([^`]+)` \|([^|]*)\| [^|]* \|$", table, re.MULTILINE)
    return {topic: set(re.findall(r"`(\w+)`", keys)) for topic, keys in rows}


def is_of(topic: str, pattern: str) -> bool:
    fields, wanted = topic.split("~"), pattern.split("~")
    return len(fields) == len(wanted) and all(
        (word.isupper() and word != "PUBLISH") or word == field
        for field, word in zip(fields, wanted, strict=True)
    )


def one_of_each() -> list[EventPut]:
    """Make events of all that can happen; those of other rooms by the words they use."""
    maker = EventMaker(lambda _: None, [AGENT])
    begun = State(
        checklist={"first": 1},
        schedule={"daily": ITEM, "paused": replace(ITEM, item="paused", paused=AT)},
    )
    member = replace(JOB, flow_step="run-1/crop//1", ensemble="all-1", reason="so")
    changes: list[Change] = [
        JobPut(JOB),
        JobPut(replace(member, id="job-2")),
        EnsemblePut(ENSEMBLE),
        HoldPut(HoldRecord("first", AT)),
        HoldDropped(None),
        message('{"source": "first"}'),
        ChecklistPut("first", {"a": 1}, None),
        ChecklistCleared(),
        FlowRunPut(replace(RUN, reason="so", parent=None)),
        FlowStepPut("run-1", STEP._replace(item=2, job="job-1", reason="so")),
        SchedulePut(replace(ITEM, nominal=AT, job="job-1")),
        SchedulePut(replace(ITEM, cursor="2026-11-23T03:00:00.000Z")),
        SchedulePut(replace(ITEM, paused=AT)),
        SchedulePut(replace(ITEM, item="paused")),
        AgentPut(replace(AGENT, described={"cores": 2})),
        *(AgentPut(replace(AGENT, standing=s)) for s in ("draining", "disabled", "online")),
        AgentDropped("node1"),
    ]
    elsewhere = [
        EventPut("checklist", {}),
        EventPut("flows~f~step~s~progress", dict.fromkeys(("run", "item", "text", "fraction"))),
        EventPut("f~PUBLISH~~T~tell", {}),
        own_end(),
        EventPut("daemons~manager~started", dict.fromkeys(("daemon", "pid", "started", "boot"))),
        EventPut("daemons~store~restored", {"daemon": "store"}),
        EventPut("daemons~store~repaired", {"daemon": "store"}),
        EventPut("notifications~operators~sent", dict.fromkeys(("channel", "title"))),
        EventPut("logs~manager~INFO", dict.fromkeys(("logger", "level", "process", "text"))),
    ]
    return [*maker.made_of(begun, changes), *of_products(), *elsewhere]


def of_products() -> Iterator[EventPut]:
    """Make events of all that can happen to a product."""
    instance = InstanceRecord(
        "instance-1", "tides", AT, 1, AT, AT, complete=AT, late=AT, job="job-1"
    )
    data = DataRecord("data-1", "instance-1", "a.csv", ("u",), AT, AT, "1", AT, AT)
    file = FileRecord(
        data,
        DataInstanceRecord(
            "file-1", "data-1", "file:///a.csv", "local", "csv", 1, "0", True, AT, AT, AT,
            inputs={"files": []},
        ),
    )  # fmt: skip
    taken = Taken(((instance, True),), (Registered("instance-1", file, is_new=True),), (file,))
    yield from product_events.of_registration(taken, "tides", None)
    yield product_events.of_late("tides", AT, AT, replace(instance, complete=None))
    yield product_events.of_gone("expired", replace(instance, deleted=AT), [file], "too old")
    yield product_events.of_gone("deleted", replace(instance, deleted=AT, pinned=AT), [file])
    yield product_events.of_file_gone(instance, file)


def test_the_reference_has_each_topic_with_the_keys_of_its_payload_and_no_other() -> None:
    table = documented()
    assert len(table) > 20
    met: set[str] = set()
    for event in one_of_each():
        patterns = [pattern for pattern in table if is_of(event.topic, pattern)]
        assert patterns, f"{event.topic} is not in {REFERENCE}"
        pattern = max(
            patterns, key=lambda each: sum(not word.isupper() for word in each.split("~"))
        )
        met.add(pattern)
        payload: Mapping[str, Any] = (
            json.loads(event.payload) if isinstance(event.payload, str) else event.payload
        )
        assert set(payload) <= table[pattern], (event.topic, pattern)
    assert met == set(table)
