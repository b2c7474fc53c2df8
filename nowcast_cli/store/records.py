"""What the store keeps, as values: messages, jobs, barriers, and the changes to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nowcast_cli.store.delay import Delay as Delay
from nowcast_cli.store.event_records import EventChange
from nowcast_cli.store.flow_records import FlowChange
from nowcast_cli.store.product_records import ProductChange

MessageState = Literal["received", "decided", "stuck", "answered", "late"]
JobState = Literal[
    "waiting",
    "held",
    "submitting",
    "running",
    "succeeded",
    "failed",
    "crashed",
    "timed out",
    "cancelled",
    "lost",
]
BarrierState = Literal["active", "released", "replaced"]
EnsembleState = Literal["open", "succeeded", "failed", "crashed", "cancelled"]
Outcome = Literal["success", "failure", "crash"]
Effect = Literal["put", "clear"]
AgentStanding = Literal["online", "draining", "disabled"]

UNFINISHED_STATES: frozenset[JobState] = frozenset({"waiting", "held", "submitting", "running"})


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message of the journal. Texts are YAML, times ISO 8601 UTC.

    ``body`` is the message as it came, None for one that the manager derived. ``effect`` says
    what it did to the checklist: ``put`` its payload at ``checklist_key`` (YAML), ``clear`` it, or
    nothing. ``reply_text`` is None for the plain acknowledgement. States: ``received`` (has had its
    effect, its launches are not decided), ``decided``, ``stuck`` (its after_ function failed:
    ``error``), ``answered`` (a request, which needs no decision), ``late`` (its job had ended).
    ``note`` says why nobody was asked about a message that is decided.
    """

    number: int
    id: str
    received: str
    source: str
    type: str
    body: str | None
    job: str | None
    chain: str
    outcome: Outcome | None
    state: MessageState
    reply_text: str | None = None
    decided: str | None = None
    error: str | None = None
    effect: Effect | None = None
    checklist_key: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """Which member of its ensemble a job is: ``label`` its name, ``index`` its place from 0 on.

    ``size`` members there are, of which ``at_most`` run at once; None is no limit. ``at_least`` is
    that of the ensemble. ``values`` are those of the parameters that it is made for, where it has
    more than its label.
    """

    label: int | str
    index: int
    size: int
    at_most: int | None = None
    at_least: int | None = None
    values: Mapping[str, int | str] | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One attempt to run a worker.

    ``cause`` is the number of the message that it follows, ``chain`` the id of the first job (or
    message) of its chain, ``exit`` what the runner wrote when the process had ended. ``attempt``
    counts from the first job that ``predecessor`` leads back to, ``tried`` from the last of those
    that was launched by a decision or by hand. ``timed_out`` says since when the job has run for
    longer than it may.

    ``executor`` is the name of the one that runs it, ``ssh`` for an enabled host; ``submitted`` is
    when that one, or the system beneath it, had taken it. ``native`` is what the system beneath
    says of it (``executors.native``). ``slow`` says since when it has run for far longer than any
    job of its worker before. ``ensemble`` is the id of the one that it is a ``member`` of.
    ``flow_step`` names the attempt of a step that it does, ``environment`` is what that step sets.
    """

    id: str
    worker: str
    module: str
    arguments: tuple[str, ...]
    host: str
    executor: str
    state: JobState
    attempt: int
    predecessor: str | None
    cause: int | None
    chain: str
    barrier: int | None
    created: str
    started: str | None = None
    ended: str | None = None
    pid: int | None = None
    exit: Mapping[str, Any] | None = None
    reason: str | None = None
    final_message: int | None = None
    tried: int = 1
    delay: Delay | None = None
    timed_out: str | None = None
    submitted: str | None = None
    native: Mapping[str, Any] | None = None
    slow: str | None = None
    ensemble: str | None = None
    member: Member | None = None
    flow_step: str | None = None
    environment: Mapping[str, str] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the job has not reached its end."""
        return self.state in UNFINISHED_STATES


@dataclass(frozen=True, slots=True)
class EnsembleRecord:
    """Several jobs of one worker that end as one.

    ``members`` names them in a few words, such as ``1..21``. With ``at_least`` it ends as soon as
    so many have succeeded, or no longer can; without when all have ended. ``cause``, ``chain`` and
    ``barrier`` are as those of a job, ``predecessor`` is the ensemble of which this one runs
    members again. Members are counted by how they ended: ``crashed`` are those that were lost or
    timed out, too. ``final_message`` is the combined one.
    """

    id: str
    worker: str
    members: str
    size: int
    at_most: int | None
    at_least: int | None
    state: EnsembleState
    cause: int | None
    chain: str
    barrier: int | None
    created: str
    predecessor: str | None = None
    succeeded: int = 0
    failed: int = 0
    crashed: int = 0
    cancelled: int = 0
    ended: str | None = None
    reason: str | None = None
    final_message: int | None = None

    @property
    def unfinished(self) -> bool:
        """Whether its ending is not decided."""
        return self.state == "open"

    @property
    def left(self) -> int:
        """How many members have not ended."""
        return self.size - self.succeeded - self.failed - self.crashed - self.cancelled


