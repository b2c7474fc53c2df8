"""The model: what must hold of a journal when everything is over, whatever was done to the system.

It knows the table that the deployment decides by, what the lab has sent, what user code has left
outside of the system, and whom the lab has killed. It shares no code with the manager.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab import commands, ensembles
from lab.catalogue import DESCRIPTORS
from lab.deployment import arguments_of, module_of
from lab.ensembles import FoundEnsembles
from lab.plans import JobSettings, Rule
from lab.samples import Samples
from lab.system import LabSystem
from nowcast_cli.executors.job_folder import folder_of, read_claim, read_exit
from nowcast_cli.messages import wire
from nowcast_cli.store.checklist_file import read_checklist, read_header
from nowcast_cli.store.records import BarrierRecord, JobRecord, MessageRecord

_BY_END = {
    "success": "succeeded",
    "failure": "failed",
    "raise": "crashed",
    "exit": "crashed",
    "sys.exit": "crashed",
}
_WITHOUT_A_DISK = (
    "could not begin", "Read-only file system", "No space left on device",
)  # fmt: skip
_STARVED = "Too many open files"  # what a launcher cannot open, its jobs cannot either


@dataclass
class Found:
    """What was found when all was over."""

    messages: list[MessageRecord]
    jobs: list[JobRecord]
    barriers: dict[int, BarrierRecord]
    begun: Counter[str]
    by_cause: dict[int, list[JobRecord]] = field(default_factory=lambda: defaultdict(list))
    by_job: dict[str, list[MessageRecord]] = field(default_factory=lambda: defaultdict(list))
    next_tries: dict[str, list[JobRecord]] = field(default_factory=lambda: defaultdict(list))
    ensembles: FoundEnsembles = field(default_factory=FoundEnsembles)

    @classmethod
    def in_(cls, system: LabSystem) -> Found:
        with system.reader() as reader:
            messages = reader.messages(limit=None)[::-1]
            jobs = reader.jobs(limit=None)[::-1]
            barriers = {each.number: each for each in reader.barriers(active_only=False)}
            records = reader.ensembles()
        found = cls(messages, jobs, barriers, Counter(system.begun()))
        found.ensembles = FoundEnsembles.of(records, jobs)
        for job in jobs:
            if job.predecessor is not None:
                found.next_tries[job.predecessor].append(job)
            elif job.cause is not None:
                found.by_cause[job.cause].append(job)
        for message in messages:
            if message.job is not None:
                found.by_job[message.job].append(message)
        return found


def violations(system: LabSystem, samples: Samples) -> list[str]:
    """Give all that does not hold, a sentence each; nothing where everything does."""
    system.take_in_reached_points()
    found = Found.in_(system)
    return [
        *samples.problems,
        *_messages(system, found),
        *_launches(system, found),
        *_barriers(found),
        *ensembles.violations(system, found.ensembles, found.messages),
        *_places(system, found),
        *commands.violations(system, found.jobs),
        *(said for job in found.jobs for said in _job(system, found, job)),
        *_requests(system, found),
        *_checklist(system, found, samples),
        *_daemons(system),
    ]


# --- messages


def _messages(system: LabSystem, found: Found) -> Iterator[str]:
    """Every message that was answered is there, once, and has had its end."""
    ids = Counter(message.id for message in found.messages)
    yield from (f"message {one} is {count} times there" for one, count in ids.items() if count > 1)
    for one in sorted(system.traffic.acknowledged - ids.keys()):
        yield f"message {one} was acknowledged, and is not in the journal"
    numbers = [message.number for message in found.messages]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "the numbers of the messages have gaps"
    for message in found.messages:
        if message.state == "received":
            yield f"message {message.number} ({message.type} of {message.source}) is not decided"
        if message.state == "stuck" and rule_of(system, message).manner != "raise":
            yield f"message {message.number} is stuck: {message.error}"


def rule_of(system: LabSystem, message: MessageRecord) -> Rule:
    """Give what the table says of a message."""
    return system.plan.rules.get(message.source, {}).get(message.type, Rule())


# --- what follows


def _launches(system: LabSystem, found: Found) -> Iterator[str]:
    """What follows from a message was decided once, and is what the table says."""
    for message in found.messages:
        rule = rule_of(system, message)
        again = message.outcome is not None and message.job in found.next_tries
        again = again or ensembles.is_of_member(message)
        decided = message.state == "decided" and rule.manner != "raise" and not again
        expected = Counter(
            (module_of(worker), tuple(arguments_of(doing)))
            for worker, doing in (rule.launches if decided else ())
            for _ in range(ensembles.count_of(doing))
        )
        launched = Counter(
            (job.module, job.arguments) for job in found.by_cause.get(message.number, ())
        )
        if launched != expected:
            yield (
                f"from message {message.number} ({message.type} of {message.source}, "
                f"{message.state}) follow {sorted(launched.elements())}, not "
                f"{sorted(expected.elements())}"
            )


def _barriers(found: Found) -> Iterator[str]:
    """What a barrier held began after all of its workers had ended, or never."""
    ends: dict[str, list[MessageRecord]] = defaultdict(list)
    for message in found.messages:
        if message.outcome is not None and not ensembles.is_of_member(message):
            ends[message.source].append(message)
    for number, barrier in found.barriers.items():
        if barrier.state == "active":
            yield f"barrier {number} for {', '.join(barrier.workers)} was never passed"
    for job in found.jobs:
        barrier = None if job.barrier is None else found.barriers.get(job.barrier)
        if barrier is None:
            if job.barrier is not None:
                yield f"job {job.id} was held by barrier {job.barrier}, which is not there"
            continue
        if barrier.state == "replaced" and job.state != "cancelled":
            yield f"job {job.id} is {job.state}, and its barrier was replaced"
        for worker in barrier.workers if barrier.state == "released" else ():
            last = job.final_message or 10**12
            # An end that came before the barrier may be decided after it, once it is not stuck.
            if not any(
                end.number < last
                and (barrier.cause < end.number or (end.decided or "") >= barrier.created)
                for end in ends[worker]
            ):
                yield f"job {job.id} began before {worker} had ended, for which it was held"


# --- jobs


def _job(system: LabSystem, found: Found, job: JobRecord) -> Iterator[str]:
    said = f"job {job.id} ({job.worker}, {job.state})"
    if job.unfinished:
        yield f"{said} has no end"
        return
    if job.exit is None:
        yield f"{said} was not seen to end"
    yield from (f"{said}: {each}" for each in _beginnings(system, found, job))
    yield from (f"{said}: {each}" for each in _final_message(found, job))
    yield from (f"{said}: {each}" for each in _next_try(system, found, job))
    if job.id not in system.torn_jobs:
        yield from (f"{said}: {each}" for each in _end(system, found, job))


def _next_try(system: LabSystem, found: Found, job: JobRecord) -> Iterator[str]:
    """A job that ended badly is tried again as often as its worker's settings say."""
    settings = system.plan.settings.get(job.worker, JobSettings())
    tries = found.next_tries.get(job.id, [])
    wanted = (
        settings.tries is not None
        and job.tried < settings.tries
        and _ending(job) in settings.retried_on
    )
    if len(tries) != wanted:
        yield f"it was tried again {len(tries)} times, by {settings}"
    if any((each.module, each.arguments) != (job.module, job.arguments) for each in tries):
        yield "it was tried again with other arguments"


