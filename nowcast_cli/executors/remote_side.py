"""What is run on another host, by ssh: begins jobs, ends them, and tells what is new of them.

One call is one exchange: an order as JSON on stdin, the answer on stdout behind a mark, since
the files that a login shell reads may print too. A job is begun by the runner, detached: it goes
on when the connection, or whoever called, has gone. Nothing is remembered between two calls but
what stands in the folders of the jobs.

Standard library only, Python 3.9 and newer: it is shipped to the other host.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import socket
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.command_end import TOLD
from nowcast_cli.executors.prevent import prevent
from nowcast_cli.executors.remote_cleaning import clear, is_quiet, removed
from nowcast_cli.executors.remote_commands import run_command
from nowcast_cli.executors.remote_job import NODE, become_job
from nowcast_cli.executors.remote_probe import probe
from nowcast_cli.executors.sessions import members, remaining, signal_session
from nowcast_cli.process_identity import ProcessIdentity, boot_id, is_alive, uptime
from nowcast_cli.runner import Claim, fork_worker, roll_forward

MARK = b"nowcast-answer:"

_STREAMS = ("stdout", "stderr", "records")
_LONGEST_PART = 1 << 20  # bytes of each of them that one answer tells of a job
_CLAIM_WAIT = 1.0  # s that an exchange waits for the claims of what it has begun
_CANCELLED = "cancelled"  # says when to kill, and when to give up, in s since the boot
_LAST_WAIT = 2.0  # s from SIGKILL on; what the kernel has not ended by then hangs in it


def main() -> None:
    """Carry out the order on stdin and answer on stdout."""
    answer = json.dumps(carry_out(json.loads(sys.stdin.buffer.read()))).encode()
    sys.stdout.buffer.write(b"\n" + MARK + base64.b64encode(zlib.compress(answer)) + b"\n")


def carry_out(order: Mapping[str, Any]) -> dict[str, Any]:
    """Do what an order asks for, by its ``what``; without one it is an :func:`exchange`."""
    return _OTHER_ORDERS.get(order.get("what", ""), exchange)(order)


def exchange(order: Mapping[str, Any]) -> dict[str, Any]:
    """Begin and end jobs, then look at all of them.

    Parameters
    ----------
    order
        ``root``, the state directory on this host; ``submit``, the requests to begin, as in
        ``job.json``; ``cancel``, ids of jobs to end; ``grace``, the seconds between SIGTERM and
        SIGKILL; ``look``, by id: ``folder`` below the root, and what the other side has of it;
        ``clear``, ids of jobs that have ended, of which all that the other side has may go;
        ``remove``, by id the names in scratch that may go with it;
        ``key``, None or the ``file`` and ``text`` of the key that the jobs connect with; ``part``,
        where it is given, how many bytes of each file an answer tells at most.

    Returns
    -------
    dict
        ``jobs``, by id what is new (see ``look``); ``cleared``, ids of those of which nothing
        was new, and nothing is left to be told; ``trouble``, sentences about jobs that could
        not begin, be ended or be looked at: of these nothing is known.
    """
    root = _filled_in(order["root"])
    part = order.get("part", _LONGEST_PART)
    jobs = {job_id: dict(job, id=job_id, folder=f"{root}/{job['folder']}", part=part)
            for job_id, job in order["look"].items()}  # fmt: skip
    key = _keep_key(Path(root, "keys"), order.get("key"))
    trouble = begin([_on_this_host(job, root, key) for job in order["submit"]])
    for job_id in order["cancel"]:
        with _told_of(job_id, trouble):
            cancel(Path(jobs[job_id]["folder"]), order["grace"])
    seen = {}
    for job_id, job in jobs.items():
        with _told_of(job_id, trouble):
            seen[job_id] = look(job)
    cleared = []
    for job_id in order["clear"]:
        folder = Path(jobs[job_id]["folder"])
        with _told_of(job_id, trouble):
            if job_id in seen and is_quiet(folder) and not _has_news(seen[job_id]):
                _remove(folder, order.get("remove", {}).get(job_id))
                clear(folder)
                cleared.append(job_id)
    return {"jobs": seen, "cleared": cleared, "trouble": trouble}


def _has_news(seen: Mapping[str, Any]) -> bool:
    return bool(any(seen[name] for name in _STREAMS) or seen["outbox"] or seen["exit"] is None)


def clean(order: Mapping[str, Any]) -> dict[str, Any]:
    """Remove folders of jobs, ``remove`` below ``root``; tells those that are gone now."""
    root = Path(_filled_in(order["root"]))
    gone, trouble = removed(root, order["remove"], _still_runs)
    return {"removed": gone, "trouble": trouble}


def _still_runs(folder: Path) -> bool:
    claim = _claim_in(_read(folder / "pid"))
    return claim is not None and _lives(claim.process)


def _about_files(order: Mapping[str, Any]) -> dict[str, Any]:
    # It loads what other exchanges can do without.
    from nowcast_cli.executors import remote_files

    return remote_files.ORDERS[order["what"]](order)


def _remove(folder: Path, names: Sequence[str] | None) -> None:
    if names:
        from nowcast_cli.executors import remote_files

        remote_files.remove(folder, names)


_OTHER_ORDERS = {
    "clean": clean,
    "command": run_command,
    "probe": probe,
    "make room": _about_files,
    "examine": _about_files,
    "outputs": _about_files,
}


@contextmanager
def _told_of(job_id: str, trouble: list[str]) -> Iterator[None]:
    """One job whose folder is damaged must not keep the others from being seen to."""
    try:
        yield
    except OSError as error:
        trouble.append(f"nothing can be said of job {job_id}: {error}")


def _filled_in(path: str) -> str:
    return os.path.abspath(os.path.expanduser(os.path.expandvars(path)))  # noqa: PTH100, PTH111


def _keep_key(folder: Path, key: Mapping[str, str] | None) -> dict[str, str]:
    """Write the key where it is not as it is here; gives what tells jobs of its file."""
    if key is None:
        return {}
    file = folder / key["file"]
    if _read(file) != key["text"]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        write_atomically(file, key["text"].encode(), 0o600)
    return {"NOWCAST_KEY": str(file)}


def _on_this_host(
    job: Mapping[str, Any], root: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    config_file = _filled_in(job["config_file"])
    return {
        **job,
        "environment": {**job["environment"], **environment},
        "folder": f"{root}/{job['folder']}",
        "config_file": config_file,
        "arguments": [config_file, *job["arguments"]],
        "working_directory": str(Path(config_file).parent),
    }


# --- beginning


def begin(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Start a runner for each job; one that is claimed already ends by itself."""
    if not jobs:
        return []
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    trouble: list[str] = []
    for job in jobs:
        with _told_of(job["id"], trouble):
            _start(job, tell)
    os.close(tell)
    return trouble + _await_claims(told, len(jobs) - len(trouble))


