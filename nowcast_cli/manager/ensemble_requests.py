"""Requests about ensembles: to cancel one, to run it or members of it again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from nowcast_cli.config.ensembles import members_words
from nowcast_cli.manager import members
from nowcast_cli.manager.ensembles import ending_of
from nowcast_cli.manager.requests import RequestError, job_again
from nowcast_cli.manager.state import Reply, State, Step, info
from nowcast_cli.store.records import EnsembleRecord, JobRecord, short_id


def run_again(
    state: State,
    old: EnsembleRecord,
    last: Mapping[int, JobRecord],
    chosen: Collection[int] | None,
    *,
    now: str,
    new_id: Callable[[], str],
) -> tuple[Step, EnsembleRecord]:
    """Run members of an ensemble that has ended again; the others count as they have ended.

    Parameters
    ----------
    last
        The last job of each member, by its place.
    chosen
        The places of those that are run; None for all that have not succeeded.
    """
    if old.unfinished:
        raise RequestError(
            f"the ensemble {old.id} ({old.worker}) has not ended: {old.left} of {old.size} "
            "members have not",
            f"nowcast job cancel {short_id(old.id)}",
        )
    if chosen is None:
        chosen = {index for index, job in last.items() if job.state != "succeeded"}
        if not chosen:
            raise RequestError(
                f"all members of the ensemble {old.id} ({old.worker}) have succeeded",
                f"nowcast job rerun {short_id(old.id)} runs all of them again",
            )
    others = [job for index, job in last.items() if index not in chosen]
    new = replace(
        members.counted(replace(old, succeeded=0, failed=0, crashed=0, cancelled=0), others),
        id=new_id(),
        state="open",
        cause=None,
        barrier=None,
        created=now,
        predecessor=old.id,
        ended=None,
        reason=None,
        final_message=None,
    )
    new = replace(new, chain=new.id)
    if ending_of(new) is not None:
        raise RequestError(
            f"the ensemble {old.id} ({old.worker}) would end before these members: it ends when "
            f"{new.at_least} of {new.size} have succeeded, and {new.succeeded} others have",
            f"nowcast job rerun {short_id(old.id)} runs all of them again",
        )
    jobs = [
        replace(
            job_again(last[index], new_id(), new.id, now),
            ensemble=new.id,
            member=last[index].member,
        )
        for index in sorted(chosen)
    ]
    labels = members_words(job.member.label for job in jobs if job.member is not None)
    note = info(f"{old.worker} {labels} runs again (ensemble {new.id}, after {old.id})")
    step = members.put(state, new, jobs)
    reply = Reply("ack", {"job": new.id, "ensemble": new.id, "members": len(jobs)})
    return replace(step, notes=(note,), reply=reply), new


def cancel(state: State, ensemble: EnsembleRecord, now: str) -> Step:
    """Cancel an ensemble that has not ended."""
    if not ensemble.unfinished:
        raise RequestError(
            f"ensemble {ensemble.id} ({ensemble.worker}) has ended already: it is {ensemble.state}"
        )
    step = members.cancel(state, ensemble, "cancelled by hand", now)
    reply = Reply("ack", {"job": ensemble.id, "ensemble": ensemble.id, "state": "cancelled"})
    return replace(step, reply=reply)
