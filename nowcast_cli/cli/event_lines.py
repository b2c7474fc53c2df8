"""An event as a line for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nowcast_cli.cli.output import Color, Painted, Text
from nowcast_cli.messages.event import Event, in_json

_WIDTH_OF_TOPIC = 44
_LONGEST_VALUE = 60
_IDS = ("job", "run", "ensemble")
_FOR_PROGRAMS = ("boot", "started")  # with the pid they tell a process from all others
_BAD = frozenset({"failed", "crashed", "timed-out", "lost", "ended"})
_GOOD = frozenset({"succeeded", "done"})


def line_of(event: Event) -> list[Text]:
    """Give the parts of a line: the time here, the id, the topic, and what else it says."""
    time = datetime.fromisoformat(event.time).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    head = f"{time}  {event.id:<16}  "
    words = "  ".join(_words(event))
    topic = event.topic.ljust(_WIDTH_OF_TOPIC) if words else event.topic
    return [head, Painted(topic, _color(event.fields[-1])), *((f"  {words}",) if words else ())]


def _color(last: str) -> Color | None:
    return "red" if last in _BAD else "green" if last in _GOOD else None


def _words(event: Event) -> Iterator[str]:
    """Give what the topic does not say already."""
    if not isinstance(event.payload, dict):
        return
    if event.attempt is not None and event.attempt > 1:
        yield f"attempt {event.attempt}"
    for key, value in event.payload.items():
        if key in _FOR_PROGRAMS and event.stream == "daemons":
            continue
        if isinstance(value, str) and value.replace(" ", "-") in event.fields:
            continue
        text = value if isinstance(value, str) else in_json(value)
        if key in _IDS:
            text = text[-8:]
        text = " ".join(text.split())
        yield f"{key} {text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + '…'}"
