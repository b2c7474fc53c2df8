"""Who of the performers was heard of, and who is silent: bookkeeping alone, no socket, no clock.

Silence is counted in turns of the broker, each at most ``LONGEST_TURN``: when the broker or the
machine stood still, performers had no chance to be heard, and are not called gone for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from nowcast_cli.messages.performing import LEASE

TURN = 0.5  # seconds between two looks at who was silent
LONGEST_TURN = 1.0  # seconds that count, however long a turn took
# A performer begins nothing after FENCE seconds; the rest is for words that were on their way.
_PATIENCE = LEASE + TURN


class Performers:
    """The performers that have said hello and are not gone, by their identities."""

    def __init__(self) -> None:
        self._silent: dict[bytes, float] = {}
        self._heard: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._silent)

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._silent

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._silent))

    def said_hello(self, identity: bytes) -> None:
        """Know a performer from now on."""
        self._silent[identity] = 0.0

    def heard(self, identity: bytes) -> bool:
        """Note a sign of life; False where it is of nobody who is known."""
        if identity not in self._silent:
            return False
        self._heard.add(identity)
        return True

    def forget(self, identity: bytes) -> bool:
        """Know a performer no longer; False where it was not known."""
        return self._silent.pop(identity, None) is not None

    def turn(self, seconds: float) -> list[bytes]:
        """Count a turn of ``seconds``; gives who is gone by it, and forgets them."""
        seconds = min(seconds, LONGEST_TURN)
        for identity, silent in self._silent.items():
            self._silent[identity] = 0.0 if identity in self._heard else silent + seconds
        self._heard.clear()
        gone = [each for each, silent in self._silent.items() if silent > _PATIENCE]
        for identity in gone:
            del self._silent[identity]
        return gone