def _ending(job: JobRecord) -> str | None:
    """Give the word for a bad ending that ``retry: on`` has."""
    words = {"crashed": "crash", "timed out": "crash", "failed": "failure", "lost": "lost"}
    return words.get(job.state)


def _places(system: LabSystem, found: Found) -> Iterator[str]:
    """No more jobs of a worker run at once than its settings say."""
    if "clock" in system.plan.features:
        return  # by such a clock nobody can tell what was at once
    for worker, settings in system.plan.settings.items():
        if settings.concurrency is None:
            continue
        changes = []
        for job in found.jobs:
            folder = folder_of(system.paths.jobs, job.id, job.worker)
            claim, end = read_claim(folder), read_exit(folder)
            if job.worker == worker and claim is not None and end is not None:
                changes += [(claim.claimed_at, 1), (end.finished_at, -1)]
        at_once = 0
        for at, change in sorted(changes):
            at_once += change
            if at_once > settings.concurrency:
                yield f"{at_once} jobs of {worker} ran at once at {at}, not {settings.concurrency}"
                break


def _beginnings(system: LabSystem, found: Found, job: JobRecord) -> Iterator[str]:
    """The code of a job begins once; never, only where its processes were killed before."""
    begun = found.begun[job.id]
    if begun > 1:
        yield f"its code has begun {begun} times"
    if begun == 0 and job.state not in ("cancelled", "timed out") and not (
        job.id in system.torn_jobs or _was_killed(system, job, "process") or _lost(system, job)
        or _could_not_begin(system, job)
    ):  # fmt: skip
        yield f"its code has never begun ({job.reason})"


def _could_not_begin(system: LabSystem, job: JobRecord) -> bool:
    """Say whether a disk, the want of descriptors or a broken file kept a job from its work."""
    told = job.reason or ""
    broken = any(fault.place == "nowcast.yaml" for fault in system.plan.faults)
    if broken and (job.exit or {}).get("code") == 2:
        return True  # it read the configuration while that was somebody else's
    if "disk" in system.plan.features and any(each in told for each in _WITHOUT_A_DISK):
        return True
    starved = any(
        fault.kind == DESCRIPTORS and fault.place == "launcher" for fault in system.plan.faults
    )
    said = folder_of(system.paths.jobs, job.id, job.worker) / "stderr"
    return starved and (
        _STARVED in told or (said.exists() and _STARVED in said.read_text(errors="replace"))
    )


def _final_message(found: Found, job: JobRecord) -> Iterator[str]:
    """One final message of a job takes effect, and none of one that was cancelled."""
    finals = [each for each in found.by_job.get(job.id, ()) if each.outcome is not None]
    effective = [each.number for each in finals if each.state != "late"]
    expected = [] if job.state == "cancelled" else [job.final_message]
    if effective != expected:
        yield f"messages {effective} have ended it, not {expected}"


