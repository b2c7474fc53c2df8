"""What is still to be sent to one address: each kind of event once a period. Pure.

Times are seconds since the epoch, since they are kept over restarts of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nowcast_cli.notify.channels import Channel
from nowcast_cli.notify.events import Event, local

LONGEST_QUEUE = 100


@dataclass(frozen=True, slots=True)
class Notice:
    """A text to be sent, and since when it waits."""

    title: str
    text: str
    since: float


@dataclass(frozen=True, slots=True)
class Recent:
    """A kind of event in its period: when that began, and how many came after the first."""

    began: float
    left_out: int
    title: str
    last: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The queue of one address; ``overflowed`` counts notices that found no place in it."""

    queue: tuple[Notice, ...] = ()
    recent: Mapping[str, Recent] = field(default_factory=dict)
    overflowed: int = 0


def receive(box: Mailbox, channel: Channel, event: Event, now: float) -> Mailbox:
    """Take in an event that the channel wants; one like it in the last period is counted only."""
    key = f"{event.kind}/{event.subject}/{event.what}"
    recent = box.recent.get(key)
    if recent is not None and 0 <= now - recent.began < channel.period:
        more = replace(recent, left_out=recent.left_out + 1, last=event.at)
        return replace(box, recent={**box.recent, key: more})
    began = Recent(now, 0, event.headline, event.at)
    box = replace(box, recent={**box.recent, key: began})
    if recent is not None and recent.left_out:
        box = _queued(box, _summary(channel, recent, now))
    return _queued(box, Notice(event.headline, _text(channel, event), now))


def end_periods(box: Mailbox, channel: Channel, now: float) -> Mailbox:
    """Sum up what was left out in the periods that are over."""
    for key, recent in box.recent.items():
        if 0 <= now - recent.began < channel.period:
            continue
        others = {other: value for other, value in box.recent.items() if other != key}
        if recent.left_out:
            others[key] = replace(recent, began=now, left_out=0)
            box = _queued(box, _summary(channel, recent, now))
        box = replace(box, recent=others)
    return box


def head(box: Mailbox) -> Notice | None:
    """Give what is to be sent next."""
    if not box.queue:
        return None
    first = box.queue[0]
    if not box.overflowed:
        return first
    note = f"({box.overflowed} older notifications could not be sent and are left out)"
    return replace(first, text=f"{first.text}\n{note}")


def sent(box: Mailbox) -> Mailbox:
    """Take in that the head has been sent."""
    return replace(box, queue=box.queue[1:], overflowed=0)


def without_old(box: Mailbox, before: float) -> Mailbox:
    """Drop notices that have waited since before an instant: nobody can act on them any more."""
    kept = tuple(notice for notice in box.queue if notice.since >= before)
    return replace(box, queue=kept, overflowed=box.overflowed + len(box.queue) - len(kept))


def to_json(box: Mailbox) -> dict[str, Any]:
    """Give the mailbox as JSON has it."""
    return asdict(box)


def from_json(value: Mapping[str, Any]) -> Mailbox:
    """Give the mailbox that :func:`to_json` gave. Raises TypeError or KeyError for others."""
    return Mailbox(
        tuple(Notice(**notice) for notice in value["queue"]),
        {key: Recent(**recent) for key, recent in value["recent"].items()},
        int(value["overflowed"]),
    )


def _queued(box: Mailbox, notice: Notice) -> Mailbox:
    queue = (*box.queue, notice)
    surplus = max(0, len(queue) - LONGEST_QUEUE)
    return replace(box, queue=queue[surplus:], overflowed=box.overflowed + surplus)


def _text(channel: Channel, event: Event) -> str:
    if channel.form == "slack":
        return event.headline + channel.footer
    return "\n".join((*event.details, local(event.at)))


def _summary(channel: Channel, recent: Recent, now: float) -> Notice:
    times = "once more" if recent.left_out == 1 else f"{recent.left_out} times more"
    text = f"{times}, last at {local(recent.last)}"
    if channel.form == "slack":
        return Notice(recent.title, f"{recent.title} ({text}){channel.footer}", now)
    return Notice(f"{recent.title} ({times})", text, now)
