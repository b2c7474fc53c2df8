"""``python -m lab.soak``: a busy system under faults for a chosen time, and whether anything grows.

Of every daemon its memory (PSS), descriptors and threads are measured, of the state directory the
files and their sizes. A daemon is measured from its last start on; it is killed a few times in a
run, everything around it all the time.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from lab import catalogue as kinds
from lab.catalogue import CATALOGUE, Entry
from lab.ending import wait_for_the_end, wait_until_whole
from lab.environment import what_is_possible
from lab.faults import strike
from lab.growth import Growth, Tolerance, growth_of
from lab.journal import violations
from lab.plans import Plan, PlannedFault, plan_of
from lab.report import NOT_HELD, short
from lab.samples import Samples
from lab.system import LabSystem
from lab.traffic import Traffic
from nowcast_cli.errors import NowcastError
from nowcast_cli.process_identity import ProcessIdentity

_MB = 1e6
# What a series may gain before it is called growth: interpreters and SQLite's cache settle slowly.
_TOLERANCES = {
    "memory": Tolerance(3 * _MB, 0.08),
    "descriptors": Tolerance(6),
    "threads": Tolerance(2),
    "bytes": Tolerance(6 * _MB, 0.1),  # the write-ahead log is begun anew at 4 MB
    "files": Tolerance(10),
    "bytes a message": Tolerance(300, 0.25),
    "files a job": Tolerance(1.5),
}
# The output of a job is followed for half a minute after its end, by files that are held open.
_WARM_UP = {"log_aggregator": 90.0}
_LAUNCHER = "launcher"
# Those that end a daemon come seldom, so that each lives long enough to be measured.
_SELDOM = {
    (kind, place)
    for kind in (kinds.KILL, kinds.TERM)
    for place in (*kinds.DAEMONS, *kinds.MORE_DAEMONS, "standby")
}
_LEFT_OUT = (kinds.PORT, kinds.TORN, kinds.FOREIGN, kinds.FROZEN, kinds.FLOOD, kinds.LARGE,
             kinds.CABLE, kinds.CLOCK)  # fmt: skip
_ROOMS_OF_JOBS = ("client", "runner", "worker")

Series = dict[tuple[str, str], list[tuple[float, float]]]


def main() -> int:
    """Run the system, print a line for each series, and give 1 where one grows."""
    options = _options()
    missing = what_is_possible()
    for feature, why in missing.items():
        print(f"left out: {feature}: {why}", flush=True)
    chance = random.Random(options.seed)
    plan = _plan(options.seed, frozenset({"all daemons", "standby"}))
    folder = Path(tempfile.mkdtemp(prefix="nowcast-soak-")) / "1"
    system = LabSystem(folder, plan, namespaces=None, full=False)
    try:
        measured, broken = _soak(system, options.minutes * 60, chance)
    finally:
        (folder / "everything.txt").write_text(system.everything_written())
        system.end()
    grown = _tell(measured)
    for each in broken:
        print(each[:2000])
    print(
        f"seed {options.seed}: "
        + (f"{len(grown)} of {len(measured)} series grow" if grown else "nothing grows")
        + (f"; what was said is in {folder}" if grown or broken else "")
    )
    for what, kind in grown:
        print(f"{NOT_HELD} {what} grows: {kind}")
    for each in broken:
        print(f"{NOT_HELD} {short(each)}")
    return 1 if grown or broken else 0


def _plan(seed: int, features: frozenset[str]) -> Plan:
    plan = plan_of(f"plain:{seed}", 1, features)
    return dataclasses.replace(plan, features=features, deadline=60, busy=3)


def _soak(system: LabSystem, seconds: float, chance: random.Random) -> tuple[Series, list[str]]:
    system.traffic = Traffic(system)
    system.begin()
    measured: Series = defaultdict(list)
    lives: dict[str, ProcessIdentity] = {}
    frequent, seldom = _faults_of(system.plan)
    began = time.monotonic()
    interval = max(0.25, seconds / 1000)
    next_kill = seconds / 6
    with Samples(system) as samples:
        system.traffic.start()
        while (now := time.monotonic() - began) < seconds:
            _measure(system, now, measured, lives)
            if now > next_kill and now < seconds * 0.6:
                next_kill = now + seconds / 6
                _try(system, chance.choice(seldom), chance)
            elif chance.random() < 0.5 * interval:
                _try(system, chance.choice(frequent), chance)
            time.sleep(interval)
        system.undo_all()
        system.traffic.stop()
        wait_until_whole(system)
        system.retire("scheduler")
        wait_for_the_end(system)
        return measured, violations(system, samples)


def _faults_of(plan: Plan) -> tuple[list[Entry], list[Entry]]:
    possible = [each for each in CATALOGUE if each.needs in (None, *plan.features) and each.rate]
    seldom = [each for each in possible if (each.kind, each.place) in _SELDOM]
    frequent = [
        each for each in possible for _ in range(each.rate)
        if each not in seldom and each.kind not in _LEFT_OUT
        and (each.kind != kinds.CRASH or each.place.partition(".")[0] in _ROOMS_OF_JOBS)
        and each.place not in ("client.waited_in_vain",)
    ]  # fmt: skip
    return frequent, seldom


def _try(system: LabSystem, entry: Entry, chance: random.Random) -> None:
    fault = PlannedFault(
        entry.kind, entry.place, 0, chance.randrange(0, 101), chance.randrange(10**6)
    )
    system.note("fault", kind=fault.kind, place=fault.place)
    strike(system, fault)


# --- measuring


def _measure(
    system: LabSystem, now: float, measured: Series, lives: dict[str, ProcessIdentity]
) -> None:
    for name in (*system.names, _LAUNCHER):
        process = system.daemon(name)
        if process is None:
            continue
        if lives.get(name) != process:  # what an earlier process of that name did is its own
            lives[name] = process
            for key in [key for key in measured if key[0] == name]:
                del measured[key]
        with suppress(OSError, ValueError):
            values = _of_process(process.pid)
            for kind, value in values.items():
                measured[name, kind].append((now, value))
    for (what, kind), value in _of_files(system).items():
        measured[what, kind].append((now, value))


def _of_process(pid: int) -> dict[str, float]:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    status = Path(f"/proc/{pid}/status").read_text()
    threads = next(x.split()[1] for x in status.splitlines() if x.startswith("Threads:"))
    return {
        "memory": pss * 1024.0,
        "descriptors": float(len(list(Path(f"/proc/{pid}/fd").iterdir()))),
        "threads": float(threads),
    }


def _of_files(system: LabSystem) -> dict[tuple[str, str], float]:
    paths = system.paths
    found = {
        ("write-ahead log", "bytes"): float(_size(paths.database.with_name("nowcast.db-wal"))),
        ("run folder", "files"): float(_count(paths.run)),
        ("outbox", "files"): float(_count(paths.outbox)),
        ("spool", "bytes"): float(sum(_size(each) for each in paths.state.glob("spool/*/*"))),
        ("state directory itself", "files"): float(_count(paths.state)),
        ("checklist file", "bytes"): float(_size(paths.checklist_file)),
    }
    with suppress(NowcastError, OSError), system.reader() as reader:
        messages = reader.last_number()
        if messages > 100:
            database, logs = _size(paths.database), sum(_size(f) for f in paths.logs.glob("*"))
            found["journal", "bytes a message"] = database / messages
            found["logs", "bytes a message"] = logs / messages
    folders = [folder for day in paths.jobs.glob("*") for folder in day.glob("*")]
    if len(folders) > 20:
        some = folders[:: max(1, len(folders) // 50)]
        files = sum(1 for folder in some for _ in folder.rglob("*"))
        found["job folders", "files a job"] = files / len(some)
    return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0


# --- telling


def _tell(measured: Series) -> list[tuple[str, str]]:
    """Print a line a series; give those that grow."""
    grown = []
    print(f"{'what':24} {'of it':16} {'samples':>7} {'from':>12} {'to':>12} {'gain':>10}  verdict")
    for key in sorted(measured):
        what, kind = key
        growth: Growth = growth_of(measured[key], _TOLERANCES[kind], _WARM_UP.get(what, 0.0))
        unit = _MB if kind in ("memory", "bytes") else 1.0
        print(
            f"{what:24} {kind + (' (MB)' if unit > 1 else ''):16} {len(measured[key]):7} "
            f"{growth.first / unit:12.2f} {growth.last / unit:12.2f} {growth.gain / unit:10.2f}  "
            f"{growth.verdict}"
        )
        if growth.verdict == "grows":
            grown.append(key)
    return grown


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lab.soak",
        description="Keep a busy system under faults, and see whether anything grows.",
        epilog="Example:\n  python -m lab.soak --minutes 60",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="for how long (60)")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn by chance (1)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
