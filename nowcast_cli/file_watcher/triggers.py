"""The files that begin runs of flows, as the flows say it, and what is asked for each. Pure."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from nowcast_cli.config.durations import seconds_of
from nowcast_cli.file_watcher.patterns import Pattern, pattern_of
from nowcast_cli.flows.definition import Flow, Trigger
from nowcast_cli.flows.triggers import SETTLED, parameters_of
from nowcast_cli.messages.message import Message


@dataclass(frozen=True, slots=True)
class Look:
    """What a file was when it was looked at: by that one is told from the next of its name.

    ``touched`` is when it was last written, renamed or the like, and tells no two apart.
    """

    inode: int
    changed: int  # nanoseconds since the epoch
    size: int
    touched: float = field(default=0.0, compare=False)  # seconds since the epoch

    @classmethod
    def of(cls, found: os.stat_result) -> Look:
        """Take what the kernel says of a file."""
        return cls(found.st_ino, found.st_mtime_ns, found.st_size, found.st_ctime)


@dataclass(frozen=True, slots=True)
class FileTrigger:
    """The files that begin a flow; ``settled`` is in seconds."""

    flow: str
    pattern: Pattern
    expression: re.Pattern[str] | None
    settled: float
    trigger: Trigger

    def wants(self, path: str) -> bool:
        """Tell whether a file of that path begins a run."""
        return self.pattern.matches(path) and (
            self.expression is None or self.expression.fullmatch(_name(path)) is not None
        )

    def id_of(self, path: str, look: Look) -> str:
        """Give the id of the request for a file: there is only one."""
        about = f"{look.inode} {look.changed} {look.size}".encode()
        named = b"\0".join((self.flow.encode(), os.fsencode(path), about))
        return f"file-{hashlib.sha256(named).hexdigest()[:40]}"

    def request(self, path: str, request_id: str) -> Message:
        """Give the request to begin a run for a file."""
        payload = {
            "flow": self.flow,
            "parameters": parameters_of(self.trigger, self._found(path).__getitem__),
            "origin": f"file {path}",
        }
        return Message("nowcast", "run flow", payload, id=request_id)

    def _found(self, path: str) -> dict[str, str | None]:
        pure = PurePath(path)
        match = None if self.expression is None else self.expression.fullmatch(pure.name)
        groups = {} if match is None else match.groupdict()
        return {
            "file.path": path,
            "file.name": pure.name,
            "file.stem": pure.stem,
            "file.folder": str(pure.parent),
            **{f"match.{name}": text for name, text in groups.items()},
        }


def file_triggers(flows: Iterable[Flow], folder: Path) -> Iterator[FileTrigger]:
    """Give what begins these flows by a file; paths that are not absolute are below ``folder``."""
    for flow in flows:
        for trigger in flow.triggers:
            if trigger.kind == "file":
                said = trigger.settings
                settled, match = said.get("settled"), said.get("match")
                yield FileTrigger(
                    flow.name,
                    pattern_of(str(said["file"]), folder),
                    None if match is None else re.compile(match),
                    SETTLED if settled is None else 0.0 if settled == 0 else seconds_of(settled),
                    trigger,
                )


def _name(path: str) -> str:
    return path.rpartition("/")[2]
