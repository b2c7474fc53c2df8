"""What the machine gives: clock, time zones, and the kernel's limits."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path

from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning
from nowcast_cli.errors import ConfigError

_OLD_RULES = timedelta(days=365)
_FEW_FILES = 4096
_FEW_WATCHES, _FEW_INSTANCES = 8192, 128
_INOTIFY = Path("/proc/sys/fs/inotify")
_TIME_ERROR = 5  # adjtimex: no time service has set the clock
_FUTURE = timedelta(minutes=5)


def clock(subject: Subject) -> Iterator[Finding]:
    """Failure means that launches by the clock, and times in logs and store, are wrong."""
    utc, steady = time.time(), time.monotonic()
    time.sleep(0.05)
    drift = (time.time() - utc) - (time.monotonic() - steady)
    if abs(drift) > 0.02:
        yield warning(
            f"the clock moved by {drift:+.2f} s against the steady one within a moment",
            "see that one time service alone (chrony, systemd-timesyncd) sets it",
        )
    newest = _newest_message(subject)
    if newest is not None and newest > datetime.now(UTC) + _FUTURE:
        yield error(
            f"the clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, but the newest message of "
            f"the journal is of {newest:%Y-%m-%d %H:%M} UTC",
            "set the clock: date, timedatectl",
        )
    if _is_unsynchronised():
        yield note(
            "no time service is known to set the clock", "chrony or systemd-timesyncd does it"
        )


def time_zones(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Failure means that launches are an hour off where the rules of a time zone have changed."""
    found = metadata.version("tzdata")
    if _released(found) + _OLD_RULES < datetime.now(UTC).date():
        yield warning(
            f"the rules of the time zones are of {found[:4]} (tzdata {found})",
            "pip install --upgrade tzdata",
        )
    from nowcast_cli.config.zones import local_zone

    try:
        local_zone()
    except ConfigError as problem:
        yield warning(problem.what, problem.hint or "set TZ, for example TZ=America/Vancouver")


def open_files(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Failure means that few workers at a time can wait for an answer of the message broker."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEW_FILES:
        yield warning(
            f"a process may have {hard} files open",
            f"raise nofile to {_FEW_FILES} in /etc/security/limits.conf, or LimitNOFILE",
        )


def inotify(subject: Subject) -> Iterator[Finding]:  # noqa: ARG001
    """Failure means that files cannot be watched, and are looked at now and then instead."""
    for name, few in (("max_user_watches", _FEW_WATCHES), ("max_user_instances", _FEW_INSTANCES)):
        limit = _number_in(_INOTIFY / name)
        if limit is not None and limit < few:
            yield warning(
                f"fs.inotify.{name} is {limit}", f"as root: sysctl fs.inotify.{name}={few}"
            )
    limit, used = _number_in(_INOTIFY / "max_user_instances"), _inotify_instances()
    if limit is not None and used >= 0.9 * limit:
        yield warning(
            f"{used} of the {limit} inotify instances of this user are in use",
            f"as root: sysctl fs.inotify.max_user_instances={2 * limit}",
        )


def _released(tzdata: str) -> date:
    """Give about the day on which a version such as 2026.2 of tzdata came: some come each year."""
    year, _, number = tzdata.partition(".")
    return date(int(year), min(3 * int(number.partition(".")[0] or 1), 12), 1)


def _newest_message(subject: Subject) -> datetime | None:
    from nowcast_cli.errors import NowcastError
    from nowcast_cli.store.reader import Reader

    try:
        with Reader(subject.paths.database) as reader:
            newest = reader.messages(limit=1)
    except NowcastError:
        return None
    return datetime.fromisoformat(newest[0].received) if newest else None


def _is_unsynchronised() -> bool:
    buffer = ctypes.create_string_buffer(1024)  # larger than struct timex; zero asks, sets nothing
    try:
        return bool(ctypes.CDLL(None).adjtimex(buffer) == _TIME_ERROR)
    except (OSError, AttributeError):
        return False


def _number_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _inotify_instances() -> int:
    count = 0
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            for entry in folder.iterdir():
                with contextlib.suppress(OSError):
                    count += str(entry.readlink()) == "anon_inode:inotify"
    return count
