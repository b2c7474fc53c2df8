"""``nowcast flow``: list, show, validate, graph, export; its runs are in ``flow_runs``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from nowcast_cli.cli import complete, flow_runs
from nowcast_cli.cli.context import System, invocation_of, output_of, system_of
from nowcast_cli.cli.options import Json, group_app
from nowcast_cli.cli.output import Output, Painted, Text

if TYPE_CHECKING:
    from nowcast_cli.flows.definition import Flow, Step
    from nowcast_cli.flows.loading import Declared

app = group_app("Run flows; list, show, check, draw and convert them.")
app.command("run")(flow_runs.run)
app.command("runs")(flow_runs.runs)
app.command("cancel")(flow_runs.cancel)
app.command("retry")(flow_runs.retry)
app.command("resume")(flow_runs.resume)
app.command("complete")(flow_runs.complete_step)

_RUN_ID = re.compile(r"[0-9a-f-]{8,}")

Name: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="FLOW", help="Its name.", autocompletion=complete.flows),
]


@app.command("list")
def list_flows(ctx: typer.Context, as_json: Json = False) -> None:
    """List the flows: their steps, and what begins them.

    \b
    Examples:
      nowcast flow list
      nowcast flow list --json
    """
    out, found = output_of(ctx), _declared(system_of(ctx))
    if as_json:
        out.json({"flows": [_summary(flow) for flow in found.flows.values()]})
        return
    rows: list[list[Text]] = [
        [
            flow.name,
            str(len(flow.steps)),
            "; ".join(trigger.words for trigger in flow.triggers) or "a request",
            _place(flow),
        ]
        for flow in found.flows.values()
    ]
    out.table(["flow", "steps", "begins with", "declared at"], rows)
    if not rows:
        out.note("there are no flows: they are declared in flows.ini, or in nowcast.yaml as flows:")
    _say_what_is_wrong(out, found)


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="FLOW|RUN", help="A name, or a run's id.", autocompletion=complete.flows
        ),
    ],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="Fill in a parameter."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a flow and its steps, or what became of a run.

    With --param, or where all parameters have defaults, what they fill in is
    filled in.

    \b
    Examples:
      nowcast flow show forecast
      nowcast flow show 4f1c2a90
      nowcast flow show forecast --param date=2026-11-22
    """
    from nowcast_cli.flows.described import described, described_step, what_it_does

    out, found = output_of(ctx), _declared(system_of(ctx))
    if name not in found.flows and _RUN_ID.fullmatch(name):
        flow_runs.show_run(out, system_of(ctx), name, as_json)
        return
    flow = _flow(found, name)
    shown = _filled_in(flow, param)
    if as_json:
        out.json({**_summary(flow), **described(shown)})
        return
    out.line(Painted(flow.name, "bold"), f"  {flow.description}" if flow.description else "")
    for trigger in flow.triggers:
        out.line("  begins with  ", trigger.words)
    for parameter in flow.parameters:
        default = "required" if parameter.required else f"default {parameter.default}"
        out.line("  parameter    ", f"{parameter.name}: {parameter.type}, {default}")
    out.line()
    rows: list[list[Text]] = []
    for step in shown.steps:
        said = what_it_does(step)
        rest = {key: value for key, value in described_step(step).items() if key not in said}
        after = ", ".join(rest.pop("after", [])) or "-"
        rows.append([step.name, _what(step), after, _settings(rest)])
    out.table(["step", "does", "after", ""], rows)
    _say_what_is_wrong(out, found)


@app.command()
def validate(ctx: typer.Context, as_json: Json = False) -> int:
    """Check the flows and the mapping of their actions.

    All problems are reported at once, with file and line. Modules are looked
    for and read, and not imported. The exit code is 2 when there are errors.

    \b
    Examples:
      nowcast flow validate
    """
    from nowcast_cli.cli.validate import report

    config_file = invocation_of(ctx).config_file
    found = _declared(system_of(ctx))
    return report(output_of(ctx), config_file, list(found.problems), "json" if as_json else "text")


