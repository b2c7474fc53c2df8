"""Grid Engine: what ``qsub``, ``qstat``, ``qacct`` and ``qdel`` are told, and what they tell. Pure.

Written for Grid Engine 8.1.9 (Son of Grid Engine); its relatives speak the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

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
from nowcast_cli.executors.node import TOLD_TO_END

# One look at all jobs of ours, and one more at those in error state, of which it gives no reason.
_POLL = """\
jobs=$(qstat -u '$user' -xml) || exit
printf '%s\\n' "$jobs"
set -- $(printf '%s\\n' "$jobs" |
    awk -F '[<>]' '/<JB_job_number>/ {id = $3} /<state>[^<]*E/ {print id}')
[ $# = 0 ] || qstat -xml -j "$(echo "$@" | tr ' ' ,)"
"""
_MARK = "nc-"  # in the name of a job, before its token: no id has an n
_NOT_IN_NAMES = re.compile(r"^(?=\d)|[^A-Za-z0-9_]")
_TRY_LATER = 25  # the exit code of qsub where a user or the cluster has as many jobs as allowed
_NOT_REACHED = re.compile(
    "commlib error|unable to (send|receive|contact)|got no response|timeout", re.IGNORECASE
)
_ABOUT_THE_COMMAND = re.compile(r"^Unable to run job: |^error: ")
_WHEN_AND_WHO = re.compile(r"^\d+/\d+/\d+ [\d:]+ \[\d+:\d+\]: (error: )?")
_KILLED = 9
_BY_FORCE = (
    "its batch job was killed (SIGKILL), by none of Grid Engine's limits: by hand, or by its node "
    "for want of memory"
)
_DELETED = "it was deleted in Grid Engine (qdel), and not by nowcast"
_SLOTS = ("available", "total")
_LIMITS_ENFORCED = 37
_ENDED_BY_SIGNAL = 100


class GridEngineArrays:
    """What Grid Engine is told of a job array (see ``batch_system.Arrays``)."""

    number = "$SGE_TASK_ID"
    own_id = '"$JOB_ID.$SGE_TASK_ID"'

    def submit(
        self, script: str, token: str, request: JobRequest, links: str, count: int
    ) -> list[str]:
        """Give the qsub command."""
        at_most = None if request.ensemble is None else request.ensemble.at_most
        array = ["-t", f"1-{count}", *(() if at_most is None else ("-tc", str(at_most)))]
        return _qsub(script, token, request, f"{links}/$TASK_ID/{OUTPUT}", array)

    def element(self, native_id: str, number: int) -> str:
        """Give ``ARRAY.NUMBER``."""
        return f"{native_id.partition('.')[0]}.{number}"


def _qsub(
    script: str, token: str, request: JobRequest, output: str, more: Sequence[str] = ()
) -> list[str]:
    # Of an option that is given twice the last counts: what we rely on comes last.
    how = ("-notify", "-r", "n", "-j", "y", "-o", output, "-S", "/bin/sh", *more)
    # The worker comes first: qstat shows ten letters.
    name = f"{_NOT_IN_NAMES.sub('_', request.worker)}-{_MARK}{token}"
    return ["qsub", *request.resources.extra, "-terse", "-N", name, *how, script]


@dataclass(frozen=True)
class GridEngine:
    """Grid Engine (see ``batch_system.BatchSystem``).

    ``parallel_environment`` is the one in which jobs with several ``cpus`` run.
    """

    parallel_environment: str = "smp"

    name = "Grid Engine"
    arrays = GridEngineArrays()
    own_id = '"$JOB_ID"'
    grace = 10.0  # of the 60 that a queue leaves by default between SIGUSR2 and SIGKILL
    signals_script_alone = True  # it signals a process group, and workers have one of their own
    warning = "SIGUSR2"  # by -notify

    def header(self, request: JobRequest) -> list[str]:
        """Give the directives of the job script; memory is asked for by slot, as it is counted."""
        wanted = request.resources
        lines = []
        if wanted.queue is not None:
            lines.append(f"-q {wanted.queue}")
        if wanted.account is not None:
            lines.append(f"-P {wanted.account}")
        if wanted.cpus is not None and wanted.cpus > 1:
            lines.append(f"-pe {self.parallel_environment} {wanted.cpus}")
        if wanted.memory is not None:
            lines.append(f"-l h_vmem={-(-wanted.memory // (wanted.cpus or 1))}")
        if wanted.walltime is not None:
            lines.append(f"-l h_rt={max(1, round(wanted.walltime))}")
        if wanted.gpus:
            lines.append(f"-l gpu={wanted.gpus}")
        return [*(f"#$ {line}" for line in lines), *request.directives]

    def submit(self, script: str, token: str, request: JobRequest) -> list[str]:
        """Give the command that submits a script."""
        return _qsub(script, token, request, f"{request.folder}/{OUTPUT}")

    def submitted(self, answer: Answer) -> str:
        """Give the number of the job. Raises Outage, Later or Refused."""
        numbers = re.findall(r"^(\d+)(?:\.\d+-\d+:\d+)?$", answer.stdout, re.MULTILINE)
        if answer.code == 0 and numbers:
            return str(numbers[-1])
        said = _first_words(answer)
        if answer.code == _TRY_LATER:
            raise Later(f"Grid Engine takes no more jobs at present: {said}")
        if "Unable to run job: " in answer.stderr and not _NOT_REACHED.search(answer.stderr):
            raise Refused(f"Grid Engine refused the job: {said}{self._hint(said)}")
        raise Outage(f"qsub: {said}")

    def _hint(self, said: str) -> str:
        if "parallel environment" in said and "does not exist" in said:
            return "; name one that there is (qconf -spl): `parallel environment:` of the executor"
        return ""

    def poll(self, ids: Sequence[str]) -> list[str]:  # noqa: ARG002
        """Give the one command that tells of all jobs of the user."""
        return ["sh", "-c", _POLL]

    def polled(self, answer: Answer, ids: Sequence[str]) -> dict[str, NativeState]:
        """Give the state of each job. Raises Outage."""
        jobs, errors = _read_poll(answer)
        by_number: dict[str, list[_Listed]] = {}
        for job in jobs:
            by_number.setdefault(job.number, []).append(job)
        found = {}
        for native_id in ids:
            number, _, task = native_id.partition(".")
            listed = [job for job in by_number.get(number, ()) if job.has(task)]
            letters = listed[0].state if listed else ""
            found[native_id] = _state(letters, number, errors.get(number, ""))
        return found

    def find(self, tokens: Sequence[str]) -> list[str]:  # noqa: ARG002
        """Give the command that tells of all jobs of the user, with their names."""
        return ["qstat", "-u", "$user", "-xml"]

    def found(self, answer: Answer, tokens: Collection[str]) -> dict[str, str]:
        """Give numbers by token. Raises Outage."""
        jobs, _ = _read_poll(answer)
        named = {job.name.rpartition(_MARK)[2]: job.number for job in jobs}
        return {token: named[token] for token in tokens if token in named}

    def cancel(self, ids: Sequence[str]) -> list[str]:
        """Give the command that ends these jobs."""
        return ["qdel", *ids]

    def cancelled(self, answer: Answer) -> None:
        """Raise Outage where the jobs were not deleted; one that has ended is no matter."""
        lines = f"{answer.stdout}\n{answer.stderr}".splitlines()
        bad = [line for line in lines if _NOT_REACHED.search(line)]
        if answer.code != 0 and (bad or not any("does not exist" in line for line in lines)):
            raise Outage(f"qdel: {(bad or [answer.last_words])[0]}")

    def explain(self, native_id: str) -> list[str]:
        """Give the command that tells how a job ended."""
        number, _, task = native_id.partition(".")
        return ["qacct", "-j", number, *(("-t", task) if task else ())]

    def explained(self, answer: Answer, token: str) -> Verdict | None:
        """Say why Grid Engine ended a job, None where it ended by itself.

        Raises TooEarly where the accounting does not know of it as yet, or Outage.
        """
        if answer.code != 0:
            if "not found" in answer.stderr:
                raise TooEarly
            raise Outage(f"qacct: {answer.last_words}")
        account = _account(answer.stdout, token)
        if account is None:
            raise TooEarly
        code, words = _failure(account.get("failed", "0"))
        if code == 0:
            return None
        if code == _LIMITS_ENFORCED:
            return _over_its_limit(account)
        if code == _ENDED_BY_SIGNAL:
            return _ended_by_signal(account)
        return Verdict("crashed", f"Grid Engine could not run it: {words} (failed {code})")

    def health(self) -> list[str]:
        """Give the command that sums up the queues."""
        return ["qstat", "-g", "c", "-xml"]

    def well(self, answer: Answer) -> str:
        """Say how many slots of each queue are free. Raises Outage."""
        queues = [
            (each.findtext("name", "?"), *(int(each.findtext(key, "0")) for key in _SLOTS))
            for each in _xml_of(answer)[0].iter("cluster_queue_summary")
        ]
        words = ", ".join(f"{free} of {total} slots free in {name}" for name, free, total in queues)
        if not any(total for _, _, total in queues):
            raise Outage("it has no queue with slots on any host (qstat -f)")
        return words

    def said(self, output: str) -> Verdict | None:
        """Read that the runner on the node was warned: by qdel, where no limit was enforced."""
        return Verdict("crashed", _DELETED) if f"{TOLD_TO_END}{self.warning}" in output else None


@dataclass(frozen=True)
class _Listed:
    """A line of ``qstat``: a job, or some tasks of an array in one state."""

    number: str
    name: str
    state: str
    tasks: str

    def has(self, task: str) -> bool:
        """Whether it is about this task; "" is a job that is no array."""
        return (
            not task
            or not self.tasks
            or any(
                first <= int(task) <= last and (int(task) - first) % step == 0
                for first, last, step in _ranges(self.tasks)
            )
        )


def _ranges(tasks: str) -> Iterator[tuple[int, int, int]]:
    """Read ``3-9:2,12``."""
    for part in tasks.split(","):
        limits, _, step = part.partition(":")
        first, _, last = limits.partition("-")
        yield int(first), int(last or first), int(step or 1)


def _read_poll(answer: Answer) -> tuple[list[_Listed], dict[str, str]]:
    """Give the jobs that ``qstat`` lists, and by number the reasons of those in error state."""
    listing, *details = _xml_of(answer)
    jobs = [
        _Listed(
            number=job.findtext("JB_job_number", ""),
            name=job.findtext("JB_name", ""),
            state=job.findtext("state", ""),
            tasks=job.findtext("tasks", ""),
        )
        for job in listing.iter("job_list")
    ]
    errors = {}
    for detail in details:
        for job in detail.iter("element"):
            number, message = job.findtext("JB_job_number"), job.findtext(".//QIM_message")
            if number and message:
                errors[number] = _WHEN_AND_WHO.sub("", message.strip())
    return jobs, errors


def _xml_of(answer: Answer) -> list[ElementTree.Element]:
    """Read the documents that ``qstat`` printed, at least one. Raises Outage."""
    if answer.code != 0:
        raise Outage(f"qstat: {_first_words(answer)}")
    texts = [text for text in re.split(r"<\?xml[^>]*\?>", answer.stdout) if text.strip()]
    if not texts:
        raise Outage("qstat: it printed nothing")
    try:
        return [ElementTree.fromstring(text) for text in texts]
    except ElementTree.ParseError as error:
        raise Outage(f"qstat: what it printed is not XML: {error}") from None


def _state(letters: str, number: str, error: str) -> NativeState:
    """Say what the letters of a state mean: ``qw``, ``hqw``, ``Eqw``, ``r``, ``dr``, ``Rr``, …"""
    if not letters:
        return NativeState("ended", "")
    if "E" in letters:
        why = error or f"qstat -j {number} tells why"
        remedy = f"qmod -cj {number} has it tried again once that is mended"
        return NativeState("pending", letters, f"{why}; {remedy}")
    reasons = {
        "d": "it is being deleted",
        "h": "it is held",
        "s": "it is suspended",
        "S": "its queue is suspended",
        "T": "it is suspended at a threshold",
    }
    reason = "; ".join(words for letter, words in reasons.items() if letter in letters)
    if "w" in letters or "q" in letters:
        return NativeState("pending", letters, reason)
    known = set(letters) <= set("rtsSTRdPN")
    return NativeState("running" if known else "unknown", letters, reason)


def _account(text: str, token: str) -> dict[str, str] | None:
    """Read the record of a job in ``qacct``; None where there are those of others alone.

    Numbers are used again: some day, or at once when the queue master was killed.
    """
    found = None
    for record in re.split(r"^=+\s*$", text, flags=re.MULTILINE):
        pairs = (line.split(None, 1) for line in record.splitlines())
        account = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
        if account.get("jobname", "").endswith(_MARK + token):
            found = account
    return found


def _failure(field: str) -> tuple[int, str]:
    """Read ``37  : qmaster enforced h_rt, h_cpu, or h_vmem limit``."""
    code, _, words = field.partition(":")
    return int(code) if code.strip().isdigit() else 0, words.strip()


def _over_its_limit(account: Mapping[str, str]) -> Verdict:
    """Say over which of its hard limits a job was: the accounting does not."""
    limits = dict(re.findall(r"([sh]_\w+)=([^,\s]+)", account.get("category", "")))
    took, memory = account.get("ru_wallclock", "?"), account.get("maxvmem", "?")
    time_limit, memory_limit = limits.get("h_rt"), limits.get("h_vmem")
    if time_limit is not None and _number(took) >= _number(time_limit):
        reason = f"Grid Engine ended it at its time limit (h_rt={time_limit}): it ran for {took}"
        return Verdict("timed out", reason)
    slots = _number(account.get("slots", "1")) or 1
    if memory_limit is not None and _number(memory) > _number(memory_limit) * slots:
        reason = f"Grid Engine ended it at its memory limit (h_vmem={memory_limit} a slot)"
        return Verdict("crashed", f"{reason}: it used {memory}")
    return Verdict(
        "crashed",
        "Grid Engine ended it at a limit (h_rt, h_cpu or h_vmem) of its own or of its queue: "
        f"it ran for {took}, used {account.get('cpu', '?')} of CPU time and {memory} of memory",
    )


def _ended_by_signal(account: Mapping[str, str]) -> Verdict:
    status = re.match(r"\d+", account.get("exit_status", ""))
    number = int(status[0]) - 128 if status else 0
    if number == _KILLED:
        return Verdict("crashed", _BY_FORCE)
    return Verdict("crashed", f"its batch job was ended by signal {number}")


def _number(text: str) -> float:
    """Read a time in seconds or a memory in bytes: ``3s``, ``1:30:00``, ``60M``, ``1.676MB``."""
    if ":" in text:
        parts = [float(part or 0) for part in text.split(":")]
        return sum(part * 60.0**power for power, part in enumerate(reversed(parts)))
    match = re.match(r"([\d.]+)([kKmMgGtT]?)", text)
    if match is None:
        return 0.0
    # Capital letters stand for powers of 1024, small ones for those of 1000.
    power = " kmgt".index(match[2].lower() or " ")
    return float(match[1]) * float((1000 if match[2].islower() else 1024) ** power)


def _first_words(answer: Answer) -> str:
    """The first line of a complaint: Grid Engine says what it is about before ``Exiting.``."""
    lines = (line.strip() for line in (answer.stderr or answer.stdout).splitlines())
    said = next((line for line in lines if line), f"exit code {answer.code}")
    return _ABOUT_THE_COMMAND.sub("", said)