def _start(job: Mapping[str, Any], tell: int) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(json.dumps(job).encode())
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                ours.close()
                _be_job(theirs, tell)
        finally:
            os._exit(0)
    # Open until the runner has its order, which waits in the socket.
    os.waitpid(child, 0)
    ours.close()
    theirs.close()


def _await_claims(told: int, count: int) -> list[str]:
    give_up = time.monotonic() + _CLAIM_WAIT
    text = b""
    while text.count(b"\n") < count:
        ready, _, _ = select.select([told], [], [], max(0.0, give_up - time.monotonic()))
        part = os.read(told, 65536) if ready else b""
        if not part:
            break
        text += part
    os.close(told)
    lines = [json.loads(line) for line in text.split(b"\n")[:-1]]
    return [sentence for kind, sentence in lines if kind == "trouble"]


def _be_job(orders: socket.socket, tell: int) -> NoReturn:
    """Become the runner of the job, and in a fork of it, the job."""

    def say(kind: str, sentence: str) -> None:
        with suppress(OSError):  # the exchange may be over
            os.write(tell, json.dumps([kind, sentence[:1000]]).encode() + b"\n")

    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    _close_all_but(orders.fileno(), tell)
    _let_go_of_streams()
    # A runner that stands in a folder would keep its file system from being unmounted.
    os.chdir("/")
    job, runner = fork_worker(orders, say)
    become_job(job, runner)


