"""Signals as people name them."""

from __future__ import annotations

import signal


def signal_words(number: int) -> str:
    """Give a signal's number and, where it has one, its name: most real-time signals have none."""
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