def _end(system: LabSystem, found: Found, job: JobRecord) -> Iterator[str]:
    """A job ends as its worker was told to, unless somebody was killed."""
    if job.state == "cancelled":
        replaced = job.barrier is not None and found.barriers[job.barrier].state == "replaced"
        not_needed = found.ensembles.ended_early(job)
        if job.id not in system.traffic.cancelled and not replaced and not not_needed:
            yield f"nobody has cancelled it ({job.reason})"
        return
    if job.state == "lost":
        if not _lost(system, job):
            yield f"it is lost, and its runner was not killed ({job.reason})"
        return
    if job.state == "timed out":
        if system.plan.settings.get(job.worker, JobSettings()).timeout is None:
            yield "it has no timeout"
        return
    by_end = commands.BY_END if commands.is_command(system.plan, job.worker) else _BY_END
    expected = by_end[str(ensembles.doing_of(job).get("end", "success"))]
    killed = _was_killed(system, job, "process") or _could_not_begin(system, job)
    # What cannot be published is a failure of a command.
    ended_badly = ("crashed", "failed") if by_end is commands.BY_END else ("crashed",)
    if job.state != expected and not (job.state in ended_badly and killed):
        yield f"it was to be {expected} ({job.reason})"


def _lost(system: LabSystem, job: JobRecord) -> bool:
    return job.state == "lost" and _was_killed(system, job, "runner")


def _was_killed(system: LabSystem, job: JobRecord, which: str) -> bool:
    claim = read_claim(folder_of(system.paths.jobs, job.id, job.worker))
    process = None if claim is None else claim.process if which == "process" else claim.runner
    return process is not None and (process.pid, process.started) in system.killed


# --- requests


def _requests(system: LabSystem, found: Found) -> Iterator[str]:
    """A launch by hand made one job; there is no job that nobody has asked for."""
    traffic = system.traffic
    yield from (f"never answered: {each}" for each in traffic.unanswered)
    yield from (f"refused: {each}" for each in traffic.refused)
    by_hand = {job.id for job in found.jobs if job.cause is None and job.predecessor is None}
    known = {message.id: message for message in found.messages}
    for request, job in traffic.launched.items():
        if job not in by_hand:
            yield f"request {request} was answered with job {job}, which is not there"
    launches = [
        message for message in found.messages
        if message.source == "nowcast" and message.type == "launch"
    ]  # fmt: skip
    if len(launches) != len(by_hand):
        yield f"{len(launches)} launches have made {len(by_hand)} jobs"
    for message in launches:
        if message.id not in traffic.requested and not message.id.startswith("schedule-"):
            yield f"nobody has sent the launch {message.id}"
    for one in traffic.acknowledged & known.keys():
        if known[one].source == "hand" and known[one].state not in ("decided", "stuck"):
            yield f"message {one} of the hand is {known[one].state}"


# --- the checklist


def _checklist(system: LabSystem, found: Found, samples: Samples) -> Iterator[str]:
    """Whoever looked at the file saw what the journal says of that moment."""
    seen = list(samples.kept())
    file = system.paths.checklist_file
    seen.append((read_header(file) or 0, read_checklist(file)))
    if seen[-1][0] != len(found.messages):
        yield f"the checklist file holds {seen[-1][0]} of {len(found.messages)} messages"
    checklist: dict[Any, Any] = {}
    told = 0
    for upto, sample in seen:
        for message in found.messages[told:upto]:
            _take_effect(checklist, message)
        told = max(told, upto)
        if sample != checklist:
            keys = [key for key in {*sample, *checklist} if sample.get(key) != checklist.get(key)]
            yield f"the checklist file of message {upto} differs from the journal at {keys}"


def _take_effect(checklist: dict[Any, Any], message: MessageRecord) -> None:
    if message.state == "late" or message.body is None or message.source == "nowcast":
        return
    body: Mapping[str, Any] = wire.load(message.body)
    payload, key = body.get("payload"), message.source
    if payload is None:
        return
    old = checklist.get(key)
    both_are_mappings = isinstance(old, dict) and isinstance(payload, dict)
    checklist[key] = {**old, **payload} if both_are_mappings else payload


# --- processes


def _daemons(system: LabSystem) -> Iterator[str]:
    """No daemon has ended by a mistake of its own."""
    for name in (*system.names, "launcher"):
        for file in (system.folder / f"{name}.out", system.paths.logs / f"{name}.out"):
            text = file.read_text(errors="replace") if file.exists() else ""
            at = text.find("Traceback")
            # A line that could not be logged, on a full disk, is told so and ends nothing.
            while at >= 0 and text[:at].endswith("--- Logging error ---\n"):
                at = text.find("Traceback", at + 1)
            if at >= 0:
                yield f"the {name} has left a traceback: {text[at:][:1500]}"
    log = system.log()
    if "unhandled exception" in log and (at := log.find("] unhandled exception")) >= 0:
        line = log.rfind("\n", 0, at)
        if any(f"[{name}]" in log[line : at + 1] for name in system.names):
            yield f"a daemon has logged an unhandled exception: {log[line : at + 1500]}"
