"""Slurm: what sbatch, squeue, scontrol, sacct and scancel are told, and what they answer. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from nowcast_cli.executors.batch_system import (
    OUTPUT,
    Answer,
    Later,
    NativeState,
    Outage,
    Refused,
)
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict

_MARK = "nowcast:"
_MOST_IDS = 10_000  # in one argument, which is 128 KiB at most

_PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD",
                      "RESV_DEL_HOLD", "SPECIAL_EXIT"})  # fmt: skip
# COMPLETING is not final: the node still ends processes, and how the job ended may change.
_RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT",
                      "RESIZING"})  # fmt: skip
_ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL",
                    "PREEMPTED", "BOOT_FAIL", "DEADLINE", "REVOKED"})  # fmt: skip

# What says that the controller, or the way to it, is in trouble: the job may be taken later.
_AWAY = ("Unable to contact", "connect failure", "Connection refused", "timed out", "Zero Bytes",
         "Communication connection", "Transport endpoint", "temporarily", "No route to host",
         "Protocol authentication", "backup controller", "fatal: Could not establish",
         "Insane message length", "Unexpected message received")  # fmt: skip
_FULL = ("submit limit", "MaxSubmit", "too many jobs", "Job limit reached")
_UNKNOWN_ID = "Invalid job id"

_MEMORY = "it needed more memory than it may have, and Slurm ended it"
_CANCELLED = "it was cancelled in Slurm (scancel), and not by nowcast"
_PREEMPTED = "Slurm ended it for a job that goes first (PREEMPTED)"


class SlurmArrays:
    """What Slurm is told of a job array (see ``batch_system.Arrays``)."""

    number = "$SLURM_ARRAY_TASK_ID"
    own_id = '"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"'

    def submit(
        self, script: str, token: str, request: JobRequest, links: str, count: int
    ) -> list[str]:
        """Give the sbatch command."""
        at_most = None if request.ensemble is None else request.ensemble.at_most
        array = f"--array=1-{count}" + (f"%{at_most}" if at_most is not None else "")
        return _sbatch(script, token, request, f"{_escaped(links)}/%a/{OUTPUT}", array)

    def element(self, native_id: str, number: int) -> str:
        """Give ``ARRAY_NUMBER``."""
        return f"{native_id.partition('_')[0]}_{number}"


def _sbatch(script: str, token: str, request: JobRequest, output: str, *more: str) -> list[str]:
    return [
        "sbatch",
        f"--job-name={request.worker}",
        *request.resources.extra,
        "--parsable",
        "--no-requeue",
        f"--comment={_MARK}{token}",
        f"--chdir={request.folder}",
        f"--output={output}",
        f"--error={output}",
        "--open-mode=append",
        *more,
        script,
    ]


def _escaped(path: str) -> str:
    return path.replace("%", "%%")


class Slurm:
    """The adapter for Slurm; verified with 22.05."""

    name = "Slurm"
    arrays = SlurmArrays()
    own_id = '"$SLURM_JOB_ID"'
    grace = 25.0  # s; KillWait is 30 s where nothing is said
    signals_script_alone = False
    warning = None

    def header(self, request: JobRequest) -> list[str]:
        """Give the ``#SBATCH`` lines."""
        asked = request.resources
        options = {
            "partition": asked.queue,
            "account": asked.account,
            "cpus-per-task": asked.cpus,
            "mem": None if asked.memory is None else f"{math.ceil(asked.memory / 1024)}K",
            "time": None if asked.walltime is None else _time(asked.walltime),
            "gpus": asked.gpus or None,
        }
        lines = [f"#SBATCH --{key}={value}" for key, value in options.items() if value is not None]
        return [*lines, *request.directives]

    def submit(self, script: str, token: str, request: JobRequest) -> list[str]:
        """Give the sbatch command; what we rely on comes last, and of an option the last counts."""
        return _sbatch(script, token, request, f"{_escaped(request.folder)}/{OUTPUT}")

    def submitted(self, answer: Answer) -> str:
        """Read ``ID`` or ``ID;CLUSTER``."""
        if answer.code == 0:
            native_id = answer.stdout.strip().rpartition("\n")[2].partition(";")[0]
            if native_id.isdigit():
                return native_id
            raise Outage(f"sbatch has not told the id of a job, but {answer.last_words!r}")
        words = answer.last_words
        if _any_in(_AWAY, answer.stderr):
            raise Outage(f"Slurm takes no jobs: {words}")
        if _any_in(_FULL, answer.stderr):
            raise Later(f"Slurm takes no more jobs of this user for now: {words}")
        complaints = [_bare(line) for line in answer.stderr.splitlines() if line.strip()]
        raise Refused("Slurm has refused the job: " + ("; ".join(complaints) or words))

    def poll(self, ids: Sequence[str]) -> list[str]:
        """Give the squeue command; each element of an array on a line of its own."""
        those = ["--jobs=" + ",".join(ids)] if len(ids) <= _MOST_IDS else ["--me"]
        return [*_SQUEUE, "--format=%i|%T|%r", *those]

    def polled(self, answer: Answer, ids: Sequence[str]) -> dict[str, NativeState]:
        """Read ``ID|STATE|REASON`` lines; of several ids, unknown ones are left out."""
        _refuse_outage(answer, "squeue")
        lines = (line.split("|", 2) for line in answer.stdout.splitlines())
        known = {each[0].strip(): _state(each[1], each[2]) for each in lines if len(each) == 3}
        return {native_id: known.get(native_id, NativeState("ended", "")) for native_id in ids}

    def find(self, tokens: Sequence[str]) -> list[str]:  # noqa: ARG002
        """Give the squeue command that tells the comments of all jobs of this user."""
        return [*_SQUEUE, "--format=%i|%k", "--me"]

    def found(self, answer: Answer, tokens: Collection[str]) -> dict[str, str]:
        """Read ``ID|COMMENT`` lines."""
        _refuse_outage(answer, "squeue")
        lines = (line.partition("|") for line in answer.stdout.splitlines())
        ids = {
            comment.strip().removeprefix(_MARK): native_id.strip()
            for native_id, _, comment in lines
            if comment.startswith(_MARK)
        }
        return {token: ids[token] for token in tokens if token in ids}

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Give the scancel command."""
        return ["scancel", *ids]

    def cancelled(self, answer: Answer) -> None:
        """Pass over what has ended before."""
        if answer.code != 0 and _any_in(_AWAY, answer.stderr):
            raise Outage(f"Slurm cancels no jobs: {answer.last_words}")

    def explain(self, native_id: str) -> list[str]:
        """Give the command that asks the controller, and once it has forgotten, the accounts."""
        return ["sh", "-c", _EXPLAIN, native_id]

    def explained(self, answer: Answer, token: str) -> Verdict | None:  # noqa: ARG002
        """Read what ``scontrol`` or ``sacct`` tells."""
        fields = dict(
            field.partition("=")[::2] for field in answer.stdout.split() if "=" in field
        )  # fmt: skip
        if "JobState" in fields:
            return _verdict(fields["JobState"], fields)
        if answer.code == 0 and answer.stdout.strip():
            state = answer.stdout.split("|")[0].split()[0]  # as in `CANCELLED by 1000|0:15`
            return _verdict(state, {})
        if answer.code != 0 and _any_in(_AWAY, answer.stderr):
            raise Outage(f"scontrol does not answer: {answer.last_words}")
        return None

    def health(self) -> list[str]:
        """Give the sinfo command: nodes by partition and state."""
        return ["sinfo", "-h", "-o", "%P|%a|%D|%T"]

    def well(self, answer: Answer) -> str:
        """Say how many nodes of each partition are in which state. Raises Outage."""
        if answer.code != 0:
            raise Outage(f"sinfo does not answer: {_bare(answer.last_words)}")
        lines = [line.split("|") for line in answer.stdout.splitlines()]
        nodes = [
            f"{count} {state} in {partition.rstrip('*')}"
            for partition, available, count, state in (line for line in lines if len(line) == 4)
            if available == "up" and int(count)
        ]
        if not nodes:
            raise Outage("it has no partition that is up and has nodes (sinfo)")
        return f"nodes: {', '.join(nodes)}"

    def said(self, output: str) -> Verdict | None:
        """Read what slurmstepd writes when it ends a job."""
        lines = [line for line in output.splitlines() if line.startswith("slurmstepd")]
        for marks, verdict in _SAID.items():
            if any(mark in line for line in lines for mark in marks):
                return verdict
        return None


_EXPLAIN = (
    'scontrol --oneliner show job "$0" || '
    'sacct --noheader --parsable2 --allocations --format=State,ExitCode --jobs="$0"'
)
_SQUEUE = ("squeue", "--noheader", "--all", "--array", "--states=all")

_SAID: Mapping[tuple[str, ...], Verdict] = {
    ("exceeded memory limit", "oom-kill", "oom_kill", "Out Of Memory"): Verdict("crashed", _MEMORY),
    ("DUE TO TIME LIMIT",): Verdict("timed out", "Slurm ended it at its time limit"),
    ("DUE TO PREEMPTION",): Verdict("crashed", _PREEMPTED),
    ("DUE TO NODE FAILURE",): Verdict("lost", "Slurm has lost the node that it ran on (NODE_FAIL)"),
    ("CANCELLED AT",): Verdict("crashed", _CANCELLED),
}


def _verdict(state: str, fields: Mapping[str, str]) -> Verdict | None:
    """Say why Slurm ended a job; its exit code is no help: of NODE_FAIL it is 0:0."""
    node = fields.get("BatchHost") or fields.get("NodeList", "")
    limit = fields.get("TimeLimit")
    reasons: Mapping[str, tuple[Literal["lost", "crashed", "timed out"], str]] = {
        "TIMEOUT": (
            "timed out",
            f"Slurm ended it at its time limit{'' if limit is None else f' of {limit}'} (TIMEOUT)",
        ),
        "DEADLINE": ("timed out", "Slurm ended it at its deadline (DEADLINE)"),
        "OUT_OF_MEMORY": ("crashed", f"{_MEMORY} (OUT_OF_MEMORY)"),
        "CANCELLED": ("crashed", f"{_CANCELLED} (CANCELLED)"),
        "PREEMPTED": ("crashed", _PREEMPTED),
        "BOOT_FAIL": ("crashed", f"the node {node} could not be started (BOOT_FAIL)"),
        "NODE_FAIL": ("lost", f"Slurm has lost the node {node} that it ran on (NODE_FAIL)"),
    }
    found = reasons.get(state.rstrip("+"))
    return None if found is None else Verdict(*found)


def _state(native: str, reason: str) -> NativeState:
    why = "" if reason.strip() in ("None", "(null)") else reason.strip()
    if native in _PENDING:
        return NativeState("pending", native, why)
    if native in _RUNNING:
        return NativeState("running", native, why)
    return NativeState("ended" if native in _ENDED else "unknown", native, why)


def _refuse_outage(answer: Answer, command: str) -> None:
    """Raise Outage, unless it only says that it knows none of the jobs."""
    if answer.code != 0 and _UNKNOWN_ID not in answer.stderr:
        raise Outage(f"{command} does not answer: {_bare(answer.last_words)}")


def _any_in(marks: Sequence[str], text: str) -> bool:
    return any(mark in text for mark in marks)


def _bare(line: str) -> str:
    return re.sub(r"^\S*sbatch: (error: )?|^slurm_load_jobs error: ", "", line.strip())


def _time(seconds: float) -> str:
    """Give a time as ``D-HH:MM:SS``; Slurm counts whole minutes, and rounds up."""
    minutes, second = divmod(math.ceil(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}-{hour:02}:{minute:02}:{second:02}"
