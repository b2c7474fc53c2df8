"""What becomes of the programs of a supervisord.ini, and the watchers of a circus.ini."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.adopt.deployment import text_of
from nowcast_cli.adopt.finding import Finding

DAEMONS = frozenset({"message_broker", "manager", "scheduler", "log_aggregator"})
_SECTION = re.compile(r"\[(?P<kind>program|watcher):(?P<name>[^\]]+)\]")
_MODULE = re.compile(r"-m\s+nemo_nowcast\.(?P<module>[\w.]+)")

_TAKEN_OVER = (
    "nowcast start runs this daemon, restarts it and knows when it is ready; under your own "
    "process manager the command works as it stands"
)
_MANAGER = "; HUP takes in a changed configuration and next_workers, and loses no message"


def process_findings(file: Path) -> Iterator[Finding]:
    """Give a finding for each process that the file starts."""
    for line, title, body in _sections(text_of(file)):
        module = _MODULE.search(body)
        if module is None:
            why = (
                "is no daemon of the framework: nowcast start does not run it, so keep your "
                "process manager for it"
            )
            yield Finding(file, line, title, "ignored", why)
        elif module["module"] in DAEMONS:
            more = _MANAGER if module["module"] == "manager" else ""
            yield Finding(file, line, title, "used", _TAKEN_OVER + more)
        elif module["module"].startswith("workers."):
            why = "the worker is there under that name; `scheduled workers` can launch it instead"
            yield Finding(file, line, title, "used", why)
        else:
            why = f"there is no module nemo_nowcast.{module['module']} here"
            yield Finding(file, line, title, "mend", why)


def _sections(text: str) -> Iterator[tuple[int, str, str]]:
    """Give line, title and body of each section that starts a process."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("[")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if _SECTION.match(lines[start]):
            body = [
                line for line in lines[start + 1 : end] if not line.lstrip().startswith(("#", ";"))
            ]
            yield start + 1, lines[start].strip(), "\n".join(body)