def _let_go_of_streams() -> None:
    """Have what another process gave this one as stdin, stdout and stderr lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    if nowhere > 2:
        os.close(nowhere)


def _close_all_but(*kept: int) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) not in kept:
            with suppress(OSError):  # the one that listed them is closed already
                os.close(int(name))


# --- ending


def cancel(folder: Path, grace: float) -> None:
    """Keep a job from beginning, or end its processes: SIGTERM, after the grace SIGKILL."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if prevent(folder, now):
        return
    claim = _claim_in(_read(folder / "pid"))
    # A claim without a runner is that of an exchange which kept the job from beginning.
    if claim is None or claim.runner is None or not members(claim.process):
        return
    limits = _limits_of_ending(folder)
    if limits is None:
        kill_at = uptime() + grace
        write_atomically(folder / _CANCELLED, f"{kill_at} {kill_at + _LAST_WAIT}".encode())
        signal_session(claim.process, signal.SIGTERM)
    elif uptime() > limits[0]:
        signal_session(claim.process, signal.SIGKILL)


def _limits_of_ending(folder: Path) -> tuple[float, float] | None:
    """When a job that is being ended is killed, and when that is given up; None where it is not."""
    try:
        kill_at, give_up = (_read(folder / _CANCELLED) or "").split()
        return float(kill_at), float(give_up)
    except ValueError:
        return None


def _is_being_ended(claim: Claim | None, folder: Path) -> bool:
    limits = _limits_of_ending(folder)
    if claim is None or limits is None or uptime() > limits[1]:
        return False
    return bool(members(claim.process))


def _left(job: Mapping[str, Any], claim: Claim | None) -> str | None:
    if claim is None or _limits_of_ending(Path(job["folder"])) is None:
        return None
    return remaining(job["id"], claim.process)


# --- looking


def look(job: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what is new of a job.

    Returns
    -------
    dict
        ``pid`` and ``exit``, the texts of the files; ``gone``, whether its processes have ended
        for certain and left no ``exit``; ``stdout``, ``stderr``, ``records``, what follows on the
        bytes that the other side has (base64), None without a file; ``at``, by name how many it
        has; ``outbox``, the texts of the files that it has not; ``more``, whether more was
        written, which is fetched before the end is told; ``told``, the text of that file, with the
        end alone; ``age``, the seconds since its process began; ``left``, what is there still of a
        job that was ended, in words.
    """
    folder = Path(job["folder"])
    claim_text = _read(folder / "pid")
    # First who lives, then what they left: what is written after the look is seen next time.
    claim = _claim_in(claim_text)
    gone = _has_gone(claim, folder)
    exit_text = _read(folder / "exit")
    if gone and exit_text is None and roll_forward(str(folder)):
        exit_text = _read(folder / "exit")
    if _is_being_ended(claim, folder):  # what is left of it is no less to end than it was
        gone, exit_text = False, None
    longest = job.get("part", _LONGEST_PART)
    streams = {name: _part(folder / name, job[name], longest) for name in _STREAMS}
    more = any(len(part or b"") == longest for part in streams.values())
    found: dict[str, Any] = {
        name: None if part is None else base64.b64encode(part).decode()
        for name, part in streams.items()
    }
    return {
        **found,
        "at": {name: job[name] for name in _STREAMS},
        "pid": claim_text,
        "exit": None if more else exit_text,
        "told": None if more or exit_text is None else _read(folder / TOLD),
        "gone": gone and exit_text is None and not more,
        "age": None if claim is None else claim.age(),
        "left": _left(job, claim) if gone or exit_text is not None else None,
        "outbox": _outbox(folder / "outbox", job["outbox"]),
        "more": more,
    }


def _has_gone(claim: Claim | None, folder: Path) -> bool:
    """Whether all processes of the job have ended, as far as this machine can know."""
    if claim is None:
        return False
    if claim.process.boot != boot_id() and _read(folder / NODE) != socket.gethostname():
        # A name may lead to one of several machines that share their folders.
        return False
    return not any(_lives(process) for process in (claim.runner, claim.process))


def _lives(process: ProcessIdentity | None) -> bool:
    return process is not None and is_alive(process)


def _claim_in(text: str | None) -> Claim | None:
    try:
        return None if text is None else Claim.from_json(json.loads(text))
    except (ValueError, KeyError, TypeError):
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _part(path: Path, offset: int, longest: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(longest)
    except FileNotFoundError:
        return None


def _outbox(folder: Path, known: Sequence[str]) -> dict[str, str]:
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name not in known]
    return {path.name: _read(path) or "" for path in files}
