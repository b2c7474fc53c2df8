"""Named places in the code where a test may end or stop a process; without effect otherwise.

Set ``NOWCAST_CRASH_POINTS`` to a folder before a process begins. A file in that folder with the
name of a point, such as ``manager.committed``, arms it: the first process that reaches the point
removes the file, adds the line ``<point> <pid> <start> <signal>`` to ``reached.log`` there, and
sends itself the signal whose number the file holds. ``start`` is field 22 of ``/proc/PID/stat``.

Standard library only: this file is shipped to other hosts together with the runner.
"""

from __future__ import annotations

import os

VARIABLE = "NOWCAST_CRASH_POINTS"
LOG = "reached.log"

_FOLDER = os.environ.get(VARIABLE)


def reached(point: str) -> None:
    """Say that this process is at ``point``; it goes no further where that is armed."""
    if _FOLDER is not None:
        _end_where_armed(_FOLDER, point)


def _end_where_armed(folder: str, point: str) -> None:
    import signal
    from _thread import get_ident

    armed = f"{folder}/{point}"
    try:
        descriptor = os.open(armed, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    number = int(os.read(descriptor, 16))
    os.close(descriptor)
    try:
        os.unlink(armed)  # noqa: PTH108
    except FileNotFoundError:
        return  # another process was first
    with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123
        started = stat.read().rpartition(b")")[2].split()[19].decode()
    line = f"{point} {os.getpid()} {started} {number}\n"
    log = os.open(f"{folder}/{LOG}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.write(log, line.encode())
    os.close(log)
    # To this very thread: else another one may be woken for it, and this one goes on meanwhile.
    signal.pthread_kill(get_ident(), number)
