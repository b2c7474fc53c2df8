"""Many systems, several at once: each in a process of its own, forked when its turn comes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import episode
from lab.environment import Namespaces, unmount
from lab.episode import Outcome
from lab.plans import plan_of

FAULTS_A_SYSTEM = 40
_LONGEST = 420.0  # seconds for one system; nothing that goes on takes as long


@dataclass
class Result:
    """What became of all systems."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def tried(self) -> Counter[tuple[str, str]]:
        return sum((outcome.tried for outcome in self.outcomes), Counter[tuple[str, str]]())

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.violations]


@dataclass
class _Running:
    seed: str
    folder: Path
    namespaces: Namespaces
    reader: int
    until: float
    said: bytes = b""


def run(
    seeds: Iterator[str],
    *,
    enough: int,
    at_once: int,
    can: frozenset[str],
    full: bool,
    faults: int,
    told: Callable[[Outcome], None],
) -> Result:
    """Run systems until ``enough`` faults were tried, or the seeds are used up.

    ``told`` is called with each outcome as it comes. Ctrl-C ends it with the outcomes so far.
    """
    base = Path(tempfile.mkdtemp(prefix="nowcast-lab-"))
    result, running, began = Result(), dict[int, _Running](), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        _run_all(seeds, base, enough, at_once, (can, full, faults), running, result, told)
    except KeyboardInterrupt:
        result.interrupted = True
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # said once is enough: all is being ended
        for pid, each in list(running.items()):
            _end(pid, each)
    with suppress(OSError):
        base.rmdir()
    result.seconds = time.monotonic() - began
    return result


def _run_all(
    seeds: Iterator[str],
    base: Path,
    enough: int,
    at_once: int,
    how: tuple[frozenset[str], bool, int],
    running: dict[int, _Running],
    result: Result,
    told: Callable[[Outcome], None],
) -> None:
    number, more = 0, True
    while more or running:
        while more and len(running) < at_once:
            seed = next(seeds, None)
            if seed is None or result.tried.total() >= enough:
                more = False
                break
            number += 1
            folder = base / str(number)
            namespaces = Namespaces.of(os.getpid() * 1000 + number)
            pid, each = _fork(_Task(seed, folder, namespaces, *how))
            running[pid] = each
        for outcome in _ended(running):
            result.outcomes.append(outcome)
            told(outcome)


@dataclass(frozen=True)
class _Task:
    seed: str
    folder: Path
    namespaces: Namespaces
    can: frozenset[str]
    full: bool
    faults: int

    def do(self) -> Outcome:
        try:
            plan = plan_of(self.seed, self.faults, self.can)
            return episode.run(plan, self.folder, self.namespaces, full=self.full)
        except BaseException:
            said = f"the lab itself has failed: {traceback.format_exc()}"
            return Outcome(self.seed, violations=[said], folder=str(self.folder))


def _fork(task: _Task) -> tuple[int, _Running]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _write(writer, task.do())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    os.close(writer)
    until = time.monotonic() + _LONGEST
    return pid, _Running(task.seed, task.folder, task.namespaces, reader, until)


def _write(descriptor: int, outcome: Outcome) -> None:
    value = asdict(outcome) | {"tried": [[*key, count] for key, count in outcome.tried.items()]}
    with open(descriptor, "w") as file:
        json.dump(value, file)


def _read(said: bytes) -> Outcome:
    value: dict[str, Any] = json.loads(said)
    tried = Counter({(kind, place): count for kind, place, count in value.pop("tried")})
    return Outcome(**value, tried=tried)


def _ended(running: dict[int, _Running]) -> Iterator[Outcome]:
    """Wait a moment, and give the outcomes of systems that are over."""
    by_reader = {each.reader: (pid, each) for pid, each in running.items()}
    for ready in select.select(list(by_reader), [], [], 0.2)[0]:
        pid, each = by_reader[ready]
        data = os.read(ready, 1 << 20)
        each.said += data
        if not data:
            os.close(ready)
            os.waitpid(pid, 0)
            del running[pid]
            if each.said:
                yield _read(each.said)
            else:
                yield Outcome(each.seed, violations=["the lab's own process was killed"],
                              folder=str(each.folder))  # fmt: skip
    for pid, each in list(running.items()):
        if time.monotonic() > each.until:
            _end(pid, each)
            del running[pid]
            yield Outcome(
                each.seed, violations=[f"it was not over after {_LONGEST:g} s"],
                folder=str(each.folder),
            )  # fmt: skip


def _end(pid: int, running: _Running) -> None:
    """Kill a lab's process, and all that its system has left."""
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(running.reader)
    while left := _processes_of(running.folder):  # until none has started another meanwhile
        for each in left:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        time.sleep(0.1)
    with suppress(subprocess.CalledProcessError):
        unmount(running.folder / "var")
    running.namespaces.remove()


def _processes_of(folder: Path) -> list[int]:
    mark, found = os.fsencode(folder / "nowcast.yaml"), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not zombie and any(
                mark in (process / name).read_bytes() for name in ("cmdline", "environ")
            ):
                found.append(int(process.name))
    return found


def seeds_of(first: int, fixed: int, costly: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Give seeds without end.

    Each costly flavour comes as often as said, then the plain seeds that are always the same, then
    plain ones from ``first`` on.
    """
    for flavour, times in costly:
        for number in range(first, first + times):
            yield f"{flavour}:{number}"
    for number in range(1, fixed + 1):
        yield f"plain:{number}"
    number = first
    while True:
        yield f"plain:{number}"
        number += 1
