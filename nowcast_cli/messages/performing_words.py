"""The words of performers and the manager, as values; ``performing`` has their frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

ALIVE = b"alive"
ASK_HELLO = b"hello?"

ALIVE_EVERY = 1.0  # s between two signs of life
LEASE = 3.0  # s of silence, after which the broker calls a performer gone
FENCE = 3.0  # s without a sign of the other side, after which a performer begins nothing

State = Literal["done", "failed", "timed out", "lost"]
STATES: frozenset[str] = frozenset({"done", "failed", "timed out", "lost"})
MAPPING: Literal["mapping"] = "mapping"  # what the action host serves


@dataclass(frozen=True, slots=True)
class Hello:
    """Who a performer is, and what it has.

    Parameters
    ----------
    name
        ``action_workers``, or the name of a service.
    incarnation
        Hexadecimal, new at each start of its process: what another one had in hand is lost.
    pid
        Of its process, on this host.
    takes
        How many orders it may be given at once.
    serves
        ``mapping``: what ``actions.ini`` maps; or the action keys that it owns.
    has
        Orders that are in hand, or done and not acknowledged.
    number
        Counts the hellos of an incarnation; the welcome that answers it has the same.
    """

    name: str
    incarnation: str
    pid: int
    takes: int
    serves: Literal["mapping"] | tuple[str, ...]
    has: tuple[str, ...] = ()
    number: int = 0


class Result(NamedTuple):
    """How an order ended.

    ``gave`` is any value of JSON, of a ``done`` one alone; ``reason`` is a sentence and
    ``traceback`` a text, where it ended otherwise; ``seconds`` is how long it was under way.
    """

    id: str
    state: State
    gave: Any = None
    reason: str | None = None
    traceback: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """Results, in the order in which they came; those of a performer come again until taken."""

    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an order is; ``fraction`` from 0 to 1."""

    id: str
    text: str | None = None
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """An order has ``seconds`` more from now on."""

    id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """In the middle of its work an action asks the owner of ``key``; ``id`` is the ask's own."""

    id: str
    key: str
    values: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Bye:
    """The performer ends; what it has in hand and did not begin will not begin."""


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life, of either side."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answers the hello of the same ``number``; an order that was given before is of no account.

    ``keep``: of what it has, the orders that are still wanted; what is not begun and not of them
    is dropped.
    """

    keep: tuple[str, ...] = ()
    number: int = 0


class Order(NamedTuple):
    """One attempt of a step, or one ask.

    Parameters
    ----------
    id
        The attempt's token, or the ask's id.
    key
        The action key of the step.
    component
        ``package.module.Class.method`` for the action host; None for a service.
    values
        What it is called with, by name.
    implied
        The step names no values, and these are the message that travels: a component gets those
        that it has parameters for.
    seconds
        How long it may take, counted from its begin.
    run, flow, step
        Of which step it is; empty for an ask.
    attempt
        From 1 on.
    correlation
        The id of the outermost run.
    asynchronous
        A word from outside ends the step, and not what the component gives.
    """

    id: str
    key: str
    component: str | None
    values: Mapping[str, Any]
    implied: bool
    seconds: float
    run: str = ""
    flow: str = ""
    step: str = ""
    attempt: int = 1
    correlation: str = ""
    asynchronous: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders, to be begun in this order."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Results that are committed; they need not be kept."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Orders that are not wanted: dropped where not begun, ended where they run."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an ask."""

    id: str
    state: State
    gave: Any = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AskHello:
    """The broker does not know the performer, or has called it gone: it says hello again."""


FromPerformer: TypeAlias = Hello | Done | Progress | Renewed | Ask | Alive | Bye
ToPerformer: TypeAlias = Welcome | Orders | Acknowledged | Withdraw | Answer | Alive | AskHello
