"""Environment variables in values: ``$(NOWCAST.ENV.HOME)/forecast``."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\(NOWCAST\.ENV\.([^()\s]+)\)")


class UnsetVariable(Exception):
    """A value names the environment variable ``name``, which is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def substituted(value: str, environment: Mapping[str, str], derived: Mapping[str, str]) -> str:
    """Replace each ``$(NOWCAST.ENV.X)`` by the variable X.

    ``derived`` stands in for variables that are unset or empty. Raises UnsetVariable.
    """

    def lookup(match: re.Match[str]) -> str:
        name = match[1]
        found = environment.get(name) or derived.get(name)
        if found is None:
            found = environment.get(name)  # set, and empty on purpose
        if found is None:
            raise UnsetVariable(name)
        return found

    return _REFERENCE.sub(lookup, value)
