"""Whether a series of measurements grows without bound. Pure.

A series is said to grow when all of this is true, after its first third, the warm-up, is left out:

- it rises more often than chance lets it (Mann and Kendall's test, three standard deviations);
- its slope (the median of the slopes of all pairs, after Theil and Sen, which single outliers do
  not move) adds up to more than the tolerance over the time that was looked at;
- and it does not level off: the slope of its second half is more than half that of its first half.

The tolerance is an absolute step, below which nobody would look, or a share of the median, if that
is larger. Nothing is extrapolated: the longer the run, the slower the growth that is found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_FEWEST = 12  # samples after the warm-up of which anything can be said
_DEVIATIONS = 3.0
_MOST = 400  # samples that all pairs are taken of


@dataclass(frozen=True)
class Tolerance:
    """What a series may gain: ``step`` in its own unit, or ``share`` of its median."""

    step: float
    share: float = 0.0


@dataclass(frozen=True)
class Growth:
    """What a series does: its ends after the warm-up, the gain by its slope, and the verdict.

    ``verdict`` is ``steady``, ``grows``, or ``too short``.
    """

    first: float
    last: float
    gain: float
    verdict: str


def growth_of(
    series: Sequence[tuple[float, float]], tolerance: Tolerance, warm_up: float = 0.0
) -> Growth:
    """Judge (seconds, value) pairs in the order of time; ``warm_up`` is in seconds, at least."""
    begin = series[0][0] + warm_up if series else 0.0
    points = _thinned([each for each in series[len(series) // 3 :] if each[0] >= begin])
    if len(points) < _FEWEST:
        values = [value for _, value in points] or [0.0]
        return Growth(values[0], values[-1], 0.0, "too short")
    values = [value for _, value in points]
    gain = _slope(points) * (points[-1][0] - points[0][0])
    half = len(points) // 2
    levels_off = _slope(points[half:]) <= _slope(points[:half]) / 2
    allowed = max(tolerance.step, tolerance.share * median(values))
    grows = gain > allowed and _trend(values) > _DEVIATIONS and not levels_off
    return Growth(values[0], values[-1], gain, "grows" if grows else "steady")


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Take the median of neighbours until there are few enough for all pairs."""
    size = math.ceil(len(points) / _MOST)
    if size <= 1:
        return points
    groups = [points[begin : begin + size] for begin in range(0, len(points), size)]
    return [(median(t for t, _ in group), median(v for _, v in group)) for group in groups]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
        if later[0] > earlier[0]
    ]
    return median(slopes) if slopes else 0.0


def _trend(values: Sequence[float]) -> float:
    """Give Mann and Kendall's statistic in standard deviations; ties count for nothing."""
    count = len(values)
    rises = sum(
        (later > earlier) - (later < earlier)
        for index, earlier in enumerate(values)
        for later in values[index + 1 :]
    )
    ties: dict[float, int] = {}
    for value in values:
        ties[value] = ties.get(value, 0) + 1
    variance = count * (count - 1) * (2 * count + 5)
    variance -= sum(tie * (tie - 1) * (2 * tie + 5) for tie in ties.values())
    return rises / math.sqrt(variance / 18) if variance > 0 else 0.0
