"""``nowcast action``: what answers action keys, and calling it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, group_app
from nowcast_cli.cli.output import Output, Painted, Text
from nowcast_cli.errors import WaitTimedOut

if TYPE_CHECKING:
    from nowcast_cli.config.positions import KeyPath
    from nowcast_cli.flows.action_key import ActionKey
    from nowcast_cli.flows.loading import Declared
    from nowcast_cli.flows.owners import Owners

app = group_app("List actions and what answers them; call one.")


@app.command("list")
def list_actions(ctx: typer.Context, as_json: Json = False) -> None:
    """List the action keys that are answered, and by what.

    Keys that a service itself says it owns are listed while it runs.
    Components are looked for, and not imported: what is wrong with one that
    cannot be seen from outside shows in nowcast status.

    \b
    Examples:
      nowcast action list
      nowcast action list --json
    """
    out, found = output_of(ctx), _actions(system_of(ctx))
    if as_json:
        out.json({"actions": found})
        return
    rows: list[list[Text]] = [
        [
            each["key"],
            each["component"] or f"service {each['service']}",
            each["declared at"] or "",
            ", ".join(each["flows"]) or "-",
        ]
        for each in found
    ]
    out.table(["key", "answered by", "declared at", "flows"], rows)
    for each in found:
        if each["trouble"]:
            out.note(Painted("✗ ", "red"), f"{each['key']}: {each['trouble']}")
    if not rows:
        out.note("no action is answered: actions.ini maps their keys to components")


@app.command()
def call(
    ctx: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Sender?Context?Action, in quotation marks.")
    ],
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--value", "-v", metavar="NAME=VALUE", help="A value: JSON where it is, else text."
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option("--values", metavar="JSON|@FILE", help="All values, as a mapping."),
    ] = None,
    deadline: Annotated[
        str,
        typer.Option("--deadline", metavar="TIME", help="How long it may take; then it is ended."),
    ] = "60s",
    local: Annotated[
        bool, typer.Option("--local", help="Call it in this process, without any daemon.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Call an action, and print what it gives.

    It is done once, and goes on when this command is ended; the exit code is
    1 when it fails, and 124 when it has not ended in time. What waits for room,
    for somebody who is not there, or for a word from outside then goes on. With
    --local the component runs in this very process: to try it, or to test it.

    \b
    Examples:
      nowcast action call '?Tides?predict' --value place=Tofino
      nowcast action call '?Tides?predict' --values @values.json --deadline 5m
      nowcast action call '?Tides?predict' -v place=Tofino --local
    """
    out, system = output_of(ctx), system_of(ctx)
    given, seconds = _given(value, values), _seconds(deadline)
    if local:
        return _call_here(out, system, key, given, seconds, as_json)
    from nowcast_cli.bus.requesting import LONGEST_WAY, NotInTime, RequestFailed, request
    from nowcast_cli.cli.asking import runs
    from nowcast_cli.errors import NotRunning

    if not runs(system):
        raise NotRunning(
            f"the system {system.paths.deployment} does not run",
            hint="nowcast start; with --local no daemon is asked",
        )
    try:
        # A little longer than it may take: that it was ended is to be told, too.
        gave = request(
            key,
            given,
            timeout=seconds + LONGEST_WAY,
            config=system.config,
            key="operator",
            seconds=seconds,
        )
    except RequestFailed as error:
        if not as_json:
            raise
        out.json({"key": key, "state": error.state, "reason": error.what, "run": error.run})
        return error.exit_code
    except NotInTime as error:
        begun = error.run is not None
        what = f"{key} has not {'ended' if begun else 'been taken in'} within {deadline}"
        if not as_json:
            raise _too_late(what, error.run, error.cause) from None
        state = "running" if begun else None
        out.json({"key": key, "state": state, "reason": what, "run": error.run})
        return error.exit_code
    _print(out, key, gave, as_json)
    return 0


def _too_late(what: str, run: str | None, cause: str | None) -> WaitTimedOut:
    if run is None:
        hint = (
            "`nowcast status` shows which daemon is missing; once it is there, the call may be met"
        )
    else:
        hint = f"it goes on: nowcast flow show {run[-8:]}, nowcast flow cancel {run[-8:]}"
    return WaitTimedOut(what, cause=cause, hint=hint)


