"""The code that runs on other hosts, packed as one file that Python runs: no package is needed."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

MODULES = (
    "crash_points",
    "runner",
    "command_end",
    "claims",
    "publishing",
    "publish_intent",
    "atomic_files",
    "process_identity",
    "executors.command_child",
    "executors.job_tool",
    "executors.prevent",
    "executors.sessions",
    "executors.file_digests",
    "executors.remote_cleaning",
    "executors.remote_files",
    "executors.remote_commands",
    "executors.remote_job",
    "executors.remote_probe",
    "executors.remote_side",
    "executors.node",
    "executors.serving",
)

_BEGIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("nowcast needs Python 3.9 or newer, and %s is %s" % (sys.executable, sys.version[:6]))

if sys.argv[1:2] == ["serve"]:
    from nowcast_cli.executors.serving import main
elif sys.argv[1:2] == ["run"]:
    from nowcast_cli.executors.node import main
elif sys.argv[1:2] in (["tell"], ["publish"]):
    from nowcast_cli.executors.job_tool import main
else:
    from nowcast_cli.executors.remote_side import main

main()
"""

# Run on the other host with the path and the checksum as arguments and the archive on stdin: a
# connection that is cut leaves no half of it.
INSTALL = """\
import hashlib, os, sys
path, digest = sys.argv[1:]
data = sys.stdin.buffer.read()
if hashlib.sha256(data).hexdigest() != digest:
    sys.exit("the connection was cut")
os.makedirs(os.path.dirname(path), exist_ok=True)
part = "%s.%d.part" % (path, os.getpid())
with open(part, "wb") as file:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
os.rename(part, path)
"""


@dataclass(frozen=True)
class Archive:
    """The packed code, and its SHA-256 in hexadecimal digits, by which a host keeps it."""

    data: bytes
    digest: str


@cache
def archive() -> Archive:
    """Pack the code; the same code gives the same archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        _add(file, "__main__.py", _BEGIN)
        for package in ("nowcast_cli", "nowcast_cli/executors"):
            _add(file, f"{package}/__init__.py", "")
        for module in MODULES:
            name = module.replace(".", "/") + ".py"
            _add(file, f"nowcast_cli/{name}", files("nowcast_cli").joinpath(name).read_text())
    data = packed.getvalue()
    return Archive(data, sha256(data).hexdigest())


def _add(file: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(entry, text)
