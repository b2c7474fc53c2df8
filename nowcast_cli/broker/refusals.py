"""Which requests the broker does not keep, and what it answers in the manager's place. Pure.

Much larger ones never come so far: ZeroMQ hangs up on them (``HANG_UP_AT``), which their sender
sees as silence. What lies between the limit and that is read, and refused in a sentence.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Protocol

from nowcast_cli.config.limits import Limits
from nowcast_cli.config.sizes import size_words
from nowcast_cli.messages.message import Message, MessageError, refuse_large

HANG_UP_AT = 4  # times the largest message
_END = 2000  # bytes: the id, and what may stand after it


class Frame(Sized, Protocol):
    """The body of a request, as it was received."""

    @property
    def bytes(self) -> bytes:
        """A copy of it."""


class Kept(Sized, Protocol):
    """What is kept already: ``size`` bytes of requests."""

    size: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line for the log, and the answer to the client.

    ``refused`` is the end of the matter; after ``busy`` the client asks again, until its deadline.
    An empty reply is none.
    """

    fault: str
    reply: bytes


def refusal_of(body: Frame, kept: Kept, limits: Limits) -> Refusal | None:
    """Say why a request is not kept, None where it is.

    One without an id is from NEMO_Nowcast's own library, which asks once and knows no ``busy``:
    it is kept as long as its bytes have room.
    """
    try:
        refuse_large(len(body), limits)
    except MessageError as error:
        payload = {"what": error.what, "hint": error.hint}
        return Refusal(f"refused: {error.what}", Message("manager", "refused", payload).encode())
    if kept.size + len(body) > limits.waiting_size:
        held, key = f"{size_words(kept.size)} of", "waiting size"
        allowed = size_words(limits.waiting_size)
    elif len(kept) >= limits.waiting_messages and _has_id(body.bytes[-_END:]):
        held, key = f"{len(kept):,}", "waiting messages"
        allowed = f"{limits.waiting_messages:,}"
    else:
        return None
    what = (
        f"the message broker keeps {held} requests that nobody has answered: "
        f"limits.{key} allows {allowed}"
    )
    return Refusal(f"busy: {what}", Message("manager", "busy", what).encode())


def _has_id(end: bytes) -> bool:
    """Tell by the end of a message, where our clients write its id."""
    return b'"id": "' in end or b"\nid: " in end