def _call_here(
    out: Output, system: System, key: str, given: dict[str, Any], seconds: float, as_json: bool
) -> int:
    import logging
    import sys

    from nowcast_cli.actions.local import call_here
    from nowcast_cli.errors import NowcastError

    form = "%(levelname)s [%(name)s] %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)
    result = call_here(system.config, key, given, seconds, lambda said: out.note("… ", said))
    if result.state == "done":
        _print(out, key, result.gave, as_json, result.seconds)
        return 0
    if as_json:
        document = {"key": key, "state": result.state, "reason": result.reason}
        out.json({**document, "traceback": result.traceback, "seconds": result.seconds})
        return 1
    if result.traceback:
        out.note(result.traceback.rstrip())
    raise NowcastError(result.reason or result.state)


def _print(out: Output, key: str, gave: Any, as_json: bool, seconds: float | None = None) -> None:
    if as_json:
        took = {} if seconds is None else {"seconds": seconds}
        out.json({"key": key, "state": "done", "gave": gave, **took})
    elif gave is not None:
        text = gave if isinstance(gave, str) else json.dumps(gave, indent=2, ensure_ascii=False)
        out.line(text)


def _given(value: list[str] | None, values: str | None) -> dict[str, Any]:
    """Read the values of the command line. Raises UsageError."""
    from nowcast_cli.cli.flow_parameters import given_parameters

    given = {} if values is None else _mapping(values)
    return given | {name: _read(text) for name, text in given_parameters(value, "--value").items()}


def _mapping(text: str) -> dict[str, Any]:
    from nowcast_cli.errors import UsageError

    hint = 'write it as --values \'{"place": "Tofino"}\', or --values @FILE'
    try:
        content = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        given = json.loads(content)
    except (OSError, ValueError) as error:
        raise UsageError(f"--values {text[:80]} cannot be read: {error}", hint=hint) from None
    if not isinstance(given, dict):
        raise UsageError(f"--values {text[:80]} is no mapping", hint=hint)
    return given


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _seconds(text: str) -> float:
    from nowcast_cli.config.durations import NotADuration, seconds_of
    from nowcast_cli.errors import UsageError

    try:
        return seconds_of(float(text) if text.replace(".", "", 1).isdigit() else text)
    except NotADuration as error:
        raise UsageError(f"--deadline {error}") from None


def _actions(system: System) -> list[dict[str, Any]]:
    from nowcast_cli.flows.components import component_trouble
    from nowcast_cli.flows.loading import declared

    found = declared(system.config)
    owners, file = _with_said(system, found.owners), system.config.file
    places = _lines(file, owners.paths) if owners.paths else {}
    users = _users(found, {*found.actions.components, *owners.by_key})
    rows = [
        {
            "key": str(key),
            "component": component.name,
            "service": None,
            "declared at": component.place
            and f"{component.place.file.name}:{component.place.line}",
            "trouble": component_trouble(component.name, system.paths.deployment),
            "flows": users.get(key, []),
        }
        for key, component in found.actions.components.items()
    ]
    services = [
        {
            "key": str(key),
            "component": None,
            "service": service,
            "declared at": f"{file.name}:{places[key]}" if key in places else None,
            "trouble": None,
            "flows": users.get(key, []),
        }
        for key, service in owners.by_key.items()
    ]
    return [*rows, *services]


def _with_said(system: System, owners: Owners) -> Owners:
    """Give the owners, and the keys that services which run say they own."""
    from nowcast_cli.cli.action_waits import keys_said
    from nowcast_cli.flows.action_key import BadActionKey
    from nowcast_cli.flows.owners import owned_key

    for text, name in keys_said(system):
        with contextlib.suppress(BadActionKey):  # the manager has said so in its log
            owners = owners.with_served(name, (owned_key(text),))
    return owners


def _lines(file: Path, paths: Mapping[ActionKey, KeyPath]) -> dict[ActionKey, int]:
    """Give the lines of keys in the configuration; none where it has changed since it was read."""
    from nowcast_cli.config.positions import BadYaml, read_document

    try:
        document = read_document(file.read_bytes())
    except (OSError, BadYaml):
        return {}
    return {key: document.position(path).line for key, path in paths.items()}


def _users(found: Declared, known: set[ActionKey]) -> dict[ActionKey, list[str]]:
    """Give the steps, as ``flow.step``, that each key answers."""
    from nowcast_cli.flows.definition import Action

    users: dict[ActionKey, list[str]] = {}
    for flow in found.flows.values():
        for step in flow.steps:
            if isinstance(step.does, Action):
                nearest = next((key for key in step.does.key.lookups() if key in known), None)
                if nearest is not None:
                    users.setdefault(nearest, []).append(f"{flow.name}.{step.name}")
    return users
