"""What an agent and the manager say to each other, as values; how it travels is another matter.

An agent asks, the manager answers, so an agent needs no open port::

    Register ──▶ Acknowledge      who I am; once after it starts, and when it is asked to again
    Report   ──▶ Acknowledge      what I use, every ``report_every`` seconds; renews the lease
    Pull     ──▶ Acknowledge      waits with the manager until there is another order for me
    Answer   ──▶ Acknowledge      what carrying out an order came to

Every answer has a :class:`Talkback`, and where the agent does not have the newest order, that:
:class:`Assignments`. An order is one of ``executors.remote_side.exchange`` and tells all that is
wanted: which jobs to begin, to end, to look at and to clear. So a newer one replaces the one
before, one that is lost is made again, and to carry one out twice does no harm: a job is claimed
once, in its folder. An agent carries the newest one out again and again, and gives an
:class:`Answer` whenever something is new; the next order then knows what the manager has.

Each message is a JSON text (:func:`to_text`, :func:`from_text`). Over the message broker that
text is the payload of a message ``nowcast agent``, and so is the answer; over HTTP it would be
the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from nowcast_cli.config.requirements import TAG
from nowcast_cli.messages.message import Message
from nowcast_cli.messages.plain import NotPlain, from_plain, to_plain

TYPE = "agent"  # of the messages, of the source ``nowcast``, that carry these over the broker
PROTOCOL = 1
LONGEST_WAIT = 60.0  # s that a Pull may wait
MOST_ERRORS = 20  # that one report tells of

Standing = Literal["online", "draining", "disabled"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")  # as of keys


class AgentMessageError(ValueError):
    """A text is no message of or to an agent; a sentence says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a host jobs may have; None for all that there is.

    ``cpus``, ``memory`` (bytes) and ``slots`` (jobs at once) bound what is placed there together;
    beyond ``max_load``, a one-minute load average, nothing more is placed.
    """

    cpus: int | None = None
    memory: int | None = None
    max_load: float | None = None
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics processor; ``memory`` in bytes, None where it is not known."""

    name: str
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system: where it is mounted, its bytes and, where it was looked at, the free ones."""

    path: str
    total: int
    free: int | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """Bytes since the host's boot: read from and written to disks, received and sent."""

    read: int = 0
    written: int = 0
    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Register:
    """Who an agent is, and what its host is.

    Parameters
    ----------
    agent
        Its name, which is that of its key.
    instance
        Made anew at each start of the agent: a later one of the same name replaces it.
    boot, machine
        Ids of the boot and of the machine (or its name, where it has no id).
    state_directory
        Where job folders are on the host. With ``machine`` it tells where the agent's jobs are.
    config_file
        The configuration file there; None where it is at the same place as the manager's.
    cpus, memory, gpus, disks
        What the host has; ``memory`` in bytes.
    tags
        What is installed there, or whatever else workers may require.
    limits
        Those that the agent was started with.
    running
        Ids of jobs of which processes live there.
    clock
        Seconds since the epoch, as the host has them.
    """

    agent: str
    instance: str
    boot: str
    machine: str
    hostname: str
    version: str
    python: str
    state_directory: str
    cpus: int
    memory: int
    clock: float
    config_file: str | None = None
    gpus: tuple[Gpu, ...] = ()
    disks: tuple[Disk, ...] = ()
    tags: tuple[str, ...] = ()
    limits: Limits = Limits()
    running: tuple[str, ...] = ()
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class Report:
    """What a host uses just now.

    ``number`` counts the reports of an instance. ``memory_free`` is in bytes, ``load`` the
    one-minute average. ``errors`` are exceptions of the agent that nobody caught since the last
    report that was answered, at most ``MOST_ERRORS``, each with its traceback. ``order`` is the id
    of the one that the agent has: a pull may be lost on its way, then the answer has the newest.
    """

    agent: str
    instance: str
    number: int
    clock: float
    memory_free: int
    load: float
    disks: tuple[Disk, ...] = ()
    counters: Counters = Counters()
    running: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    order: str | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """Ask for an order; answered when there is another than ``order``, or after ``wait`` seconds.

    ``order`` is the id of the one that the agent has, None for none.
    """

    agent: str
    instance: str
    order: str | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What ``exchange`` returned for the order ``order``.

    Jobs of which nothing is new may be left out, so a large answer may be given in parts.
    """

    agent: str
    instance: str
    order: str
    exchange: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """An operator's question: what is known of all agents at this instant. Not for agents."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """An order for ``remote_side.exchange``; ``id`` tells it from all other orders."""

    id: str
    order: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Talkback:
    """How the manager sees the agent.

    ``state`` and ``limits`` are what operators have made of them. ``report_every`` and ``lease``
    are in seconds: an agent that is not heard of for longer than the lease is shown as offline,
    and keeps its jobs. ``clock_offset`` is how far its clock is ahead of the manager's, in
    seconds. ``register`` asks it to say again who it is. ``refused`` is a sentence: this instance
    is not to go on, since another has its name.
    """

    state: Standing = "online"
    limits: Limits = Limits()
    report_every: float = 5.0
    lease: float = 60.0
    clock_offset: float | None = None
    register: bool = False
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The manager's answer to each message of an agent."""

    talkback: Talkback = Talkback()
    assignments: Assignments | None = None


