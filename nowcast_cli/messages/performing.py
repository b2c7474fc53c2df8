"""What performers and the manager say to each other, as values and as frames.

A *performer* carries out actions: the action host, or a service of a user. An *order* is one
attempt of a step, or one ask; its id is the attempt's token, or the ask's id::

    performer ──▶ Hello  Done  Progress  Renewed  Ask  Bye ──▶ manager
    performer ◀── Welcome  Orders  Acknowledged  Withdraw  Answer ◀── manager
    performer ──▶ ALIVE ──▶ broker, which answers ALIVE, or ASK_HELLO to one it does not know

The first frame is the kind, the others are JSON texts. Orders and results come many a message, a
frame for each. The identity of a performer's connection is new with each connection: its name and
incarnation say who it is. A result is kept by the performer until it is acknowledged, which is
after the commit that took it; it is sent again after each welcome, so that none is lost and the
manager may hear of one twice. Between hello and welcome nothing is begun, and without a sign of
life of the other side for ``FENCE`` nothing is begun either: by then the manager may have called
the performer gone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

ALIVE = b"alive"
ASK_HELLO = b"hello?"

ALIVE_EVERY = 1.0  # s between two signs of life
LEASE = 3.0  # s of silence, after which the broker calls a performer gone
FENCE = 3.0  # s without a sign of the other side, after which a performer begins nothing

State = Literal["done", "failed", "timed out", "lost"]
STATES: frozenset[str] = frozenset({"done", "failed", "timed out", "lost"})
MAPPING: Literal["mapping"] = "mapping"  # what the action host serves


class PerformingError(ValueError):
    """Frames are no word of this protocol; a sentence says why."""


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


@dataclass(frozen=True, slots=True)
class Result:
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


@dataclass(frozen=True, slots=True)
class Order:
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

_Kind = TypeVar("_Kind")


# --- to frames


def frames_of(word: FromPerformer | ToPerformer) -> list[bytes]:
    """Give the frames of a word, its kind first. ValueError for a value that is not JSON."""
    match word:
        case Alive():
            return [ALIVE]
        case AskHello():
            return [ASK_HELLO]
        case Bye():
            return [b"bye"]
        case Done(results):
            return [b"done", *map(result_text, results)]
        case Orders(orders):
            return [b"orders", *map(order_text, orders)]
        case Acknowledged(ids) | Withdraw(ids):
            return [_kind(word), _text(ids)]
        case _:
            return [_kind(word), _text({name: getattr(word, name) for name in word.__slots__})]


def result_text(result: Result) -> bytes:
    """Give the JSON text of one result. ValueError for a value that is not JSON."""
    return _text({name: getattr(result, name) for name in Result.__slots__})


def order_text(order: Order) -> bytes:
    """Give the JSON text of one order. ValueError for a value that is not JSON."""
    return _text({_WIRE_NAMES.get(name, name): getattr(order, name) for name in Order.__slots__})


_WIRE_NAMES = {"asynchronous": "async"}


def _kind(word: object) -> bytes:
    return type(word).__name__.lower().encode()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _text(value: Any) -> bytes:
    return _encode(value).encode("utf-8")


# --- from frames


def from_performer(frames: Sequence[bytes]) -> FromPerformer:
    """Read what a performer said. Raises PerformingError."""
    word = _read(frames)
    if isinstance(word, Welcome | Orders | Acknowledged | Withdraw | Answer | AskHello):
        raise PerformingError(f"{_named(frames)} is for the manager to say, not for a performer")
    return word


def to_performer(frames: Sequence[bytes]) -> ToPerformer:
    """Read what the manager or the broker said to a performer. Raises PerformingError."""
    word = _read(frames)
    if isinstance(word, Hello | Done | Progress | Renewed | Ask | Bye):
        raise PerformingError(f"{_named(frames)} is for performers to say, not for the manager")
    return word


def read_result(text: bytes) -> Result:
    """Read the JSON text of one result. Raises PerformingError."""
    given = _mapping(text, "a result")
    state = given.get("state")
    if state not in STATES:
        raise PerformingError(f"a result's state is one of {', '.join(sorted(STATES))}")
    return Result(
        _a(str, given, "id"),
        state,
        given.get("gave"),
        _a(str, given, "reason", None),
        _a(str, given, "traceback", None),
        _number(given, "seconds", 0.0),
    )


def read_order(text: bytes) -> Order:
    """Read the JSON text of one order. Raises PerformingError."""
    given = _mapping(text, "an order")
    return Order(
        _a(str, given, "id"),
        _a(str, given, "key"),
        _a(str, given, "component", None),
        _a(dict, given, "values"),
        _a(bool, given, "implied", False),
        _number(given, "seconds"),
        _a(str, given, "run", ""),
        _a(str, given, "flow", ""),
        _a(str, given, "step", ""),
        _a(int, given, "attempt", 1),
        _a(str, given, "correlation", ""),
        _a(bool, given, "async", False),
    )


def _read(frames: Sequence[bytes]) -> FromPerformer | ToPerformer:
    if not frames:
        raise PerformingError("a word has at least one frame, its kind")
    kind, rest = bytes(frames[0]), frames[1:]
    if kind in _BARE:
        return _BARE[kind]
    if kind == b"done":
        return Done(tuple(map(read_result, rest)))
    if kind == b"orders":
        return Orders(tuple(map(read_order, rest)))
    if kind not in _READERS:
        raise PerformingError(f"{_named(frames)} is no word of performers")
    if len(rest) != 1:
        raise PerformingError(f"{_named(frames)} has one frame after its kind, not {len(rest)}")
    return _READERS[kind](rest[0])


def _hello(text: bytes) -> Hello:
    given = _mapping(text, "hello")
    serves = given.get("serves")
    return Hello(
        _a(str, given, "name"),
        _a(str, given, "incarnation"),
        _a(int, given, "pid"),
        _a(int, given, "takes"),
        MAPPING if serves == MAPPING else _texts(serves, "serves"),
        _texts(given.get("has", []), "has"),
        _a(int, given, "number", 0),
    )


def _progress(text: bytes) -> Progress:
    given = _mapping(text, "progress")
    fraction = None if given.get("fraction") is None else _number(given, "fraction")
    return Progress(_a(str, given, "id"), _a(str, given, "text", None), fraction)


def _renewed(text: bytes) -> Renewed:
    given = _mapping(text, "renewed")
    return Renewed(_a(str, given, "id"), _number(given, "seconds"))


def _ask(text: bytes) -> Ask:
    given = _mapping(text, "ask")
    return Ask(
        _a(str, given, "id"),
        _a(str, given, "key"),
        _a(dict, given, "values"),
        _number(given, "seconds"),
    )


def _welcome(text: bytes) -> Welcome:
    given = _mapping(text, "welcome")
    return Welcome(_texts(given.get("keep", []), "keep"), _a(int, given, "number", 0))


def _answer(text: bytes) -> Answer:
    result = read_result(text)
    return Answer(result.id, result.state, result.gave, result.reason)


_BARE: Mapping[bytes, FromPerformer | ToPerformer] = {
    ALIVE: Alive(),
    ASK_HELLO: AskHello(),
    b"bye": Bye(),
}
_READERS: Mapping[bytes, Callable[[bytes], FromPerformer | ToPerformer]] = {
    b"hello": _hello,
    b"progress": _progress,
    b"renewed": _renewed,
    b"ask": _ask,
    b"welcome": _welcome,
    b"acknowledged": lambda text: Acknowledged(_texts(_value(text), "acknowledged")),
    b"withdraw": lambda text: Withdraw(_texts(_value(text), "withdraw")),
    b"answer": _answer,
}


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_json).decode


def _value(text: bytes) -> Any:
    try:
        return _decode(bytes(text).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PerformingError(f"a frame is not JSON: {error}") from None


def _mapping(text: bytes, what: str) -> dict[str, Any]:
    value = _value(text)
    if not isinstance(value, dict):
        raise PerformingError(f"{what} is a mapping, not {str(value)[:60]!r}")
    return value


_REQUIRED: Any = object()


def _a(kind: type[_Kind], given: Mapping[str, Any], name: str, default: Any = _REQUIRED) -> Any:
    value = given.get(name, default)
    if type(value) is kind or (value is default and default is not _REQUIRED):
        return value
    if value is None and default is None:
        return None
    raise PerformingError(f"{name} is {'missing' if name not in given else 'not of its kind'}")


def _number(given: Mapping[str, Any], name: str, default: Any = _REQUIRED) -> float:
    value = given.get(name, default)
    if type(value) in (int, float) and math.isfinite(value):
        return float(value)
    raise PerformingError(f"{name} is no number")


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(type(each) is str for each in value):
        raise PerformingError(f"{what} is a list of texts")
    return tuple(value)


def _named(frames: Sequence[bytes]) -> str:
    return repr(bytes(frames[0])[:40].decode("utf-8", "replace"))
