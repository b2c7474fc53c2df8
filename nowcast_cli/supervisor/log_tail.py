"""The file of what a daemon prints, and its end for a person who asks why it does not run."""

from __future__ import annotations

from pathlib import Path

from nowcast_cli.errors import NowcastError

_ENOUGH = 64 * 1024  # bytes
_LARGE = 10_000_000  # bytes


def prepare(log: Path) -> int:
    """Make ready for a daemon that will print to ``log``, and return the log's size in bytes.

    A large log is put aside, as ``<name>.1``. Raises NowcastError when it cannot be written.
    """
    try:
        if log.exists() and log.stat().st_size > _LARGE:
            log.replace(log.with_name(log.name + ".1"))
        with log.open("ab") as file:
            return file.tell()
    except OSError as error:
        raise NowcastError(
            f"the log {log} cannot be written",
            cause=error.strerror,
            hint="see to its permissions and to the space on its disk",
        ) from error


def last_lines(log: Path, count: int, since: int = 0) -> list[str]:
    """Return the last ``count`` lines that were written after byte ``since`` of a log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(since if since <= size else 0, size - _ENOUGH))
            text = file.read()
    except OSError:
        return []
    return text.decode(errors="replace").splitlines()[-count:]