@dataclass(frozen=True, slots=True)
class AgentPicture:
    """What is known of an agent.

    ``state`` is one of ``Standing``, or ``offline``; ``standing`` what operators have said.
    ``limits`` are those that hold. ``heard`` is when it was last heard of, ISO 8601 UTC, None for
    never; ``offset`` how far its clock is ahead, in seconds. ``jobs`` are those that are on it.
    """

    name: str
    state: str
    standing: Standing
    limits: Limits = Limits()
    register: Register | None = None
    report: Report | None = None
    heard: str | None = None
    offset: float | None = None
    errors: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """The manager's answer to :class:`Look`: all agents, by name.

    ``waiting`` counts the jobs that wait for one. ``stuck`` are sentences on such as no agent can
    take, whatever ends.
    """

    agents: tuple[AgentPicture, ...] = ()
    waiting: int = 0
    stuck: tuple[str, ...] = ()


OfAgent: TypeAlias = Register | Report | Pull | Answer
_KINDS: dict[str, type[Any]] = {
    "register": Register,
    "report": Report,
    "pull": Pull,
    "answer": Answer,
    "look": Look,
    "acknowledge": Acknowledge,
    "picture": Picture,
}
AnyMessage: TypeAlias = OfAgent | Look | Acknowledge | Picture
A = TypeVar("A", Acknowledge, Picture)
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(message: AnyMessage) -> dict[str, Any]:
    """Give a message as JSON values; ``what`` names its kind."""
    return {"what": _NAMES[type(message)], **to_plain(message)}


def from_json(value: Any) -> AnyMessage:
    """Read what :func:`to_json` gave. Raises AgentMessageError."""
    what = value.get("what") if isinstance(value, Mapping) else None
    kind = _KINDS.get(what) if isinstance(what, str) else None
    if kind is None:
        raise AgentMessageError(f"there is no message of agents {what!r}")
    try:
        message: AnyMessage = from_plain(kind, value)
    except NotPlain as error:
        raise AgentMessageError(f"a wrong {what}: {error}") from None
    _refuse_names(message)
    return message


def to_text(message: AnyMessage) -> str:
    """Give a message as JSON text of ASCII letters."""
    return json.dumps(to_json(message))


def from_text(text: Any) -> AnyMessage:
    """Read what :func:`to_text` gave. Raises AgentMessageError."""
    if not isinstance(text, str):
        raise AgentMessageError("a message of an agent is JSON text")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AgentMessageError(f"a message of an agent is JSON text: {error}") from None
    return from_json(value)


def over_broker(message: OfAgent | Look) -> Message:
    """Give the message for ``messages.Client.ask``."""
    return Message("nowcast", TYPE, to_text(message))


def acknowledge_in(reply: Message) -> Acknowledge:
    """Read the manager's answer to a message of an agent. Raises AgentMessageError.

    So it does where the broker or the manager has refused the message: with what they said.
    """
    return _answer_in(reply, Acknowledge)


def picture_in(reply: Message) -> Picture:
    """Read the manager's answer to :class:`Look`. Raises AgentMessageError."""
    return _answer_in(reply, Picture)


def _answer_in(reply: Message, kind: type[A]) -> A:
    if reply.type != TYPE:
        said = reply.payload.get("what") if isinstance(reply.payload, dict) else reply.payload
        raise AgentMessageError(f"{reply.source} answered {reply.type!r}: {said}")
    message = from_text(reply.payload)
    if not isinstance(message, kind):
        raise AgentMessageError(f"{reply.source} answered with a {_NAMES[type(message)]}")
    return message


def is_agent_name(name: str) -> bool:
    """Say whether an agent may be called so; its key has the same name."""
    return _NAME.fullmatch(name) is not None


def is_tag(text: str) -> bool:
    """Say whether this may be a tag of a host."""
    return TAG.fullmatch(text) is not None


def _refuse_names(message: AnyMessage) -> None:
    if not isinstance(message, OfAgent):
        return
    if not is_agent_name(message.agent):
        raise AgentMessageError(f"{message.agent!r} cannot be the name of an agent")
    if isinstance(message, Register):
        for tag in message.tags:
            if not is_tag(tag):
                raise AgentMessageError(f"{tag!r} cannot be a tag: letters, digits and ._:=+-")
