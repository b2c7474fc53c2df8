"""What of a product may expire, and what never does. Pure.

Kept whatever is declared: the latest complete instance, what is pinned, and the last instance that
has files. Beyond that a reference time is one: a version goes with those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nowcast_cli.config.durations import duration_words
from nowcast_cli.config.products import Retention
from nowcast_cli.config.sizes import size_words
from nowcast_cli.products.times import time_of
from nowcast_cli.store.product_records import InstanceRecord


@dataclass(frozen=True, slots=True)
class Expiring:
    """An instance that is to go, and why; ``kept`` says why it stays all the same."""

    instance: InstanceRecord
    why: str
    kept: str | None = None


def kept_because(instance: InstanceRecord, others: Sequence[InstanceRecord]) -> str | None:
    """Say why an instance must not go, None where it may; ``others`` are those that stay."""
    if instance.pinned is not None:
        return "it is pinned"
    if instance.complete is not None and not any(
        _is_later(each, instance) for each in others if each.complete is not None
    ):
        return "it is the latest complete one"
    if instance.files and not any(each.files for each in others):
        return "it is the last one that there is"
    return None


def expiring(
    instances: Sequence[InstanceRecord], retention: Retention, now: datetime
) -> list[Expiring]:
    """Give what is beyond what is to be kept, the oldest first.

    Parameters
    ----------
    instances
        All of one product that are there, in any order.
    """
    ordered = sorted(instances, key=_place)
    references = sorted({each.reference for each in ordered}, reverse=True)
    beyond = set(references[retention.cycles :]) if retention.cycles is not None else set()
    found: list[Expiring] = []
    left = list(ordered)
    size = sum(each.size for each in ordered)
    for instance in ordered:
        why = _why(instance, instance.reference in beyond, size, retention, now)
        if why is None:
            continue
        kept = kept_because(instance, [each for each in left if each is not instance])
        found.append(Expiring(instance, why, kept))
        if kept is None:
            left.remove(instance)
            size -= instance.size
    return found


def _why(
    instance: InstanceRecord, is_beyond: bool, size: int, retention: Retention, now: datetime
) -> str | None:
    if is_beyond:
        return f"beyond the latest {retention.cycles} reference times"
    age = now - time_of(instance.reference)
    if retention.age is not None and age > timedelta(seconds=retention.age):
        return f"older than {duration_words(retention.age)}"
    if retention.space is not None and size > retention.space and instance.size:
        return f"all together are {size_words(size)}, more than {size_words(retention.space)}"
    return None


def _place(instance: InstanceRecord) -> tuple[str, int]:
    return instance.reference, instance.version


def _is_later(one: InstanceRecord, other: InstanceRecord) -> bool:
    return _place(one) > _place(other)
