"""The model of ensembles: each ends once, by its rule, in one message that names its members."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lab.plans import Doing
from lab.system import LabSystem
from nowcast_cli.executors.job_folder import folder_of, read_claim, read_exit
from nowcast_cli.messages import wire
from nowcast_cli.store.records import EnsembleRecord, JobRecord, MessageRecord

_GOOD, _TOLD, _ENDED_EARLY = "succeeded", "failed", "its ensemble has ended"
_STATES = {"success": "succeeded", "failure": "failed", "crash": "crashed"}


@dataclass
class FoundEnsembles:
    """The ensembles that were found, with the jobs of each."""

    records: Sequence[EnsembleRecord] = ()
    jobs: dict[str, list[JobRecord]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, records: Sequence[EnsembleRecord], jobs: Sequence[JobRecord]) -> FoundEnsembles:
        found = cls(records)
        for job in jobs:
            if job.ensemble is not None:
                found.jobs[job.ensemble].append(job)
        return found

    def ended_early(self, job: JobRecord) -> bool:
        """Say whether a member was cancelled because its ensemble needed it no more."""
        return job.ensemble is not None and (job.reason or "").startswith(_ENDED_EARLY)


def is_of_member(message: MessageRecord) -> bool:
    """Say whether a message is the end of a member, which asks nobody what follows."""
    return message.outcome is not None and (message.note or "").startswith("member ")


def doing_of(job: JobRecord) -> dict[str, object]:
    """Give what a job was told to do; of a member its own end."""
    doing: dict[str, object] = json.loads(job.arguments[1]) if job.arguments else {}
    ends = doing.get("ends")
    if job.member is not None and isinstance(ends, list) and ends:
        doing["end"] = ends[job.member.index % len(ends)]
    return doing


def count_of(doing: Doing) -> int:
    """Give how many jobs a launch makes."""
    return max(1, doing.members)


def violations(
    system: LabSystem, found: FoundEnsembles, messages: Sequence[MessageRecord]
) -> Iterator[str]:
    """Give all that does not hold of ensembles."""
    by_id = {message.id: message for message in messages}
    for ensemble in found.records:
        said = f"ensemble {ensemble.id} ({ensemble.worker}, {ensemble.state})"
        # By attempt, not by id: the clock may have been set back between two of them.
        attempts = sorted(found.jobs[ensemble.id], key=lambda job: job.attempt)
        last = {job.member.index: job for job in attempts if job.member}
        told = by_id.get(f"ensemble-{ensemble.id}")
        for each in (
            *_members(ensemble, last),
            *_ending(ensemble, last, told),
            *_at_once(system, ensemble, found.jobs[ensemble.id]),
        ):
            yield f"{said}: {each}"
    known = {ensemble.id for ensemble in found.records}
    for ensemble_id in found.jobs.keys() - known:
        yield f"there are members of {ensemble_id}, and no such ensemble"


def _members(ensemble: EnsembleRecord, last: dict[int, JobRecord]) -> Iterator[str]:
    if sorted(last) != list(range(ensemble.size)):
        yield f"it has members {sorted(last)}, not {ensemble.size} of them"
    labels = [job.member.label for _, job in sorted(last.items()) if job.member]
    if labels != list(range(1, ensemble.size + 1)):
        yield f"its members are called {labels}"


def _ending(
    ensemble: EnsembleRecord, last: dict[int, JobRecord], told: MessageRecord | None
) -> Iterator[str]:
    if ensemble.state == "open":
        yield "it has no end"
        return
    states = Counter(job.state for job in last.values())
    expected = _expected(ensemble, states)
    if ensemble.state != expected:
        yield f"its members are {dict(states)}, so it is to be {expected}"
    if (told is not None) != (expected != "cancelled"):
        yield f"its combined message is {told and told.number}"
    if told is None:
        return
    if _STATES[told.outcome or "crash"] != ensemble.state or told.number != ensemble.final_message:
        yield f"message {told.number} tells of {told.outcome}, as {ensemble.final_message}"
    payload = wire.load(told.body or "")["payload"]
    good = {job.member.label for job in last.values() if job.member and job.state == _GOOD}
    cancelled = {
        job.member.label for job in last.values() if job.member and job.state == "cancelled"
    }
    bad = set(range(1, ensemble.size + 1)) - good - cancelled
    if set(payload) - {"failed", "cancelled"} != good:
        yield f"its message tells what {list(payload)} have said, not {sorted(good)}"
    if (set(payload["failed"]), set(payload["cancelled"])) != (bad, cancelled):
        yield f"its message names {payload['failed']} and {payload['cancelled']}"


def _expected(ensemble: EnsembleRecord, states: Counter[str]) -> str:
    needed = ensemble.size if ensemble.at_least is None else ensemble.at_least
    if states[_GOOD] >= needed:
        return _GOOD
    if states["cancelled"] == ensemble.size:
        return "cancelled"
    return _TOLD if states[_TOLD] else "crashed"


def _at_once(
    system: LabSystem, ensemble: EnsembleRecord, jobs: Sequence[JobRecord]
) -> Iterator[str]:
    """No more members run at once than it says."""
    if ensemble.at_most is None or "clock" in system.plan.features:
        return
    changes = []
    for job in jobs:
        folder = folder_of(system.paths.jobs, job.id, job.worker)
        claim, end = read_claim(folder), read_exit(folder)
        if claim is not None and end is not None:
            changes += [(claim.claimed_at, 1), (end.finished_at, -1)]
    at_once = 0
    for at, change in sorted(changes):
        at_once += change
        if at_once > ensemble.at_most:
            yield f"{at_once} members ran at once at {at}, not {ensemble.at_most}"
            return
