"""Events as subscribers see them, their topics, and their form on the wire.

On the wire an event is two frames: its topic with a ``~`` behind it, so that the prefix
``flows~forecast~`` is never that of ``flows~forecast2``, and a body in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nowcast_cli.errors import NowcastError

DELIMITER = "~"
BEACON = "beacon"
LOGS = "logs"  # told by the processes themselves: its events are kept nowhere
# No flow may be called so: the first field of the topic of what it publishes is its name.
SYSTEM_STREAMS = frozenset(
    {
        "agents", BEACON, "checklist", "daemons", "flows", "jobs", LOGS, "notifications",
        "products", "schedule", "services",
    }
)  # fmt: skip

STATUS_STREAMS = ("agents", "daemons")  # some events in them say how something is now
_BLANK = re.compile(r"\s+")
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f%~]+")
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DEEPEST = 100


class NoEvent(NowcastError):
    """What has arrived is not an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    Parameters
    ----------
    stream
        The first field of the topic.
    number
        Its place in the stream, from 1 on. Numbers are given once, in the order of what happened.
    time
        ISO 8601, UTC: when it was kept.
    topic
        Fields joined by ``~``. Blanks, ``~`` and ``%`` within a field are percent-encoded.
    payload
        A mapping of what JSON can hold.
    attempt
        The attempt of the step or job, None where there is none.
    correlation
        Id of the outermost run, chain or request that it belongs to.
    status
        Whether it is the state of something: the last one of its topic is told on subscribing.
    """

    stream: str
    number: int
    time: str
    topic: str
    payload: Any
    attempt: int | None = None
    correlation: str | None = None
    status: bool = False

    @property
    def id(self) -> str:
        """``stream:number``, which no other event has."""
        return f"{self.stream}:{self.number}"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the topic."""
        return tuple(self.topic.split(DELIMITER))


def field(text: object) -> str:
    """Give a text as a field of a topic: no ``~`` and no blank in it. An empty one stays so."""
    return _UNSAFE.sub(_encoded, str(text))


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def topic_of(*fields: object) -> str:
    """Give the topic of these fields."""
    return _topic_of_texts(*map(str, fields))


@lru_cache(maxsize=4096)
def _topic_of_texts(*texts: str) -> str:
    return DELIMITER.join(map(field, texts))


def prefix_of(topic: str) -> str:
    """Give a topic, whole or its first fields, as the prefix to subscribe to; of "", all.

    Blanks may stand in it as they are.
    """
    encoded = _BLANK.sub(_encoded, topic)
    return encoded if not encoded or encoded.endswith(DELIMITER) else encoded + DELIMITER


def is_about(topic: str, prefixes: Collection[str]) -> bool:
    """Say whether a topic begins with one of ``prefixes``, as :func:`prefix_of` gives them.

    Of none, all topics do.
    """
    return not prefixes or f"{topic}{DELIMITER}".startswith(tuple(prefixes))


def wire_topic(topic: str) -> bytes:
    """Give a topic as it goes before the body of an event."""
    return f"{topic}{DELIMITER}".encode(errors="replace")


def beacon_topic(stream: str) -> bytes:
    """Give the topic of a stream's beacon, whose body is ``{"stream": …, "last": number}``."""
    return wire_topic(topic_of(BEACON, stream))


def encode_beacon(stream: str, last: int) -> bytes:
    """Give the body of a beacon: the last number of its stream."""
    return in_json({"stream": stream, "last": last}).encode()


def decode_beacon(body: bytes) -> tuple[str, int]:
    """Give the stream of a beacon and its last number. Raises NoEvent."""
    try:
        value = json.loads(body)
        return str(value["stream"]), int(value["last"])
    except (ValueError, TypeError, KeyError) as error:
        raise NoEvent("what has arrived is no beacon of a stream", cause=repr(error)) from None


def in_json(value: Any) -> str:
    """Give a value in JSON, which holds no dates and the like: they become text."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError):
        return _ENCODER.encode(_plain(value, 0))


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if depth < _DEEPEST and isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, float) and value - value == 0:
        return value
    return str(value)


@lru_cache(maxsize=4096)
def quoted(text: str) -> str:
    """Give a text in JSON; those that come again and again are remembered."""
    return _ENCODER.encode(text)


def said_in_json(
    topic: str, payload: Any, correlation: str | None, attempt: int | None, status: bool
) -> str:
    """Give what an event says, all but its place and time, as a JSON mapping.

    ``payload`` may be its JSON text already.
    """
    text = payload if isinstance(payload, str) else in_json(payload)
    said = f'{{"topic":{quoted(topic)},"payload":{text}'
    if correlation is not None:
        said += f',"correlation":{quoted(correlation)}'
    if attempt is not None:
        said += f',"attempt":{attempt}'
    return said + (',"status":true}' if status else "}")


def body_of(stream: str, number: int, time: str, said: str) -> bytes:
    """Give the body of an event of what :func:`said_in_json` gave."""
    name = quoted(stream)
    place = f'{{"id":{name[:-1]}:{number}","stream":{name},"number":{number},'
    return f'{place}"time":"{time}",{said[1:]}'.encode()


def topic_in(said: str) -> str:
    """Give the topic of what :func:`said_in_json` gave."""
    end = said.index('","payload":', 10)
    topic = said[10:end]
    return str(json.loads(f'"{topic}"')) if "\\" in topic else topic


def event_as_plain(event: Event) -> dict[str, Any]:
    """Give what the body of an event says."""
    body: dict[str, Any] = {
        "id": event.id,
        "stream": event.stream,
        "number": event.number,
        "time": event.time,
        "topic": event.topic,
        "payload": event.payload,
    }
    for name in ("correlation", "attempt"):
        if getattr(event, name) is not None:
            body[name] = getattr(event, name)
    if event.status:
        body["status"] = True
    return body


def encode_event(event: Event) -> bytes:
    """Give the body of an event."""
    return in_json(event_as_plain(event)).encode()


def decode_event(body: bytes | str) -> Event:
    """Read the body of an event; keys that are not known are passed over. Raises NoEvent."""
    try:
        return event_of(json.loads(body))
    except (ValueError, TypeError, KeyError) as error:
        raise NoEvent("what has arrived is no event", cause=repr(error)) from None


def event_of(value: Any) -> Event:
    """Give the event of a body that was read. Raises KeyError, TypeError."""
    number = value["number"]
    if type(number) is not int:
        raise TypeError(f"the number {number!r}")
    return Event(
        value["stream"],
        number,
        value["time"],
        value["topic"],
        value["payload"],
        value.get("attempt"),
        value.get("correlation"),
        value.get("status") is True,
    )
