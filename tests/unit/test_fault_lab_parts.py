"""What decides in the fault lab: its plans, its catalogue, its model, its test of growth."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))

from lab import ensembles, journal
from lab.catalogue import CATALOGUE, FLAVOURS, POINTS, RARE_POINTS
from lab.deployment import arguments_of, module_of
from lab.ensembles import FoundEnsembles
from lab.episode import Outcome
from lab.faults import _STRIKES
from lab.growth import Tolerance, growth_of
from lab.journal import Found
from lab.plans import Doing, Rule, plan_of
from lab.report import summary_of
from lab.runner import Result
from nowcast_cli.store.records import EnsembleRecord, JobRecord, Member, MessageRecord

PACKAGE = Path(__file__).parents[2] / "nowcast_cli"
EVERYTHING = frozenset({"disk", "clock", "standby", "all daemons"})


def test_every_crash_point_of_the_code_is_in_the_catalogue_and_the_other_way_round():
    named = set()
    for file in PACKAGE.rglob("*.py"):
        for call in re.findall(r"\breached\(([^)]*)\)", file.read_text()):
            named |= set(re.findall(r'"([a-z_]+\.[a-z_]+)"', call))
    daemons = {f"{room}.locked" for room in POINTS if "locked" in POINTS[room]}
    known = {f"{room}.{point}" for room, points in POINTS.items() for point in points}
    assert named | (daemons - {"launcher.locked"}) == known | RARE_POINTS


def test_every_kind_of_fault_can_be_done_and_every_flavour_is_one():
    assert {entry.kind for entry in CATALOGUE} == set(_STRIKES)
    for kind, place in FLAVOURS.values():
        assert not kind or any((entry.kind, entry.place) == (kind, place) for entry in CATALOGUE)


def test_a_seed_gives_the_same_plan_again_and_another_seed_another():
    first = plan_of("plain:5", 20, EVERYTHING)
    assert plan_of("plain:5", 20, EVERYTHING) == first
    assert plan_of("plain:6", 20, EVERYTHING).faults != first.faults
    assert len(first.faults) == 20


def test_plans_draw_only_what_the_system_is_made_for():
    for number in range(5):
        plan = plan_of(f"plain:{number}", 30, frozenset())
        needs = {(entry.kind, entry.place): entry.needs for entry in CATALOGUE}
        assert {needs[fault.kind, fault.place] for fault in plan.faults} == {None}


def test_a_costly_flavour_has_its_fault_in_the_middle():
    plan = plan_of("cable:1", 10, EVERYTHING)
    assert (plan.faults[5].kind, plan.faults[5].place) == FLAVOURS["cable"]


def test_a_seed_of_no_flavour_is_refused():
    with pytest.raises(ValueError, match="plain, cable, flood, large"):
        plan_of("417", 10, EVERYTHING)


# --- the model

DOING = Doing("success", 0, 0, None, None)
JOB = JobRecord(
    id="01a201f9-1259-78d6-ac7e-2669eefd7d9d",
    worker="w1",
    module=module_of("w1"),
    arguments=tuple(arguments_of(DOING)),
    host="localhost",
    executor="local",
    state="succeeded",
    attempt=1,
    predecessor=None,
    cause=1,
    chain="chain",
    barrier=None,
    created="2026-11-22T00:00:00.000Z",
    exit={},
    final_message=2,
)
FIRST = MessageRecord(
    1, "hand-0", "", "hand", "success", None, None, "chain", None, "decided"
)  # fmt: skip
SECOND = MessageRecord(
    2, "m-2", "", "w1", "success", None, JOB.id, "chain", "success", "decided"
)  # fmt: skip


@pytest.fixture
def system(tmp_path):
    """Give what the model asks of a system in which nothing was done."""
    plan = replace(
        plan_of("plain:1", 1, frozenset()),
        rules={"hand": {"success": Rule((("w1", DOING),))}, "w1": {}},
    )
    return SimpleNamespace(
        plan=plan,
        paths=SimpleNamespace(jobs=tmp_path),
        torn_jobs=set(),
        killed=set(),
        traffic=SimpleNamespace(acknowledged={"hand-0"}, cancelled=set()),
    )


def said(system, *, messages=(FIRST, SECOND), jobs=(JOB,), begun=(JOB.id,)):
    found = Found(list(messages), list(jobs), {}, Counter(begun))
    for job in jobs:
        found.by_cause[job.cause].append(job)
    for message in messages:
        if message.job is not None:
            found.by_job[message.job].append(message)
    return "\n".join(
        [
            *journal._messages(system, found),
            *journal._launches(system, found),
            *(each for job in jobs for each in journal._job(system, found, job)),
        ]
    )


def test_a_journal_in_which_all_is_well_is_believed(system):
    assert said(system) == ""


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"begun": (JOB.id, JOB.id)}, "its code has begun 2 times"),
        ({"begun": ()}, "its code has never begun"),
        ({"jobs": (), "begun": ()}, "follow []"),
        ({"jobs": (JOB, replace(JOB, id=JOB.id[:-1] + "e"))}, "from message 1"),
        ({"jobs": (replace(JOB, arguments=("--do", "{}")),)}, "from message 1"),
        ({"jobs": (replace(JOB, state="running", exit=None),)}, "has no end"),
        ({"jobs": (replace(JOB, exit=None),)}, "was not seen to end"),
        ({"jobs": (replace(JOB, state="lost"),)}, "its runner was not killed"),
        ({"jobs": (replace(JOB, state="crashed"),)}, "it was to be succeeded"),
        ({"jobs": (replace(JOB, state="cancelled"),)}, "nobody has cancelled it"),
        ({"jobs": (replace(JOB, final_message=None),)}, "have ended it"),
        (
            {"messages": (FIRST, SECOND, replace(SECOND, number=3, id="m-3"))},
            "messages [2, 3] have ended it",
        ),
        ({"messages": (FIRST, replace(SECOND, number=3))}, "gaps"),
        ({"messages": (FIRST, replace(SECOND, state="received"))}, "is not decided"),
        ({"messages": (FIRST, replace(SECOND, state="stuck"))}, "is stuck"),
        ({"messages": (replace(FIRST, id="other"), SECOND)}, "hand-0 was acknowledged"),
    ],
)
def test_what_does_not_hold_is_said(system, changed, complaint):
    assert complaint in said(system, **changed)


# --- growth

MEGABYTE = Tolerance(1.0, 0.05)


def noisy(value, count=60):
    return [(t, value(t) + (t * 7 % 5) * 0.05) for t in range(count)]


def test_a_leak_grows():
    assert growth_of(noisy(lambda t: 20 + t * 0.2), MEGABYTE).verdict == "grows"


def test_noise_a_warm_up_and_a_sawtooth_are_steady():
    assert growth_of(noisy(lambda t: 20), MEGABYTE).verdict == "steady"
    assert growth_of(noisy(lambda t: 20 + min(t, 15)), MEGABYTE).verdict == "steady"
    assert growth_of(noisy(lambda t: 20 + t % 10), MEGABYTE).verdict == "steady"
    assert growth_of(noisy(lambda t: 40 - 20 / (1 + t / 10)), MEGABYTE).verdict == "steady"


def test_a_small_gain_is_nobodys_concern_and_a_single_jump_no_growth():
    assert growth_of(noisy(lambda t: 20 + t * 0.01), MEGABYTE).verdict == "steady"
    assert growth_of(noisy(lambda t: 20 + (5 if t == 50 else 0)), MEGABYTE).verdict == "steady"


def test_a_warm_up_in_seconds_is_left_out_and_what_is_short_is_said_to_be():
    leak = noisy(lambda t: 20 + t)
    assert growth_of(leak, MEGABYTE, warm_up=30).verdict == "grows"
    assert growth_of(leak, MEGABYTE, warm_up=55).verdict == "too short"
    assert growth_of([], MEGABYTE).verdict == "too short"


def test_a_long_series_is_judged_as_a_short_one():
    assert growth_of(noisy(lambda t: 20 + t * 0.002, 20_000), MEGABYTE).verdict == "grows"
    assert growth_of(noisy(lambda t: 20, 20_000), MEGABYTE).verdict == "steady"


ENSEMBLE = EnsembleRecord(
    "e1", "w1", "1, 2", 2, None, None, "crashed", 1, "chain", None, JOB.created,
    succeeded=1, crashed=1, final_message=2,
)  # fmt: skip
COMBINED = MessageRecord(
    2, "ensemble-e1", "", "w1", "crash",
    'source: w1\ntype: crash\npayload: {1: null, failed: [2], cancelled: []}\n',
    None, "chain", "crash", "decided",
)  # fmt: skip
MEMBERS = tuple(
    replace(JOB, id=f"{JOB.id[:-1]}{n}", state=state, ensemble="e1", member=Member(n, n - 1, 2))
    for n, state in ((1, "succeeded"), (2, "crashed"))
)


@pytest.mark.parametrize(
    ("ensemble", "members", "message", "complaint"),
    [
        ({}, {}, {}, None),
        ({"state": "open"}, {}, {}, "it has no end"),
        ({"state": "succeeded"}, {}, {}, "so it is to be crashed"),
        ({"at_least": 1}, {}, {}, "so it is to be succeeded"),
        ({}, {"state": "succeeded"}, {}, "so it is to be succeeded"),
        ({}, {}, {"id": "other"}, "its combined message is None"),
        ({}, {}, {"number": 7}, "message 7 tells of crash"),
        ({}, {}, {"body": COMBINED.body.replace("[2]", "[]")}, "its message names []"),
        ({}, {}, {"body": COMBINED.body.replace("1: null, ", "")}, "its message tells what"),
        ({"size": 3}, {}, {}, "it has members [0, 1], not 3"),
        ({"id": "e2"}, {}, {}, "there are members of e1, and no such ensemble"),
    ],
)
def test_what_does_not_hold_of_an_ensemble_is_said(system, ensemble, members, message, complaint):
    records = [replace(ENSEMBLE, **ensemble)]
    jobs = [MEMBERS[0], replace(MEMBERS[1], **members)]
    found = FoundEnsembles.of(records, jobs)
    problems = list(ensembles.violations(system, found, [replace(COMBINED, **message)]))
    if complaint is None:
        assert problems == []
    else:
        assert any(complaint in problem for problem in problems), problems


def test_what_did_not_hold_is_said_last_and_short():
    traceback = "the manager has left a traceback: Traceback\n  File x\nValueError: no\n"
    bad = Outcome("cable:7", violations=["it has no end", traceback, *["more"] * 5])
    last = summary_of(Result([Outcome("plain:1"), bad])).splitlines()[-6:]
    assert last[0] == "did not hold: cable:7: it has no end"
    assert last[1].endswith("has left a traceback: Traceback … ValueError: no")
    assert last[-1] == "did not hold: cable:7: and 2 more"
