"""Files that are read at a start hold half of what they should, or bytes of somebody else.

The reader is killed, the file is changed, the reader starts. What cannot be known without the
file (the configuration, ``next_workers``, the database itself) is put back after the reader has
had the time to refuse it; everything else stays as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from lab.places import open_claims
from lab.plans import PlannedFault
from lab.system import LabSystem

_FOREIGN = (
    b"\x7fELF\x02\x01\x01" + bytes(200),
    b"\x00\xff\xfe{[: - \x80" * 30,
    b"<html><body>502 Bad Gateway</body></html>\n",
    b"[1, 2, 3]\n",
    b"",
)
_TIME_TO_REFUSE = 1.2  # seconds


def tear(system: LabSystem, fault: PlannedFault) -> bool:
    """Cut a file somewhere."""
    return _change(system, fault, lambda data: data[: len(data) * (fault.strength % 100) // 100])


def put_foreign_bytes(system: LabSystem, fault: PlannedFault) -> bool:
    """Put other bytes in place of a file."""
    return _change(system, fault, lambda _: _FOREIGN[fault.choice % len(_FOREIGN)])


def _change(system: LabSystem, fault: PlannedFault, change: Callable[[bytes], bytes]) -> bool:
    strike = _STRIKES.get(fault.place)
    if strike is not None:
        return strike(system, change)
    return _stays(system, fault.place, change)


def _stays(system: LabSystem, place: str, change: Callable[[bytes], bytes]) -> bool:
    """Change a file that everything has to go on without."""
    paths = system.paths
    file, reader = {
        **{
            f"{name}.{end}": (paths.run / f"{name}.{end}", name)
            for name in ("manager", "message_broker", "launcher", "scheduler")
            for end in ("pid", "lock", "sock")
        },
        "checklist file": (paths.checklist_file, "manager"),
        "nowcast.db-shm": (paths.database.with_name("nowcast.db-shm"), "manager"),
        "log_offsets.json": (paths.state / "log_offsets.json", "log_aggregator"),
    }[place]
    with system.reading_lock, system.down(reader):
        old = _content(file)
        if old is None:
            return False
        _write(system, file, change(old))
    return True


def _content(file: Path) -> bytes | None:
    try:
        return b"a socket" if file.is_socket() else file.read_bytes()
    except OSError:
        return None


def _write(system: LabSystem, file: Path, data: bytes) -> None:
    if file.is_socket():
        file.unlink()
    if file == system.paths.checklist_file:
        system.torn_checklists.add(data)
    if file.suffix in (".lock", ".db-shm"):
        file.write_bytes(data)  # in its place: who holds it open holds this very file
        return
    new = file.with_name(f".{file.name}.torn")
    new.write_bytes(data)
    new.replace(file)


def _put_back(file: Path, reader: str) -> Callable[[LabSystem, Callable[[bytes], bytes]], bool]:
    def strike(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
        path = system.folder / file
        with system.down(reader):
            old = path.read_bytes()
            # Never what could be another file of its kind, which would be done as it says.
            _write(system, path, change(old) + b"\n{[")
        time.sleep(_TIME_TO_REFUSE)
        _write(system, path, old)
        return True

    return strike


def _database(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
    """A database without its head is refused; the manager goes on once it is back, whole."""
    database, wal = system.paths.database, system.paths.database.with_name("nowcast.db-wal")
    refusals = system.unexpected_ends.total()
    with system.reading_lock, system.down("manager"):
        old, old_wal = database.read_bytes(), _content(wal)
        # Some bytes always stay: an empty file is an empty database.
        head = change(old)[:60] or b"\xff" * 512
        for left in system.paths.state.glob("nowcast.db*"):
            left.unlink()
        database.write_bytes(head)
    give_up = time.monotonic() + 20
    while system.unexpected_ends.total() == refusals:
        assert time.monotonic() < give_up, "the manager has taken a database without a head"
        time.sleep(0.02)
    with system.reading_lock, system.down("manager"):
        for left in system.paths.state.glob("nowcast.db*"):
            left.unlink()
        database.write_bytes(old)
        if old_wal is not None:
            wal.write_bytes(old_wal)
    return True


def _end_of_the_log(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
    """A commit that did not come to its end: half of it stands at the end of the log."""
    with system.down("manager"):
        wal = system.paths.database.with_name("nowcast.db-wal")
        if not wal.exists():
            return False
        with wal.open("ab") as file:
            file.write(change(os.urandom(4096 + 24)))
    return True


def _outbox(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
    with system.down("manager"):
        _write(system, system.paths.outbox / "of-nobody.yaml", change(b"source: hand\n" * 9))
    return True


def _outbox_of_a_job(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
    for folder, _ in open_claims(system):
        with suppress(OSError):
            _write(system, folder / "outbox" / "of-nobody.yaml", change(b"source: hand\n" * 9))
            with system.down("manager"):  # the next one looks into it when the job has ended
                return True
    return False


def _in_a_job(name: str) -> Callable[[LabSystem, Callable[[bytes], bytes]], bool]:
    def strike(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
        with system.down("manager"):
            for folder in _folders(system, name):
                system.torn_jobs.add(folder.name[:36])
                with suppress(OSError):
                    _write(system, folder / name, change((folder / name).read_bytes()))
                    return True
        return False

    return strike


def _folders(system: LabSystem, name: str) -> list[Path]:
    if name == "exit":
        files = sorted(system.paths.jobs.glob("*/*/exit"), reverse=True)
        return [file.parent for file in files]
    return [folder for folder, _ in open_claims(system)]


def _spool(system: LabSystem, change: Callable[[bytes], bytes]) -> bool:
    with system.down("log_aggregator"):
        folder = system.paths.state / "spool" / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        line = b'{"file": "nowcast.log", "text": "from a spool\\n"}\n'
        (folder / "99999999.jsonl").write_bytes(change(line * 3))
    return True


_STRIKES: Mapping[str, Callable[[LabSystem, Callable[[bytes], bytes]], bool]] = {
    "nowcast.yaml": _put_back(Path("nowcast.yaml"), "manager"),
    "next_workers.py": _put_back(Path("next_workers.py"), "manager"),
    "nowcast.db": _database,
    "nowcast.db-wal": _end_of_the_log,
    "outbox": _outbox,
    "outbox of a job": _outbox_of_a_job,
    "pid of a job": _in_a_job("pid"),
    "exit of a job": _in_a_job("exit"),
    "job.json of a job": _in_a_job("job.json"),
    "log spool": _spool,
}
