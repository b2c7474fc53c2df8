"""What one system goes through, drawn by hypothesis from a seed: the same seed, the same plan.

A seed is written ``flavour:number``. The flavour says what the system is like: ``plain``, or what
is costly and has its own rate (``cable``, ``flood`` …).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.catalogue import CATALOGUE, FLAVOURS
from nowcast_cli.messages import wire

ENDS = ("success",) * 12 + ("failure", "raise", "exit", "sys.exit")
JOBS_A_CHAIN = 16


@dataclass(frozen=True)
class Doing:
    """What one launched worker does: its arguments, but for its name.

    With ``members`` it is an ensemble, each member of which ends by one of ``ends`` in turn.
    """

    end: str
    sleep: int  # milliseconds
    tells: int  # messages in between
    needs: str | None  # a key of the checklist
    payload: str | None  # YAML
    members: int = 0
    at_most: int | None = None
    ending: str | int = "all"
    ends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """What follows from a message: launches in order, a barrier, and how the function behaves."""

    launches: tuple[tuple[str, Doing], ...] = ()
    barrier: tuple[str, ...] = ()
    manner: str = "well"  # or "raise", "slow"


@dataclass(frozen=True)
class JobSettings:
    """What the registry says of the jobs of a worker; None and () where it says nothing."""

    tries: int | None = None
    retried_on: tuple[str, ...] = ()
    delay: float = 0.0  # seconds before the second try
    concurrency: int | None = None
    timeout: float | None = None  # seconds
    priority: int | None = None


@dataclass(frozen=True)
class PlannedFault:
    """A fault that is to be tried ``gap`` ms after the one before.

    ``strength`` (0 to 100) is how long or how hard, ``choice`` picks among equals.
    """

    kind: str
    place: str
    gap: int
    strength: int
    choice: int


@dataclass(frozen=True)
class Plan:
    """One system and its fate. ``rules`` are by worker, then by type of message."""

    seed: str
    flavour: str
    workers: tuple[str, ...]
    rules: Mapping[str, Mapping[str, Rule]]
    roots: tuple[tuple[str, Doing], ...]
    deadline: int  # seconds that a worker waits for an answer
    busy: int  # open jobs below which another chain is launched
    settings: Mapping[str, JobSettings]
    together: int | None  # jobs of the system at once, where that is limited
    features: frozenset[str]
    faults: tuple[PlannedFault, ...]


def plan_of(seed: str, faults: int, can: frozenset[str]) -> Plan:
    """Draw the plan of a seed, with that many faults; ``can`` are the features possible here."""
    flavour = seed.partition(":")[0]
    if flavour not in FLAVOURS:
        raise ValueError(f"{seed}: a seed is one of {', '.join(FLAVOURS)}, a colon and a number")
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    drawn: list[Plan] = []

    @hypothesis.seed(number)
    @settings(
        max_examples=5,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_plans(seed, flavour, faults, can))
    def draw(plan: Plan) -> None:
        drawn.append(plan)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw()
    return drawn[-1]  # the first is always the simplest


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))
)
_KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.integers(0, 99)
_PAYLOADS = st.none() | st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


def _as_text(payload: Any) -> str | None:
    """Give a payload as YAML; what cannot be sent is sent as its representation."""
    if payload is None:
        return None
    try:
        text = wire.dump(payload)
        wire.load(text)
    except wire.WireError:
        text = wire.dump(repr(payload).encode("ascii", "replace").decode())
    return text


@st.composite
def _doings(draw: st.DrawFn, workers: tuple[str, ...]) -> Doing:
    return Doing(
        end=draw(st.sampled_from(ENDS)),
        sleep=draw(st.sampled_from((0, 0, 5, 20, 50, 100, 200, 400))),
        tells=draw(st.sampled_from((0, 0, 0, 1, 2))),
        needs=draw(st.sampled_from((None, None, None, None, *workers))),
        payload=_as_text(draw(_PAYLOADS)),
    )


@st.composite
def _launched_doings(draw: st.DrawFn, workers: tuple[str, ...]) -> Doing:
    """Draw what a worker does that follows from another one: some are ensembles."""
    doing = draw(_doings(workers))
    members = draw(st.sampled_from((0,) * 8 + (1, 3, 5)))
    if not members:
        return doing
    return replace(
        doing,
        members=members,
        at_most=draw(st.sampled_from((None, 1, 2))),
        ending=draw(st.sampled_from(("all", "all", "any", 1, members))),
        ends=tuple(draw(st.lists(st.sampled_from(ENDS), min_size=1, max_size=3))),
    )


def _gets_stuck(rules: Mapping[str, Rule]) -> bool:
    return any(rule.manner == "raise" for rule in rules.values())


@st.composite
def _rules(draw: st.DrawFn, workers: tuple[str, ...]) -> dict[str, dict[str, Rule]]:
    """Draw what follows from each worker: later ones only, so that chains end."""
    sizes = dict.fromkeys(workers, 1)
    rules: dict[str, dict[str, Rule]] = {}
    for index in reversed(range(len(workers))):
        name, later = workers[index], workers[index + 1 :]
        rules[name] = {}
        for kind, fan in (("success", 5), ("failure", 1), ("crash", 1)):
            wanted = draw(st.lists(st.sampled_from(later), max_size=fan)) if later else []
            launches: list[tuple[str, Doing]] = []
            for target in wanted:
                doing = draw(_launched_doings(workers))
                launched = sum(sizes[each] + one.members for each, one in launches)
                if 1 + launched + sizes[target] + doing.members <= JOBS_A_CHAIN:
                    launches.append((target, doing))
            # What got stuck at its message passes no barrier: there, whoever sees to it does.
            together = sorted({each for each, _ in launches if not _gets_stuck(rules[each])})
            barrier = draw(st.booleans()) and kind == "success" and len(together) > 1
            manner = draw(st.sampled_from(("well",) * 40 + ("slow", "raise")))
            rules[name][kind] = Rule(tuple(launches), tuple(together) if barrier else (), manner)
            launched = sum(sizes[each] + one.members for each, one in launches)
            sizes[name] = max(sizes[name], 1 + launched)
    rules["timed"] = {}
    rules["hand"] = {"success": rules[workers[0]]["success"]}
    return rules


@st.composite
def _settings_of_a_worker(draw: st.DrawFn) -> JobSettings:
    tries = draw(st.sampled_from((None, None, 2, 3)))
    retried_on = draw(st.lists(st.sampled_from(("crash", "failure", "lost")), min_size=1))
    return JobSettings(
        tries=tries,
        retried_on=tuple(sorted(set(retried_on))) if tries else (),
        delay=draw(st.sampled_from((0.01, 0.1, 0.5))),
        concurrency=draw(st.sampled_from((None, None, None, 1, 2))),
        timeout=draw(st.sampled_from((None, None, None, 1.0, 5.0))),
        priority=draw(st.sampled_from((None, None, -5, 10))),
    )


@st.composite
def _settings(
    draw: st.DrawFn, workers: tuple[str, ...], wanted: bool
) -> tuple[dict[str, JobSettings], int | None]:
    if not wanted:
        return {}, None
    each = {worker: draw(_settings_of_a_worker()) for worker in workers}
    return each, draw(st.sampled_from((None, None, 2, 4)))


# Each is what a system is made with, and what makes some faults possible.
_FEATURES = (
    *[frozenset[str]()] * 8,
    *[frozenset({"disk"})] * 6,
    *[frozenset({"clock"})] * 2,
    *[frozenset({"all daemons"})] * 3,
    *[frozenset({"standby"})] * 3,
    frozenset({"disk", "clock", "standby", "all daemons"}),
)
# How jobs are limited and tried again, whether some are commands, and the ports ask for keys.
_MORE_FEATURES = (
    *[frozenset[str]()] * 3,
    *[frozenset({"jobs"})] * 3,
    *[frozenset({"commands"})] * 2,
    *[frozenset({"commands", "jobs"})] * 2,
    frozenset({"curve"}),
    frozenset({"jobs", "curve"}),
)


@st.composite
def _faults(
    draw: st.DrawFn, flavour: str, features: frozenset[str], count: int
) -> tuple[PlannedFault, ...]:
    possible = [each for each in CATALOGUE if each.needs is None or each.needs in features]
    by_rate = st.sampled_from([each for each in possible for _ in range(each.rate)])
    planned = []
    for _ in range(count):
        chosen = draw(by_rate)
        gap, strength = draw(st.integers(0, 150)), draw(st.integers(0, 100))
        choice = draw(st.integers(0, 10**6))
        planned.append(PlannedFault(chosen.kind, chosen.place, gap, strength, choice))
    kind, place = FLAVOURS[flavour]
    if kind:
        planned.insert(count // 2, PlannedFault(kind, place, 0, 50, 0))
    return tuple(planned)


@st.composite
def _plans(draw: st.DrawFn, seed: str, flavour: str, faults: int, can: frozenset[str]) -> Plan:
    workers = tuple(f"w{number}" for number in range(draw(st.integers(4, 8))))
    features = draw(st.sampled_from(_FEATURES)) | draw(st.sampled_from(_MORE_FEATURES))
    features &= can
    job_settings, together = draw(_settings(workers, "jobs" in features))
    return Plan(
        seed=seed,
        flavour=flavour,
        workers=workers,
        rules=draw(_rules(workers)),
        roots=tuple((draw(st.sampled_from(workers[:2])), draw(_doings(workers))) for _ in range(3)),
        # What cannot be told on a full disk cannot be kept either: there, workers are patient.
        deadline=60 if "disk" in features else draw(st.sampled_from((1, 3, 60))),
        busy=draw(st.sampled_from((2, 3, 5))),
        settings=job_settings,
        together=together,
        features=features,
        faults=draw(_faults(flavour, features, faults)),
    )
