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
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any

from nowcast_cli.messages.json_frames import (
    LARGEST,
    BadFrame,
    field_of,
    mapping_of,
    number_of,
    texts_of,
    value_of,
)
from nowcast_cli.messages.performing_words import (
    ALIVE,
    ALIVE_EVERY,
    ASK_HELLO,
    FENCE,
    LEASE,
    MAPPING,
    STATES,
    Acknowledged,
    Alive,
    Answer,
    Ask,
    AskHello,
    Bye,
    Done,
    FromPerformer,
    Hello,
    Order,
    Orders,
    Progress,
    Renewed,
    Result,
    State,
    ToPerformer,
    Welcome,
    Withdraw,
)

__all__ = [
    "ALIVE",
    "ALIVE_EVERY",
    "ASK_HELLO",
    "FENCE",
    "LEASE",
    "MAPPING",
    "STATES",
    "Acknowledged",
    "Alive",
    "Answer",
    "Ask",
    "AskHello",
    "Bye",
    "Done",
    "FromPerformer",
    "Hello",
    "Order",
    "Orders",
    "PerformingError",
    "Progress",
    "Renewed",
    "Result",
    "State",
    "ToPerformer",
    "Welcome",
    "Withdraw",
    "frames_of",
    "from_performer",
    "order_text",
    "read_order",
    "read_result",
    "result_text",
    "to_performer",
]

PerformingError = BadFrame  # frames are no word of this protocol; a sentence says why

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
    return _text(
        {
            "id": result.id,
            "state": result.state,
            "gave": result.gave,
            "reason": result.reason,
            "traceback": result.traceback,
            "seconds": result.seconds,
        }
    )


def order_text(order: Order) -> bytes:
    """Give the JSON text of one order. ValueError for a value that is not JSON."""
    return _text(
        {
            "id": order.id,
            "key": order.key,
            "component": order.component,
            "values": order.values,
            "implied": order.implied,
            "seconds": order.seconds,
            "run": order.run,
            "flow": order.flow,
            "step": order.step,
            "attempt": order.attempt,
            "correlation": order.correlation,
            "async": order.asynchronous,
        }
    )


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
    given = mapping_of(text, "a result")
    get = given.get
    reason, traceback, seconds = get("reason"), get("traceback"), get("seconds", 0.0)
    kinds = (type(get("id")), type(get("state")), type(reason), type(traceback), type(seconds))
    if kinds not in _OF_RESULTS or given["state"] not in STATES or not abs(seconds) < LARGEST:
        _refuse_result(given)
    return Result(given["id"], given["state"], get("gave"), reason, traceback, float(seconds))


def read_order(text: bytes) -> Order:
    """Read the JSON text of one order. Raises PerformingError."""
    given = mapping_of(text, "an order")
    get = given.get
    fields: tuple[Any, ...] = (
        get("id"), get("key"), get("component"), get("values"), get("implied", False),
        get("seconds"), get("run", ""), get("flow", ""), get("step", ""), get("attempt", 1),
        get("correlation", ""), get("async", False),
    )  # fmt: skip
    if tuple(map(type, fields)) not in _OF_ORDERS or not abs(given["seconds"]) < LARGEST:
        _refuse_order(given)
    return Order(*fields)


# The types of fields, looked at all at once: there are thousands of orders a second.
_OF_RESULTS = {
    (str, str, reason, traceback, seconds)
    for reason in (str, NoneType)
    for traceback in (str, NoneType)
    for seconds in (int, float)
}
_OF_ORDERS = {
    (str, str, component, dict, bool, seconds, str, str, str, int, str, bool)
    for component in (str, NoneType)
    for seconds in (int, float)
}


def _refuse_result(given: Mapping[str, Any]) -> None:
    """Say which field of a result is wrong. Raises PerformingError."""
    field_of(str, given, "id")
    if field_of(str, given, "state") not in STATES:
        raise PerformingError(f"a result's state is one of {', '.join(sorted(STATES))}")
    field_of(str, given, "reason", None)
    field_of(str, given, "traceback", None)
    number_of(given, "seconds", 0.0)


def _refuse_order(given: Mapping[str, Any]) -> None:
    """Say which field of an order is wrong. Raises PerformingError."""
    for name in ("id", "key"):
        field_of(str, given, name)
    field_of(str, given, "component", None)
    field_of(dict, given, "values")
    number_of(given, "seconds")
    for name in ("run", "flow", "step", "correlation"):
        field_of(str, given, name, "")
    for name in ("implied", "async"):
        field_of(bool, given, name, False)
    field_of(int, given, "attempt", 1)


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
    given = mapping_of(text, "hello")
    serves = given.get("serves")
    return Hello(
        field_of(str, given, "name"),
        field_of(str, given, "incarnation"),
        field_of(int, given, "pid"),
        field_of(int, given, "takes"),
        MAPPING if serves == MAPPING else texts_of(serves, "serves"),
        texts_of(given.get("has", []), "has"),
        field_of(int, given, "number", 0),
    )


def _progress(text: bytes) -> Progress:
    given = mapping_of(text, "progress")
    fraction = None if given.get("fraction") is None else number_of(given, "fraction")
    return Progress(field_of(str, given, "id"), field_of(str, given, "text", None), fraction)


def _renewed(text: bytes) -> Renewed:
    given = mapping_of(text, "renewed")
    return Renewed(field_of(str, given, "id"), number_of(given, "seconds"))


def _ask(text: bytes) -> Ask:
    given = mapping_of(text, "ask")
    return Ask(
        field_of(str, given, "id"),
        field_of(str, given, "key"),
        field_of(dict, given, "values"),
        number_of(given, "seconds"),
    )


def _welcome(text: bytes) -> Welcome:
    given = mapping_of(text, "welcome")
    return Welcome(texts_of(given.get("keep", []), "keep"), field_of(int, given, "number", 0))


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
    b"acknowledged": lambda text: Acknowledged(texts_of(value_of(text), "acknowledged")),
    b"withdraw": lambda text: Withdraw(texts_of(value_of(text), "withdraw")),
    b"answer": _answer,
}


def _named(frames: Sequence[bytes]) -> str:
    return repr(bytes(frames[0])[:40].decode("utf-8", "replace"))
