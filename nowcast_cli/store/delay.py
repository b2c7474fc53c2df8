"""A length of time that is waited for, by a clock that nobody sets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delay:
    """For how long a job may not begin: ``seconds``, which are over at ``due``.

    ``due`` is in seconds of CLOCK_BOOTTIME of the boot with the id ``boot``, so that nobody who
    sets the wall clock changes it. In another boot all of ``seconds`` are waited for anew.
    """

    seconds: float
    boot: str
    due: float