@dataclass(frozen=True, slots=True)
class BarrierRecord:
    """Workers that must all have ended before what follows from them is launched."""

    number: int
    cause: int
    workers: tuple[str, ...]
    waiting_for: tuple[str, ...]
    state: BarrierState
    created: str
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """What is known of an item of the schedule; times ISO 8601 UTC.

    Everything up to ``cursor``, a nominal time, was launched or passed over. ``nominal`` and
    ``job`` are of the last launch. ``paused`` says since when, None where it is not.
    """

    item: str
    timing: str
    cursor: str
    nominal: str | None = None
    job: str | None = None
    paused: str | None = None


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """Nothing of a worker, or with None of the whole system, is launched since then."""

    worker: str | None
    since: str


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What is kept of an agent.

    ``standing`` and ``limits`` (only those that are set) are what operators have said. With
    ``described`` it has registered last. ``seen`` is a time when it was heard of, late or last.
    """

    name: str
    standing: AgentStanding = "online"
    limits: Mapping[str, Any] = field(default_factory=dict)
    described: Mapping[str, Any] | None = None
    seen: str | None = None


@dataclass(frozen=True, slots=True)
class AssignmentRecord:
    """On which agent a job is, since ``placed``; until then, which one an operator has chosen.

    ``failed_on`` are the agents on which earlier attempts have failed.
    """

    job: str
    agent: str
    placed: str | None
    failed_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A new row of the journal."""

    message: MessageRecord


@dataclass(frozen=True, slots=True)
class MessageSettled:
    """A message of the journal has a new state."""

    number: int
    state: MessageState
    decided: str | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class JobPut:
    """A job is new, or has changed."""

    job: JobRecord


@dataclass(frozen=True, slots=True)
class EnsemblePut:
    """An ensemble is new, or has changed."""

    ensemble: EnsembleRecord


@dataclass(frozen=True, slots=True)
class BarrierPut:
    """A barrier is new, or has changed."""

    barrier: BarrierRecord


@dataclass(frozen=True, slots=True)
class SchedulePut:
    """An item of the schedule is new, or has changed."""

    schedule: ScheduleRecord


@dataclass(frozen=True, slots=True)
class ScheduleDropped:
    """An item of the schedule is no more."""

    item: str


@dataclass(frozen=True, slots=True)
class HoldPut:
    """Nothing more is launched, of a worker or of the whole system."""

    hold: HoldRecord


@dataclass(frozen=True, slots=True)
class HoldDropped:
    """A hold is over: that of a worker, or with None that of the whole system."""

    worker: str | None


@dataclass(frozen=True, slots=True)
class AgentPut:
    """An agent is new, or what is kept of it has changed."""

    agent: AgentRecord


@dataclass(frozen=True, slots=True)
class AgentDropped:
    """An agent is forgotten."""

    name: str


@dataclass(frozen=True, slots=True)
class AssignmentPut:
    """A job is placed on an agent, or an operator has chosen one for it."""

    assignment: AssignmentRecord


@dataclass(frozen=True, slots=True)
class AssignmentDropped:
    """A job that its agent never heard of is to be placed anew."""

    job: str


@dataclass(frozen=True, slots=True)
class ChecklistPut:
    """A key of the checklist has a new value; with ``subkeys``, only these below it changed.

    Not written by itself: the journal holds what made it so.
    """

    key: Any
    value: Any
    subkeys: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class ChecklistCleared:
    """The checklist is empty. Not written by itself: the journal holds what made it so."""


@dataclass(frozen=True, slots=True)
class RowsRemoved:
    """What is older than it has to be kept is no more: messages, jobs and others, by their keys.

    Whoever says so has seen that nothing needs them: ``store.pruning``.
    """

    messages: tuple[int, ...] = ()
    jobs: tuple[str, ...] = ()
    barriers: tuple[int, ...] = ()
    ensembles: tuple[str, ...] = ()
    flow_runs: tuple[str, ...] = ()
    event_batches: tuple[int, ...] = ()
    product_instances: tuple[str, ...] = ()


Change = (
    EventChange
    | FlowChange
    | ProductChange
    | MessageReceived
    | MessageSettled
    | JobPut
    | EnsemblePut
    | BarrierPut
    | SchedulePut
    | ScheduleDropped
    | HoldPut
    | HoldDropped
    | AgentPut
    | AgentDropped
    | AssignmentPut
    | AssignmentDropped
    | RowsRemoved
    | ChecklistPut
    | ChecklistCleared
)


SHORT_ID = 8


def short_id(identifier: str) -> str:
    """Give the part of an id that people type: its last eight characters, which are random."""
    return identifier[-SHORT_ID:]
