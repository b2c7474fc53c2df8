"""Tells what a host is like on which jobs are to run: its Python, clock, disk and folders.

Standard library only, Python 3.9 and newer: it is shipped to the other host.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_TO_CONNECT = 3.0  # seconds


def probe(order: Mapping[str, Any]) -> dict[str, Any]:
    """Look at this host.

    Parameters
    ----------
    order
        ``root``, the state directory on this host; ``config_file``, what its workers are given;
        ``reach``, pairs of a host and a port that workers speak to.

    Returns
    -------
    dict
        ``python``, its version; ``node``, the name of the machine; ``time``, seconds since 1970;
        ``root``, the place that is meant; ``writable``, why not, None where it is; ``free``,
        bytes on its disk, None where nobody knows; ``config_file``, why it cannot be read, None
        where it can; ``rsync``, whether there is one; ``reach``, by ``host:port`` why nobody
        answers there, None where one does.
    """
    root = _filled_in(order["root"])
    return {
        "python": sys.version.split()[0],
        "node": socket.gethostname(),
        "executable": sys.executable,
        "time": time.time(),
        "root": root,
        "writable": _why_not_writable(Path(root)),
        "free": _free(Path(root)),
        "config_file": _why_not_readable(_filled_in(order["config_file"])),
        "rsync": _has_rsync(),
        "reach": {f"{host}:{port}": _why_silent(host, port) for host, port in order["reach"]},
    }


def _why_not_writable(root: Path) -> str | None:
    file = root / f".probe-{os.getpid()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 4096)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with suppress(OSError):
            file.unlink()
    return None


def _why_not_readable(file: str) -> str | None:
    try:
        with open(file, "rb"):  # noqa: PTH123
            return None
    except OSError as error:
        return error.strerror or str(error)


def _free(root: Path) -> int | None:
    for folder in (root, *root.parents):
        with suppress(OSError):
            status = os.statvfs(folder)
            return status.f_bavail * status.f_frsize
    return None


def _why_silent(host: str, port: int) -> str | None:
    try:
        socket.create_connection((host, port), timeout=_TO_CONNECT).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _has_rsync() -> bool:
    import shutil  # it loads three compression libraries, and each exchange would pay for it

    return shutil.which("rsync") is not None


def _filled_in(path: str) -> str:
    return os.path.abspath(os.path.expanduser(os.path.expandvars(path)))  # noqa: PTH100, PTH111
