"""PBS: what ``qsub``, ``qstat``, ``qselect`` and ``qdel`` are told, and what they tell. Pure.

Written for OpenPBS and PBS Professional by their documentation; Torque speaks another dialect.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nowcast_cli.executors.batch_system import (
    OUTPUT,
    Answer,
    Later,
    NativeState,
    Outage,
    Refused,
    TooEarly,
)
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict

_NAME = "nc-"
# A job is selected by its name alone: one call for each token, in one command.
_FIND = """\
for token; do
    ids=$(qselect -x -N "nc-$token") || exit
    for id in $ids; do echo "$token $id"; done
done
"""
_STATES: Mapping[str, Literal["pending", "running", "ended"]] = {
    **dict.fromkeys("QHWT", "pending"),
    **dict.fromkeys("RBSUE", "running"),
    **dict.fromkeys("FX", "ended"),
}
_WORDS = {"H": "it is held", "S": "it is suspended", "U": "it is suspended", "E": "it is ending"}
_IS_GONE = re.compile(r"Unknown Job Id (\S+)|(\S+) Job has finished")
_ENDS_ANYWAY = re.compile(r"Unknown Job Id|Job has finished|Request invalid for state of job")
_NOT_REACHED = re.compile(
    r"cannot connect to server|Connection (refused|timed out)|errno=|Communication failure|"
    r"End of File|not respond",
    re.IGNORECASE,
)
_TRY_LATER = re.compile(r"would exceed .*limit|Maximum number of jobs already", re.IGNORECASE)
_KILLED = re.compile(r"^=>> PBS: job killed: (\w+)(.*exceeded limit.*)$", re.MULTILINE)
_DELETED = "91"  # the substate of a job that was deleted
_TERMINATED = 15
_BY_QDEL = "it was deleted in PBS (qdel), and not by nowcast"
# By Exit_status: over which limit PBS ended a job.
_OVER = {-24: "ncpus", -25: "ncpus", -26: "vmem", -27: "mem", -28: "cput", -29: "walltime"}


@dataclass(frozen=True)
class Pbs:
    """OpenPBS and PBS Professional (see ``batch_system.BatchSystem``)."""

    name = "PBS"
    arrays = None  # each member of an ensemble is a job by itself
    own_id = '"$PBS_JOBID"'
    grace = 10.0  # kill_delay of a queue, where nobody has set it
    signals_script_alone = True  # it signals a session, and workers have one of their own
    warning = None

    def header(self, request: JobRequest) -> list[str]:
        """Give the directives of the job script."""
        wanted = request.resources
        chunk = [
            *([] if wanted.cpus is None else [f"ncpus={wanted.cpus}"]),
            *([] if wanted.memory is None else [f"mem={wanted.memory}b"]),
            *([f"ngpus={wanted.gpus}"] if wanted.gpus else []),
        ]
        lines = [
            *([] if wanted.queue is None else [f"-q {wanted.queue}"]),
            *([] if wanted.account is None else [f"-A {wanted.account}"]),
            *([f"-l select=1:{':'.join(chunk)}"] if chunk else []),
        ]
        if wanted.walltime is not None:
            minutes, seconds = divmod(max(1, round(wanted.walltime)), 60)
            lines.append(f"-l walltime={minutes // 60:02}:{minutes % 60:02}:{seconds:02}")
        return [*(f"#PBS {line}" for line in lines), *request.directives]

    def submit(self, script: str, token: str, request: JobRequest) -> list[str]:
        """Give the command that submits a script."""
        output = f"{request.folder}/{OUTPUT}"
        how = ("-r", "n", "-j", "oe", "-o", output, "-S", "/bin/sh")
        # Of an option that is given twice the last counts: what we rely on comes last.
        return ["qsub", *request.resources.extra, "-N", _NAME + token, *how, script]

    def submitted(self, answer: Answer) -> str:
        """Give the id of the job. Raises Outage, Later or Refused."""
        ids = re.findall(r"^(\d+(?:\[\])?\.\S+)$", answer.stdout, re.MULTILINE)
        if answer.code == 0 and ids:
            return str(ids[-1])
        said = answer.last_words.removeprefix("qsub: ")
        if _TRY_LATER.search(said):
            raise Later(f"PBS takes no more jobs at present: {said}")
        if answer.last_words.startswith("qsub: ") and not _NOT_REACHED.search(answer.stderr):
            raise Refused(f"PBS refused the job: {said}")
        raise Outage(f"qsub: {said}")

    def poll(self, ids: Sequence[str]) -> list[str]:
        """Give the one command that tells of these jobs."""
        return ["qstat", "-x", "-f", *ids]

    def polled(self, answer: Answer, ids: Sequence[str]) -> dict[str, NativeState]:
        """Give the state of each of them. Raises Outage."""
        jobs = {_number(native_id): job for native_id, job in _read(answer.stdout).items()}
        gone = {_number(one or other) for one, other in _IS_GONE.findall(answer.stderr)}
        found = {}
        for native_id in ids:
            number = _number(native_id)
            if number in jobs:
                found[native_id] = _state(jobs[number])
            elif number in gone:
                found[native_id] = NativeState("ended", "")
            else:
                raise Outage(f"qstat: {answer.last_words.removeprefix('qstat: ')}")
        return found

    def find(self, tokens: Sequence[str]) -> list[str]:
        """Give the command that looks jobs up by their names, those that have ended as well."""
        return ["sh", "-c", _FIND, "find", *tokens]

    def found(self, answer: Answer, tokens: Collection[str]) -> dict[str, str]:
        """Give ids by token. Raises Outage."""
        if answer.code != 0:
            raise Outage(f"qselect: {answer.last_words.removeprefix('qselect: ')}")
        pairs = (line.split() for line in answer.stdout.splitlines())
        named = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
        return {token: named[token] for token in tokens if token in named}

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Give the command that ends these jobs."""
        return ["qdel", *ids]

    def cancelled(self, answer: Answer) -> None:
        """Raise Outage where the jobs were not deleted; one that has ended is no matter."""
        lines = [line for line in answer.stderr.splitlines() if line.strip()]
        bad = [line for line in lines if not _ENDS_ANYWAY.search(line)]
        if answer.code != 0 and (bad or not lines):
            raise Outage(f"qdel: {(bad or [answer.last_words])[-1].removeprefix('qdel: ')}")

    def explain(self, native_id: str) -> list[str]:
        """Give the command that tells how a job ended."""
        return ["qstat", "-x", "-f", native_id]

    def explained(self, answer: Answer, token: str) -> Verdict | None:  # noqa: ARG002
        """Say why PBS ended a job, None where it ended by itself or PBS keeps no history.

        Raises TooEarly while the job is still ending, or Outage.
        """
        jobs = list(_read(answer.stdout).values())
        if not jobs:
            if _IS_GONE.search(answer.stderr):
                return None
            raise Outage(f"qstat: {answer.last_words.removeprefix('qstat: ')}")
        job = jobs[-1]
        if _STATES.get(job.get("job_state", "")) != "ended":
            raise TooEarly
        return _verdict(job)

    def health(self) -> list[str]:
        """Give the command that sums up the queues."""
        return ["qstat", "-Q"]

    def well(self, answer: Answer) -> str:
        """Say which queues take jobs. Raises Outage."""
        if answer.code != 0:
            raise Outage(f"qstat: {answer.last_words.removeprefix('qstat: ')}")
        lines = [line.split() for line in answer.stdout.splitlines()]
        queues = [line[0] for line in lines if line[3:5] == ["yes", "yes"]]
        if not queues:
            raise Outage("it has no queue that is enabled and started (qstat -Q)")
        return f"queues that take jobs: {', '.join(queues)}"

    def said(self, output: str) -> Verdict | None:
        """Read the line that PBS writes into the output of a job which it ends."""
        lines = _KILLED.findall(output)
        if not lines:
            return None
        limit, rest = lines[-1]
        return Verdict(_kind(limit), f"PBS ended it at its limit: {limit}{rest.rstrip()}")


