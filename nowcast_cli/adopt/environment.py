"""What becomes of the variables that a deployment's environment files set."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from nowcast_cli.adopt.deployment import text_of
from nowcast_cli.adopt.finding import Finding

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)=")
_OURS = {
    "NOWCAST_ENV": "honoured; where it is not set, it is the environment of the interpreter",
    "NOWCAST_LOGS": "honoured; where it is not set, it is the logs folder of the state directory",
    "NOWCAST_YAML": "honoured; where it is not set, it is the configuration file itself",
    "SENTRY_DSN": "daemons and workers report their errors there, where sentry_sdk is installed",
}


def environment_findings(file: Path, slack: Collection[str]) -> Iterator[Finding]:
    """Give a finding for each variable; ``slack`` are those that the configuration names."""
    for line, name in assignments(file):
        if name in _OURS:
            yield Finding(file, line, name, "used", _OURS[name])
        elif name in slack:
            why = "`slack notifications` names it; it must be set where the daemons start"
            yield Finding(file, line, name, "used", why)
        else:
            why = "daemons and jobs inherit it from where nowcast start is called"
            yield Finding(file, line, name, "yours", why)


def assignments(file: Path) -> Iterator[tuple[int, str]]:
    """Give line and name of each variable that a file sets."""
    for number, line in enumerate(text_of(file).splitlines(), 1):
        found = _ASSIGNMENT.match(line)
        if found:
            yield number, found[1]