@app.command()
def graph(
    ctx: typer.Context,
    name: Name,
    form: Annotated[
        Literal["text", "mermaid", "dot", "json"],
        typer.Option("--format", help="What to write it for; dot is Graphviz' language."),
    ] = "text",
) -> None:
    """Draw what comes after what in a flow.

    \b
    Examples:
      nowcast flow graph forecast
      nowcast flow graph forecast --format dot | dot -Tsvg > forecast.svg
    """
    from nowcast_cli.flows import graph as drawing

    out, flow = output_of(ctx), _flow(_declared(system_of(ctx)), name)
    if form == "json":
        steps = [{"step": step.name, "does": drawing.label(step)} for step in flow.steps]
        links = [
            {"from": one, "to": other, "when": "failed" if bad else "ended"}
            for one, other, bad in drawing.edges(flow)
        ]
        out.json({"flow": flow.name, "steps": steps, "edges": links})
        return
    draw = {"text": drawing.as_text, "mermaid": drawing.as_mermaid, "dot": drawing.as_dot}[form]
    for line in draw(flow):
        out.line(line)


@app.command()
def export(
    ctx: typer.Context,
    name: Name,
    to: Annotated[
        Literal["yaml", "ini"],
        typer.Option("--to", help="yaml: for nowcast.yaml. ini: for flows.ini."),
    ] = "yaml",
) -> None:
    """Write a flow in the other of its two forms.

    The lines of flows.ini hold actions that come one after the other; what
    they cannot say is named.

    \b
    Examples:
      nowcast flow export IAMConnection
      nowcast flow export announce --to ini >> flows.ini
    """
    from nowcast_cli.errors import NowcastError
    from nowcast_cli.flows.writing import NotInLines, as_lines, as_yaml

    flow = _flow(_declared(system_of(ctx)), name)
    try:
        text = as_yaml(flow) if to == "yaml" else as_lines(flow)
    except NotInLines as error:
        raise NowcastError(
            f"flow {name} cannot be written as lines of flows.ini",
            cause=str(error),
            hint=f"nowcast flow export {name} --to yaml",
        ) from None
    output_of(ctx).line(text.rstrip("\n"))


def _declared(system: System) -> Declared:
    from nowcast_cli.flows.loading import declared

    return declared(system.config)


def _flow(found: Declared, name: str) -> Flow:
    from nowcast_cli.config.hints import did_you_mean
    from nowcast_cli.errors import NotFound

    if name in found.flows:
        return found.flows[name]
    known = ", ".join(found.flows) or "none"
    hint = "nowcast flow validate" if found.problems else "nowcast flow list"
    raise NotFound(
        f"there is no flow {name!r} that can be used{did_you_mean(name, found.flows)}",
        cause=f"the flows are: {known}",
        hint=hint,
    )


def _filled_in(flow: Flow, given: list[str] | None) -> Flow:
    """Give the flow with the values of its parameters, as far as they are known."""
    from datetime import date

    from nowcast_cli.cli.flow_parameters import given_parameters
    from nowcast_cli.errors import UsageError
    from nowcast_cli.flows.filling import filled_in_flow
    from nowcast_cli.flows.parameters import BadParameter, values_of

    try:
        values = values_of(flow, given_parameters(given), date.today())  # noqa: DTZ011
    except BadParameter as error:
        if given:
            raise UsageError(str(error), hint=f"nowcast flow show {flow.name}") from None
        return flow
    return filled_in_flow(flow, values)


def _summary(flow: Flow) -> dict[str, object]:
    return {
        "flow": flow.name,
        "steps": len(flow.steps),
        "digest": flow.digest,
        "begins with": [trigger.words for trigger in flow.triggers],
        "declared at": _place(flow),
    }


def _place(flow: Flow) -> str:
    return "built in" if flow.place is None else f"{flow.place.file.name}:{flow.place.line}"


def _what(step: Step) -> str:
    from nowcast_cli.flows.described import what_it_does

    said = what_it_does(step)
    kind = next(iter(said))
    target = said.pop(kind)
    return f"{kind} {target}" + (f" {_settings(said)}" if said else "")


def _settings(rest: dict[str, object]) -> str:
    return "; ".join(f"{key} {_value(value)}" for key, value in rest.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return str(value)


def _say_what_is_wrong(out: Output, found: Declared) -> None:
    errors = sum(problem.severity == "error" for problem in found.problems)
    if errors:
        number = f"{errors} mistake{'s' if errors > 1 else ''}"
        out.note(Painted("✗ ", "red"), f"{number} in the flows: nowcast flow validate")
