"""What is to be done of an order, and what there is to be told of it. Pure.

An order is one of ``remote_side.exchange``. It is carried out again and again until there is
another: what it asks for is done by then, and what happens to its jobs is seen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nowcast_cli.executors.mirror import STREAMS, News

_LARGEST_PART = 2_000_000  # bytes of an answer that are told at once, unless one job has more
_LONGEST_READ = 1 << 18  # bytes of one file of a job: all that is told of a job comes to 1 MiB
_FACTS = ("pid", "exit", "gone", "left")

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Sizes:
    """Bytes: of an answer that is told at once, and of a file of a job that are read for one."""

    told: int = _LARGEST_PART
    read: int = _LONGEST_READ


def sizes_for(message_size: int) -> Sizes:
    """Give sizes that keep an answer well below the largest message."""
    return Sizes(min(_LARGEST_PART, message_size // 4), min(_LONGEST_READ, message_size // 16))


def to_do(
    order: Mapping[str, Any], begun: Collection[str], until: float, sizes: Sizes
) -> dict[str, Any]:
    """Give what is to be carried out now: a job that has begun is not to be begun again.

    After ``until``, in seconds since the boot, no job may begin (see ``serving``).
    """
    submit = [job for job in order["submit"] if job["id"] not in begun]
    return {**order, "submit": submit, "until": until, "part": sizes.read}


def asks_for_nothing(order: Mapping[str, Any]) -> bool:
    """Say whether an order has no job at all."""
    return not (order["submit"] or order["look"])


@dataclass(frozen=True)
class Told:
    """What the manager has taken in of the answers to an order.

    ``facts`` are those of each job that change its state, ``trouble`` the sentences; ``first`` says
    that it has taken in nothing of this order.
    """

    order: str
    facts: Mapping[str, str] = field(default_factory=dict)
    trouble: tuple[str, ...] = ()
    first: bool = True

    def and_(self, part: Answer) -> Told:
        """Give what is told when a part has been taken in."""
        facts = {job_id: facts_of(news) for job_id, news in part["jobs"].items()}
        return replace(
            self, facts={**self.facts, **facts}, trouble=tuple(part["trouble"]), first=False
        )


def facts_of(news: Mapping[str, Any]) -> str:
    """Give what changes the state of a job, as text to compare."""
    return json.dumps([news[name] for name in _FACTS])


def news_in(answer: Answer, told: Told) -> dict[str, Any] | None:
    """Leave out what the manager has; None where it has everything.

    To a new order all is told: it may be that of a manager that knows nothing of before.
    """
    jobs = {
        job_id: news
        for job_id, news in answer["jobs"].items()
        if told.first or _is_new(news, told.facts.get(job_id))
    }
    same_trouble = tuple(answer["trouble"]) == told.trouble
    if not (jobs or answer["cleared"] or told.first) and same_trouble:
        return None
    return {**answer, "jobs": jobs}


def weight_of(news: Answer | None, told: Told) -> News:
    """Say what is new: a step of a job to its end, output, or nothing."""
    if news is None:
        return News.NOTHING
    most = News.NOTHING
    for job_id, job in news["jobs"].items():
        if job["more"] or job["outbox"] or facts_of(job) != told.facts.get(job_id):
            return News.STEP
        if any(job[name] for name in STREAMS):
            most = News.OUTPUT
    return most


def parts_of(news: Answer, largest: int) -> Iterator[dict[str, Any]]:
    """Give an answer in parts, the jobs with little to tell first: one talks no other down."""
    sized = sorted(
        ((len(json.dumps(job)), job_id, job) for job_id, job in news["jobs"].items()),
        key=lambda each: each[0],
    )
    part: dict[str, Any] = {}
    size = 0
    rest = {"cleared": news["cleared"], "trouble": news["trouble"]}
    for length, job_id, job in sized:
        if part and size + length > largest:
            yield {**rest, "jobs": part}
            part, size = {}, 0
            rest = {"cleared": [], "trouble": news["trouble"]}
        part[job_id] = job
        size += length
    yield {**rest, "jobs": part}


def _is_new(news: Mapping[str, Any], told: str | None) -> bool:
    return bool(
        news["more"]
        or news["outbox"]
        or any(news[name] for name in STREAMS)
        or facts_of(news) != told
    )
