"""Errors that are logged are told to Sentry, where ``SENTRY_DSN`` says which one.

The import alone takes longer than all others of a worker, so it is done for that alone.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module


def report_errors_to_sentry() -> str | None:
    """Begin to report, once in a process. Gives a sentence on what has kept it from that."""
    return _begin() if is_wanted() else None


def is_wanted() -> bool:
    """Tell whether errors are to be reported."""
    return bool(os.environ.get("SENTRY_DSN"))


@cache
def _begin() -> str | None:
    try:
        import_module("sentry_sdk").init()  # which reads SENTRY_DSN and its like by itself
    except ImportError:
        return "SENTRY_DSN is set, but sentry_sdk is not installed: pip install nowcast-cli[sentry]"
    except Exception as error:
        return f"SENTRY_DSN is set, but errors cannot be reported to Sentry: {error}"
    return None
