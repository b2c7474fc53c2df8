"""Draws what comes after what in a flow: as text, for Mermaid and for Graphviz. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nowcast_cli.flows.definition import FAIL, GO_ON, Action, Flow, Step, Work


def edges(flow: Flow) -> Iterator[tuple[str, str, bool]]:
    """Give pairs of steps, and whether the second is run where the first one fails."""
    for step in flow.steps:
        for name in step.after:
            yield name, step.name, False
        if step.on_failure not in (FAIL, GO_ON):
            yield step.name, step.on_failure, True


def label(step: Step) -> str:
    """Say in a word what a step does."""
    match step.does:
        case Action(key=key):
            return str(key)
        case Work(worker=worker):
            return worker
    return f"flow {step.does.flow}"


def as_text(flow: Flow) -> list[str]:
    """Draw a line a step, below the last of the steps that it comes after."""
    below: dict[str | None, list[Step]] = {}
    depths = _depths(flow)
    for step in flow.steps:
        before = [one for one, other, _ in edges(flow) if other == step.name and one in depths]
        parent = max(before, key=depths.__getitem__, default=None)
        below.setdefault(parent, []).append(step)
    return list(_lines(flow, below, None, 0))


def _lines(
    flow: Flow, below: Mapping[str | None, list[Step]], parent: str | None, depth: int
) -> Iterator[str]:
    for step in below.get(parent, ()):
        marked = "  " * (depth - 1) + "└ " if depth else ""
        what = "" if label(step) == step.name else f" ({label(step)})"
        each = " for each" if step.for_each is not None else ""
        others = f"  after {', '.join(step.after)}" if len(step.after) > 1 else ""
        failed = [one for one, other, bad in edges(flow) if bad and other == step.name]
        only = f"  if {' or '.join(failed)} fails" if failed else ""
        yield f"{marked}{step.name}{what}{each}{others}{only}"
        if depth < len(flow.steps):  # steps of a circle, which is a mistake, have no end
            yield from _lines(flow, below, step.name, depth + 1)


def as_mermaid(flow: Flow) -> list[str]:
    """Write the graph for Mermaid."""
    ids = _ids(flow)
    return [
        "flowchart LR",
        *(f'  {ids[step.name]}["{_words(step)}"]' for step in flow.steps),
        *(
            f"  {ids[one]} -.->|fails| {ids[other]}" if bad else f"  {ids[one]} --> {ids[other]}"
            for one, other, bad in edges(flow)
        ),
    ]


def as_dot(flow: Flow) -> list[str]:
    """Write the graph for Graphviz."""
    ids = _ids(flow)
    return [
        f'digraph "{flow.name}" {{',
        "  rankdir=LR; node [shape=box];",
        *(f'  {ids[step.name]} [label="{_words(step)}"];' for step in flow.steps),
        *(
            f"  {ids[one]} -> {ids[other]}" + (' [style=dashed, label="fails"];' if bad else ";")
            for one, other, bad in edges(flow)
        ),
        "}",
    ]


def _words(step: Step) -> str:
    what = label(step)
    return step.name if what == step.name else f"{step.name}: {what}"


def _ids(flow: Flow) -> Mapping[str, str]:
    """Give each step an id that needs no quotes anywhere."""
    return {step.name: f"s{number}" for number, step in enumerate(flow.steps, 1)}


def _depths(flow: Flow) -> dict[str, int]:
    depths = {step.name: 0 for step in flow.steps}
    for _ in flow.steps:  # the longest way has no more steps than there are
        for one, other, _ in edges(flow):
            if one in depths and other in depths:
                depths[other] = max(depths[other], min(depths[one] + 1, len(depths)))
    return depths
