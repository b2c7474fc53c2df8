"""``nowcast agent``: run, list, show, limit, drain, disable, enable, forget."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.agent_run import run
from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import Json, group_app
from nowcast_cli.errors import UsageError

Name = Annotated[
    str, typer.Argument(metavar="AGENT", help="The agent.", autocompletion=complete.agents)
]

app = group_app("Run an agent on a host; see to the agents of a system.")

app.command()(run)


@app.command("list")
def list_agents(ctx: typer.Context, as_json: Json = False) -> None:
    """List the agents, what they have to do, and when they told it.

    With the system down it is told what was last known.

    \b
    Examples:
      nowcast agent list
      nowcast agent list --json | jq '.agents[] | select(.state == "offline")'
    """
    from nowcast_cli.cli.agent_report import HEADER, look, row
    from nowcast_cli.cli.agent_report import as_json as agent_as_json

    out = output_of(ctx)
    seen = look(system_of(ctx))
    picture = seen.picture
    if as_json:
        agents = [agent_as_json(agent) for agent in picture.agents]
        stuck = list(picture.stuck)
        out.json({"live": seen.live, "agents": agents, "waiting": picture.waiting, "stuck": stuck})
        return
    out.table(HEADER, [row(agent) for agent in picture.agents])
    if not picture.agents:
        out.note("no agent is known; nowcast key add NAME --role agent says how one is begun")
    if picture.waiting:
        out.note(f"jobs that wait for an agent: {picture.waiting:,}")
    for sentence in picture.stuck:
        out.note(sentence)
    if not seen.live:
        out.note("the manager does not answer: this is what it last knew")


@app.command()
def show(ctx: typer.Context, agent: Name, as_json: Json = False) -> None:
    """Show an agent: its host, limits, use, jobs and mistakes.

    \b
    Examples:
      nowcast agent show ocean1
    """
    from nowcast_cli.cli.agent_report import as_json as agent_as_json
    from nowcast_cli.cli.agent_report import details, look, short_ids

    out = output_of(ctx)
    seen = look(system_of(ctx))
    found = seen.named(agent)
    if as_json:
        out.json({"live": seen.live, "agent": agent_as_json(found)})
        return
    out.columns([*details(found), ["jobs", " ".join(short_ids(found.jobs)) or "-"]])
    for error in found.errors:
        out.line("mistake: ", error.rstrip())
    if not seen.live:
        out.note("the manager does not answer: this is what it last knew")


@app.command()
def limit(
    ctx: typer.Context,
    agent: Name,
    cpus: Annotated[
        int | None, typer.Option("--cpus", metavar="N", min=0, help="CPUs for jobs.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory for jobs: 64 GB.")
    ] = None,
    max_load: Annotated[
        float | None,
        typer.Option("--max-load", metavar="LOAD", min=0, help="From this load on no more begin."),
    ] = None,
    slots: Annotated[
        int | None, typer.Option("--slots", metavar="N", min=0, help="Jobs at once.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="First undo what was set: the agent's own limits hold.")
    ] = False,
) -> None:
    """Limit what jobs may have of a host.

    It goes before what the agent was started with, and outlasts a restart.
    Jobs that are there go on.

    \b
    Examples:
      nowcast agent limit ocean1 --cpus 8 --memory "64 GB"
      nowcast agent limit ocean1 --reset
    """
    given = {"cpus": cpus, "memory": _bytes(memory), "max_load": max_load, "slots": slots}
    limits: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if reset:
        limits = dict.fromkeys(given) | limits
    if not limits:
        raise UsageError("no limit is given", hint="nowcast agent limit --help")
    reply = _ask(ctx, "agent limit", agent, limits=limits)
    words = ", ".join(f"{key.replace('_', ' ')} {_value(key, reply['limits'][key])}"
                      for key in reply["limits"])  # fmt: skip
    output_of(ctx).line(f"{agent} is limited to: {words or 'all that it has'}")


@app.command()
def drain(ctx: typer.Context, agent: Name) -> None:
    """Give an agent no more jobs, and disable it after its last.

    \b
    Examples:
      nowcast agent drain ocean1
    """
    reply = _ask(ctx, "agent standing", agent, standing="draining")
    output_of(ctx).line(f"{agent} is {reply['standing']}: {_left(reply)}")


@app.command()
def disable(ctx: typer.Context, agent: Name) -> None:
    """Give an agent no more jobs.

    Those that are there go on. It outlasts a restart.

    \b
    Examples:
      nowcast agent disable ocean1
    """
    reply = _ask(ctx, "agent standing", agent, standing="disabled")
    output_of(ctx).line(f"{agent} is disabled: {_left(reply)}")


@app.command()
def enable(ctx: typer.Context, agent: Name) -> None:
    """Give an agent jobs again.

    \b
    Examples:
      nowcast agent enable ocean1
    """
    _ask(ctx, "agent standing", agent, standing="online")
    output_of(ctx).line(f"{agent} takes jobs again")


@app.command()
def forget(
    ctx: typer.Context,
    agent: Name,
    lost: Annotated[
        bool, typer.Option("--lost", help="Give up its jobs: its host will not come back.")
    ] = False,
) -> None:
    """Forget an agent that is offline.

    Its jobs may run still, so one with jobs is only forgotten with --lost:
    they are lost then, and those of idempotent workers are run again. Should
    the host come back all the same, they are ended there.

    \b
    Examples:
      nowcast agent forget ocean1
      nowcast agent forget ocean1 --lost
    """
    jobs = _ask(ctx, "agent forget", agent, lost=lost)["jobs"]
    given_up = f"; jobs that are lost: {len(jobs)}" if jobs else ""
    output_of(ctx).line(f"{agent} is forgotten{given_up}")


def _ask(ctx: typer.Context, request: str, agent: str, **more: Any) -> dict[str, Any]:
    from nowcast_cli.cli.asking import ask_manager

    return ask_manager(system_of(ctx), request, {"agent": agent, **more})


def _left(reply: dict[str, Any]) -> str:
    count = reply["jobs"]
    return f"jobs that are there and go on: {count}" if count else "no job is there"


def _bytes(size: str | None) -> int | None:
    from nowcast_cli.config.sizes import NotASize, bytes_of

    if size is None:
        return None
    try:
        return bytes_of(size)
    except NotASize as error:
        raise UsageError(f"--memory {error}") from None


def _value(key: str, value: float) -> str:
    from nowcast_cli.config.sizes import size_words

    return size_words(int(value)) if key == "memory" else f"{value:g}"