def _read(text: str) -> dict[str, dict[str, str]]:
    """Read ``qstat -f``: attributes by id. What follows on a tab belongs to the line before."""
    jobs: dict[str, dict[str, str]] = {}
    attributes: dict[str, str] = {}
    for line in re.sub(r"\n\t", "", text).splitlines():
        head, mark, value = line.strip().partition(" = ")
        if line.startswith("Job Id: "):
            attributes = jobs[line.removeprefix("Job Id: ").strip()] = {}
        elif mark:
            attributes[head] = value
    return jobs


def _number(native_id: str) -> str:
    """Give the number of an id: the server after it may be written in more than one way."""
    return native_id.partition(".")[0]


def _state(job: Mapping[str, str]) -> NativeState:
    letter = job.get("job_state", "")
    state = _STATES.get(letter)
    if state is None:
        return NativeState("unknown", letter, job.get("comment", ""))
    words = [_WORDS.get(letter, ""), job.get("comment", "") if state == "pending" else ""]
    return NativeState(state, letter, "; ".join(word for word in words if word))


def _verdict(job: Mapping[str, str]) -> Verdict | None:
    deleted = job.get("substate") == _DELETED or job.get("comment", "").endswith("and terminated")
    if "Exit_status" not in job:
        return Verdict("crashed", f"{_BY_QDEL}, before it began")
    status = int(job["Exit_status"])
    limit = _OVER.get(status)
    if limit is None and status > 128 and _over_its_time(job):
        limit = "walltime"  # as PBS told it before it had a code of its own for that
    if limit is not None:
        return Verdict(_kind(limit), _over(limit, job))
    if status < 0:
        why = job.get("comment", "")
        return Verdict(
            "crashed", f"PBS could not run it: Exit_status {status}" + f"; {why}" * bool(why)
        )
    number = status - 256  # of the signal that ended the job script
    if deleted or number == _TERMINATED:
        return Verdict("crashed", _BY_QDEL)
    return Verdict("crashed", f"its batch job was ended by signal {number}") if number > 0 else None


def _kind(limit: str) -> Literal["crashed", "timed out"]:
    return "timed out" if limit == "walltime" else "crashed"


def _over(limit: str, job: Mapping[str, str]) -> str:
    names = {"walltime": "time limit", "mem": "memory limit", "vmem": "memory limit"}
    allowed = job.get(f"Resource_List.{limit}")
    used = job.get(f"resources_used.{limit}")
    name = names.get(limit, "limit")
    return (
        f"PBS ended it at its {name} ({limit}{'' if allowed is None else f'={allowed}'})"
        + ("" if used is None else f": it used {used}")
    )  # fmt: skip


def _over_its_time(job: Mapping[str, str]) -> bool:
    used, allowed = job.get("resources_used.walltime"), job.get("Resource_List.walltime")
    return used is not None and allowed is not None and _seconds(used) >= _seconds(allowed)


def _seconds(text: str) -> float:
    """Read ``01:30:00`` or ``5400``."""
    return sum(float(part) * 60.0**power for power, part in enumerate(reversed(text.split(":"))))
