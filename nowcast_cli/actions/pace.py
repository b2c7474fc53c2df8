"""How many orders an action worker is given at once. Pure, but for what it remembers.

One at a time, unless its component has been fast: whoever waits behind a slow call waits for no
reason while another worker may be free.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

MOST = 10
_FAST = 0.002  # s of a call, at most
_TOGETHER = 0.01  # s that all that is given at once may take
_WEIGHT = 0.2  # of the last call in the mean


class Held(Protocol):
    """An order that is carried out by a component of a name."""

    @property
    def component(self) -> str:
        """The name."""


class Pace:
    """Remembers how long the calls of each component have taken."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def took(self, component: str, seconds: float) -> None:
        """Count a call."""
        before = self._means.get(component, seconds)
        self._means[component] = before + _WEIGHT * (seconds - before)

    def fit(self, pending: Sequence[Held], waiting: Sequence[Held]) -> int:
        """Give how many of the first that wait go to a worker that has ``pending`` in hand."""
        if len(pending) > MOST // 2:  # topped up in batches, not one by one
            return 0
        together = sum(map(self._mean, pending))
        taken = 0
        for held in islice(waiting, MOST - len(pending)):
            mean = self._mean(held)
            together += mean
            if (pending or taken) and (mean > _FAST or together > _TOGETHER):
                break
            taken += 1
        return taken

    def _mean(self, held: Held) -> float:
        return self._means.get(held.component, _TOGETHER * 2)
