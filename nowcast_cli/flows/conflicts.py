"""Which steps may not run at the same time, whichever of the two says so. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nowcast_cli.flows.definition import Flow

StepName = tuple[str, str]  # flow, step
Conflicts = Mapping[StepName, frozenset[StepName]]


def with_conflicts_of(known: Conflicts, flow: Flow) -> Conflicts:
    """Give what is known with what a flow says of its steps, in both directions."""
    conflicts = dict(known)
    for step in flow.steps:
        for conflict in step.conflicts:
            pair = ((flow.name, step.name), (conflict.flow, conflict.step))
            for one, other in (pair, pair[::-1]):
                conflicts[one] = conflicts.get(one, frozenset()) | {other}
    return conflicts
