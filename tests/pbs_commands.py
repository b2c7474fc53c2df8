"""Stand-ins for the commands of PBS, and for what runs its jobs: ``qsub``, ``qstat``, ``qselect``,
``qdel``, as their documentation describes what they take and print.

``python pbs_commands.py COMMAND ROOT [ARGUMENT …]``; ``pbs_system.Pbs`` puts them on the path. All
state is in files below ``ROOT``. A file ``down`` there stands for a server that is not reached,
``hangs`` for one that does not answer, ``no-history`` for one that forgets jobs as they end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SERVER = "pbs-head"
NODE = "node01"
NCPUS = 4
KILL_DELAY = 2.0
UNKNOWN, FINISHED = 153, 35
QUEUES = """\
Queue              Max   Tot Ena Str   Que   Run   Hld   Wat   Trn   Ext Type
---------------- ----- ----- --- --- ----- ----- ----- ----- ----- ----- ----
workq                0     0 yes yes     0     0     0     0     0     0 Exec
night                0     0 yes  no     0     0     0     0     0     0 Exec"""


def main() -> None:
    command, root, *arguments = sys.argv[1:]
    queue = Queue(Path(root))
    if command == "mom":
        queue.run(arguments[0])
        return
    while (queue.root / "hangs").exists():
        time.sleep(0.05)
    if (queue.root / "down").exists():
        print("Connection refused", file=sys.stderr)
        print(f"{command}: cannot connect to server {SERVER} (errno=15010)", file=sys.stderr)
        sys.exit(162)
    sys.exit(getattr(queue, command)(arguments))


class Queue:
    """The jobs, each in a file of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- the commands

    def qsub(self, arguments: list[str]) -> int:
        script = Path(arguments[-1])
        if not script.exists():
            print(f"qsub: script file:: No such file or directory: {script}", file=sys.stderr)
            return 1
        lines = script.read_text().splitlines()
        directives = [line[5:].split() for line in lines if line.startswith("#PBS ")]
        options = _options([word for line in directives for word in line] + arguments[:-1])
        if options.get("q", "workq") != "workq":
            print("qsub: Unknown queue", file=sys.stderr)
            return 170
        if _asked_ncpus(options) > NCPUS:
            print("qsub: Job violates queue and/or server resource limits", file=sys.stderr)
            return 188
        with self.locked():
            numbers = [int(file.stem) for file in self.root.glob("jobs/*.json")]
            number = str(max(numbers, default=100) + 1)
            shutil.copy(script, self.root / f"jobs/{number}.SC")
            self.write(number, self._new(options))
        subprocess.Popen(
            [sys.executable, __file__, "mom", str(self.root), number],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        print(f"{number}.{SERVER}")
        return 0

    def _new(self, options: dict[str, Any]) -> dict[str, str]:
        limits = {f"Resource_List.{key}": value for key, value in options["l"].items()}
        return {
            "Job_Name": options.get("N", "STDIN"),
            "Job_Owner": f"me@{SERVER}",
            "job_state": "Q",
            "queue": "workq",
            "server": SERVER,
            "Join_Path": options.get("j", "n"),
            "Output_Path": f"{SERVER}:{options['o']}",
            "Rerunable": "False" if options.get("r") == "n" else "True",
            **limits,
            "substate": "10",
            "Variable_List": "PBS_O_HOME=/home/me,PBS_O_LANG=C.UTF-8,PBS_O_LOGNAME=me,"
            "PBS_O_PATH=/usr/local/bin:/usr/bin:/bin,PBS_O_SHELL=/bin/bash,PBS_O_WORKDIR=/home/me",
            "Submit_arguments": " ".join(sys.argv[3:]),
        }

    def qstat(self, arguments: list[str]) -> int:
        if arguments == ["-Q"]:
            print(QUEUES)
            return 0
        history = "-x" in arguments
        code = 0
        for native_id in (argument for argument in arguments if not argument.startswith("-")):
            job = self.read(native_id.partition(".")[0])
            if job is None:
                print(f"qstat: Unknown Job Id {native_id}", file=sys.stderr)
                code = UNKNOWN
            elif job["job_state"] == "F" and not history:
                print(
                    f"qstat: {native_id} Job has finished, use -x or -H to obtain historical "
                    "job information",
                    file=sys.stderr,
                )
                code = FINISHED
            else:
                print(_shown(native_id, job))
        return code

    def qselect(self, arguments: list[str]) -> int:
        name = arguments[arguments.index("-N") + 1]
        for file in sorted(self.root.glob("jobs/*.json")):
            job = self.read(file.stem)
            if job is not None and job["Job_Name"] == name:
                print(f"{file.stem}.{SERVER}")
        return 0

    def qdel(self, arguments: list[str]) -> int:
        code = 0
        for native_id in arguments:
            job = self.read(native_id.partition(".")[0])
            if job is None:
                print(f"qdel: Unknown Job Id {native_id}", file=sys.stderr)
                code = UNKNOWN
            elif job["job_state"] == "F":
                print(f"qdel: Job has finished {native_id}", file=sys.stderr)
                code = FINISHED
            else:
                (self.root / f"jobs/{native_id.partition('.')[0]}.deleted").touch()
        return code

    # --- the node

    def run(self, number: str) -> None:
        """Run a job as soon as there are processors for it, and tell how it ended."""
        deleted = self.root / f"jobs/{number}.deleted"
        while not self._begins(number):
            if deleted.exists():
                self.change(number, job_state="F", substate="91", comment="and terminated")
                return
            time.sleep(0.02)
        job = self.read(number)
        assert job is not None
        began = time.monotonic()
        spool = self.root / f"spool/{number}.OU"
        with spool.open("ab") as out:
            process = subprocess.Popen(
                ["/bin/sh", str(self.root / f"jobs/{number}.SC")],
                env={**_plain_environment(), "PBS_JOBID": f"{number}.{SERVER}"},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/",
            )  # fmt: skip
        limit = _seconds(job.get("Resource_List.walltime"))
        kill_at, why = None, ""
        while process.poll() is None:
            took = time.monotonic() - began
            if kill_at is None and (deleted.exists() or (limit is not None and took > limit)):
                why = "terminated" if deleted.exists() else "exceeded resource walltime"
                if why != "terminated":
                    with spool.open("a") as out:
                        out.write(
                            f"=>> PBS: job killed: walltime {took:.0f} exceeded limit {limit:.0f}\n"
                        )
                _signal(process.pid, signal.SIGTERM)
                kill_at = time.monotonic() + KILL_DELAY
            elif kill_at is not None and time.monotonic() > kill_at:
                _signal(process.pid, signal.SIGKILL)
            time.sleep(0.02)
        code = process.returncode
        status = 256 - code if code < 0 else code
        self.change(number, job_state="E", substate="51")
        where = Path(job["Output_Path"].partition(":")[2])
        with contextlib.suppress(OSError):
            where.write_bytes(spool.read_bytes())
        self.change(
            number,
            job_state="F",
            substate="91" if why == "terminated" else "92" if status == 0 else "93",
            Exit_status=str(-29 if why.startswith("exceeded") else status),
            comment=f"{job['comment']} and {why or ('failed' if status else 'finished')}",
            **{
                "resources_used.mem": "5200kb",
                "resources_used.walltime": _clock(time.monotonic() - began),
            },
        )

    def _begins(self, number: str) -> bool:
        with self.locked():
            jobs = {file.stem: self.read(file.stem) for file in self.root.glob("jobs/*.json")}
            used = sum(_ncpus(job) for job in jobs.values() if job and job["job_state"] == "R")
            job = jobs[number]
            assert job is not None
            if used + _ncpus(job) > NCPUS:
                short = "Not Running: Insufficient amount of resource: ncpus"
                self.write(number, {**job, "comment": short})
                return False
            at = time.strftime("%a %b %d at %H:%M")
            comment = f"Job run at {at} on ({NODE}:ncpus={_ncpus(job)})"
            self.write(number, {**job, "job_state": "R", "substate": "42", "comment": comment})
            return True

    # --- the files

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def read(self, number: str) -> dict[str, str] | None:
        """Give a job, None where the server does not know it (any more)."""
        try:
            job: dict[str, str] = json.loads((self.root / f"jobs/{number}.json").read_bytes())
        except FileNotFoundError:
            return None
        forgotten = job["job_state"] == "F" and (self.root / "no-history").exists()
        return None if forgotten else job

    def write(self, number: str, job: dict[str, str]) -> None:
        new = self.root / f"jobs/{number}.new"
        new.write_text(json.dumps(job))
        new.replace(self.root / f"jobs/{number}.json")

    def change(self, number: str, **values: str) -> None:
        file = self.root / f"jobs/{number}.json"
        self.write(number, {**json.loads(file.read_bytes()), **values})


def _options(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"l": {}}
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "-l":
            key, _, wanted = value.partition("=")
            found["l"][key] = wanted
        else:
            found[option.removeprefix("-")] = value
    return found


def _asked_ncpus(options: dict[str, Any]) -> int:
    return _ncpus({"Resource_List.select": options["l"].get("select", "1")})


def _ncpus(job: dict[str, str]) -> int:
    match = re.search(r"ncpus=(\d+)", job.get("Resource_List.select", ""))
    return int(match[1]) if match else 1


def _shown(native_id: str, job: dict[str, str]) -> str:
    """Print a job as ``qstat -f`` does: lines are broken before they are 80 characters long."""
    lines = [f"Job Id: {native_id}"]
    for key, value in job.items():
        line = f"    {key} = {value}"
        while len(line) > 78:
            lines.append(line[:78])
            line = "\t" + line[78:]
        lines.append(line)
    return "\n".join(lines) + "\n"


def _plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    return sum(float(part) * 60.0**power for power, part in enumerate(reversed(text.split(":"))))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def _signal(leader: int, number: int) -> None:
    """Send a signal to a process and all its descendants, whatever session they are in."""
    parents: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(process.name))
    waiting = [leader]
    for pid in waiting:
        waiting += parents.get(pid, [])
    for pid in waiting:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


if __name__ == "__main__":
    main()
