"""What the jobs of a worker have cost, taken together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from nowcast_cli.store.job_figures import Run


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over many jobs: how many told it, percentiles, the greatest and whose it is."""

    count: int
    p50: float
    p95: float
    most: float
    job: str


@dataclass(frozen=True, slots=True)
class Stats:
    """The jobs that began and ended; figures are None where no job tells them.

    All but ``queue_wait`` are of those that succeeded. Times in seconds, memory in bytes.
    """

    jobs: int
    succeeded: int
    queue_wait: Spread | None
    run_time: Spread | None
    peak_memory: Spread | None
    cpu_seconds: Spread | None


def stats_of(runs: Iterable[Run]) -> Stats:
    """Take jobs together."""
    every = list(runs)
    good = [run for run in every if run.state == "succeeded"]
    return Stats(
        jobs=len(every),
        succeeded=len(good),
        queue_wait=spread_of([(run.figures.queue_wait, run.job) for run in every]),
        run_time=spread_of([(run.figures.run_time, run.job) for run in good]),
        peak_memory=spread_of([(run.figures.peak_memory, run.job) for run in good]),
        cpu_seconds=spread_of([(run.figures.cpu_seconds, run.job) for run in good]),
    )


def spread_of(values: Sequence[tuple[float | None, str]]) -> Spread | None:
    """Give the spread of values with their jobs; None where none is known."""
    known = sorted((value, job) for value, job in values if value is not None)
    if not known:
        return None
    most, job = known[-1]
    return Spread(len(known), _percentile(known, 50), _percentile(known, 95), most, job)


def _percentile(known: Sequence[tuple[float, str]], percent: int) -> float:
    """Give the least value that so many of a hundred do not exceed: one that there was."""
    return known[ceil(percent / 100 * len(known)) - 1][0]
