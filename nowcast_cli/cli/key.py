"""``nowcast key``: init, list, add, revoke, rotate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, group_app
from nowcast_cli.cli.output import Color, Output, Painted, Text
from nowcast_cli.errors import UsageError

if TYPE_CHECKING:
    from nowcast_cli.security.key_ring import KeyRing

GivenRole = Literal["worker", "operator", "reader", "agent"]
_COLORS: dict[str, Color] = {"valid": "green", "replaced": "yellow", "revoked": "red"}

Name = Annotated[str, typer.Argument(metavar="NAME", help="The key.", autocompletion=complete.keys)]

app = group_app("Make, list, add, revoke and replace the keys of a system.")


@app.command()
def init(ctx: typer.Context) -> None:
    """Make the keys of this machine that are missing.

    \b
    Examples:
      nowcast key init

    `nowcast init` and the first `nowcast start` do it too. A key that was
    revoked is not made again: that is `nowcast key rotate`.
    """
    system, out = system_of(ctx), output_of(ctx)
    ring = _ring(system)
    made = ring.init()
    keys = f"key{'s' if len(made) > 1 else ''} {', '.join(made)}"
    out.line(f"made the {keys} in {ring.folder}" if made else "no key is missing")
    _say_whether_used(system, out)


@app.command("list")
def list_keys(ctx: typer.Context, as_json: Json = False) -> None:
    """List the keys and their roles; never a secret.

    \b
    Examples:
      nowcast key list
      nowcast key list --json
    """
    from nowcast_cli.cli.times import local
    from nowcast_cli.security.key_ring import text_of_now

    system, out = system_of(ctx), output_of(ctx)
    entries, now = _ring(system).roster().entries, text_of_now()
    if as_json:
        keys = [{**asdict(entry), "standing": entry.standing(now)} for entry in entries]
        out.json({"keys": keys})
        return
    rows: list[list[Text]] = []
    for entry in entries:
        standing = entry.standing(now)
        until = "" if entry.until is None else f", until {local(entry.until)}"
        if standing == "revoked":
            until = f" at {local(str(entry.until))}"
        rows.append(
            [
                entry.name,
                entry.role,
                entry.host or "-",
                local(entry.created),
                Painted(f"{standing}{until}", _COLORS[standing]),
            ]
        )
    out.table(["name", "role", "host", "made", "standing"], rows)
    if not entries:
        out.note("there are no keys; nowcast key init makes them")
    _say_whether_used(system, out)


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="What it is called: the host's name.")
    ] = None,
    role: Annotated[GivenRole, typer.Option("--role", help="What its owner may do.")] = "worker",
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Give it to the jobs on this host.",
            autocompletion=complete.hosts,
        ),
    ] = None,
) -> None:
    """Make a key for another host, a program or a person.

    \b
    Examples:
      nowcast key add --role worker --host cluster
      nowcast key add dashboard --role reader
      nowcast key add ocean1 --role agent

    A worker sends messages and launches workers of the message registry, a
    reader asks for values of the checklist, an operator may do everything.
    An agent, of the name of its key, takes jobs; these are given a worker's
    key, NAME.jobs, that is made along with it.
    The key of a host of `run: enabled hosts` is brought there by ssh. Any
    other: copy its file there (mode 600), and let NOWCAST_KEY name it.
    """
    system, out = system_of(ctx), output_of(ctx)
    name = name or host
    if name is None:
        raise UsageError("give the key a name, or --host", hint="nowcast key add --help")
    if host is not None and role != "worker":
        raise UsageError(
            f"the jobs on a host are workers, and --role says {role}",
            hint="leave --role or --host away",
        )
    file = _ring(system).add(name, role, host)
    out.line(f"made the key {name} of {'an' if role[0] in 'ao' else 'a'} {role}: {file}")
    if role == "agent":
        _make_key_of_its_jobs(system, out, name)
        _say_how_an_agent_begins(system, out, name)
    elif host is None:
        out.note("copy it to its owner with mode 600, where NOWCAST_KEY is to name it")
    else:
        _say_how_it_gets_there(system, out, host)
    _say_whether_used(system, out)


@app.command()
def revoke(ctx: typer.Context, name: Name) -> None:
    """Shut the door to a key, at once.

    \b
    Examples:
      nowcast key revoke dashboard

    Connections that it has made are shut out too. Messages of jobs that held
    it wait in their outboxes.
    """
    system, out = system_of(ctx), output_of(ctx)
    ring = _ring(system)
    ring.revoke(name)
    out.line(f"the key {name} opens nothing any more; nowcast key rotate {name} makes another one")
    of_jobs = ring.roster().key_of_host(name)
    if of_jobs is not None:
        out.note(f"the jobs there have one of their own: nowcast key revoke {of_jobs.name}")


@app.command()
def rotate(ctx: typer.Context, name: Name) -> None:
    """Replace a key by a new one of the same role.

    \b
    Examples:
      nowcast key rotate cluster
      nowcast key rotate broker

    Nothing has to be restarted. The old key is good for another hour, that of
    the manager and the broker's own ends at once. Was it stolen? Then revoke
    it first.
    """
    system, out = system_of(ctx), output_of(ctx)
    ring = _ring(system)
    key = ring.rotate(name)
    out.line(f"replaced the key {name}: {ring.folder / f'{name}.key'}")
    entry = ring.roster().current(name)
    if key.role == "broker":
        out.note("keys that were copied to other hosts by hand have to be copied there anew")
    elif entry is not None and entry.host is not None:
        _say_how_it_gets_there(system, out, entry.host)
    elif key.role == "agent":
        out.note("copy it to the agent's host: the agent takes it up by itself")


def _ring(system: System) -> KeyRing:
    from nowcast_cli.security.key_ring import KeyRing

    return KeyRing(system.paths.keys)


def _make_key_of_its_jobs(system: System, out: Output, agent: str) -> None:
    ring = _ring(system)
    if ring.roster().key_of_host(agent) is None:
        ring.add(f"{agent}.jobs", "worker", agent)
        out.note(f"made the key {agent}.jobs of a worker too: the agent's jobs are given it")


def _say_how_an_agent_begins(system: System, out: Output, name: str) -> None:
    from nowcast_cli.config.settings import endpoints, is_loopback

    broker = endpoints(system.config)
    host = broker.host
    if is_loopback(host):
        out.note(
            f"agents of other hosts do not reach {host}: write this machine's name into zmq.host"
        )
        host = "HOST"
    out.note(f"copy it to the agent's host with mode 600; there: nowcast agent run --master "
             f"{host}:{broker.workers} --key {name}.key")  # fmt: skip


def _say_how_it_gets_there(system: System, out: Output, host: str) -> None:
    from nowcast_cli.config.remote_hosts import remote_hosts

    if host in remote_hosts(system.config, str(system.paths.config_file)):
        out.note(f"it is brought to {host} by ssh, with the next job there")
    else:
        out.note(f"{host} is not among `run: enabled hosts`: copy the file there yourself")


def _say_whether_used(system: System, out: Output) -> None:
    from nowcast_cli.security.source import security_of

    if security_of(system.config) != "curve":
        out.note("keys are not asked for: write security: curve into nowcast.yaml, then restart")
