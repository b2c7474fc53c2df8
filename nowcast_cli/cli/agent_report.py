"""What there is to say of agents: as the manager knows them now, or as the store last did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.output import Color, Painted, Text
from nowcast_cli.errors import NotFound, NowcastError

if TYPE_CHECKING:
    from nowcast_cli.cli.context import System
    from nowcast_cli.messages.agent_messages import AgentPicture, Picture

_DEADLINE = 5.0  # s for the manager; what the store knows is told where it does not answer
_COLORS: dict[str, Color] = {
    "online": "green",
    "draining": "yellow",
    "disabled": "yellow",
    "offline": "red",
}
_LARGEST_OFFSET = 2.0  # s that a clock may be wrong before it is told of


@dataclass(frozen=True)
class Seen:
    """The agents; ``live`` tells whether it is the manager who says so."""

    picture: Picture
    live: bool

    def named(self, name: str) -> AgentPicture:
        """Give an agent. Raises NotFound."""
        from nowcast_cli.config.hints import did_you_mean

        for agent in self.picture.agents:
            if agent.name == name:
                return agent
        known = [agent.name for agent in self.picture.agents]
        raise NotFound(
            f"there is no agent {name}" + did_you_mean(name, known), hint="nowcast agent list"
        )


def look(system: System) -> Seen:
    """Ask the manager; where it does not answer, read the store."""
    picture = _asked(system)
    return Seen(_stored(system), live=False) if picture is None else Seen(picture, live=True)


def _asked(system: System) -> Picture | None:
    from nowcast_cli.cli.asking import runs
    from nowcast_cli.messages.agent_messages import (
        AgentMessageError,
        Look,
        over_broker,
        picture_in,
    )
    from nowcast_cli.messages.client import Client

    try:
        if not runs(system):
            return None
        with Client.of(system.config, "operator") as client:
            return picture_in(client.ask(over_broker(Look()), deadline=_DEADLINE))
    except (NowcastError, AgentMessageError):
        return None


def _stored(system: System) -> Picture:
    from nowcast_cli.messages.agent_messages import AgentPicture, Limits, Picture, Register
    from nowcast_cli.messages.plain import from_plain
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        records, assigned = reader.agents(), reader.open_assignments()
    return Picture(
        tuple(
            AgentPicture(
                name=record.name,
                state=record.standing,
                standing=record.standing,
                limits=from_plain(Limits, record.limits),
                register=None
                if record.described is None
                else from_plain(Register, record.described),
                heard=record.seen,
                jobs=tuple(
                    each.job for each in assigned if each.agent == record.name and each.placed
                ),
            )
            for record in records
        )
    )


def as_json(agent: AgentPicture) -> dict[str, Any]:
    """Give an agent as ``--json`` prints it."""
    from nowcast_cli.messages.plain import to_plain

    plain: dict[str, Any] = to_plain(agent)
    return plain


def row(agent: AgentPicture) -> list[Text]:
    """Give the row of an agent in a list."""
    host, report = agent.register, agent.report
    return [
        agent.name,
        painted(agent),
        "-" if host is None else host.hostname,
        str(len(agent.jobs)),
        "-" if host is None else _of(host.cpus, agent.limits.cpus),
        "-" if report is None else f"{report.load:.1f}",
        "-" if report is None else _size(report.memory_free),
        ago(agent.heard),
        "-" if host is None else _tags(host.tags),
    ]


def _tags(tags: Sequence[str]) -> str:
    """Give the tags that a line has room for, of which the first are those that were given."""
    shown, length = 0, 0
    while shown < len(tags) and (shown == 0 or length + len(tags[shown]) <= _ROOM_FOR_TAGS):
        length += len(tags[shown]) + len(", ")
        shown += 1
    left = len(tags) - shown
    return ", ".join([*tags[:shown], *([f"+{left}"] if left else [])]) or "-"


_ROOM_FOR_TAGS = 24
HEADER = ("agent", "state", "host", "jobs", "cpus", "load", "free memory", "heard", "tags")


def painted(agent: AgentPicture) -> Painted:
    """Give the state of an agent; one that has jobs and is silent needs somebody."""
    mark = "✗" if agent.state == "offline" else "●"
    return Painted(f"{mark} {agent.state}", _COLORS.get(agent.state))


def details(agent: AgentPicture) -> list[list[Text]]:
    """Give all that is known of an agent, for people."""
    from nowcast_cli.cli.times import local

    host, report, limits = agent.register, agent.report, agent.limits
    rows: list[list[Text]] = [["agent", agent.name], ["state", painted(agent)]]
    if agent.state == "offline" and agent.standing != "online":
        rows.append(["set to", agent.standing])
    if host is not None:
        gpus = ", ".join(gpu.name for gpu in host.gpus)
        rows += [
            ["host", f"{host.hostname} (nowcast {host.version}, Python {host.python})"],
            ["cpus", _of(host.cpus, limits.cpus)],
            ["memory", _of_sizes(host.memory, limits.memory)],
            ["gpus", gpus or "-"],
            ["tags", ", ".join(host.tags) or "-"],
            ["folder", host.state_directory],
        ]
    slots = "-" if limits.slots is None else str(limits.slots)
    load = "-" if limits.max_load is None else f"{limits.max_load:g}"
    rows += [["slots", slots], ["largest load", load]]
    rows.append(["heard", f"{local(agent.heard)} ({ago(agent.heard)})" if agent.heard else "never"])
    for disk in () if report is None else report.disks:
        rows.append(["disk", f"{disk.path}: {_free(disk.free)} of {_size(disk.total)}"])
    if report is not None:
        rows += [
            ["load", f"{report.load:.2f}"],
            ["free memory", _size(report.memory_free)],
            ["disks did", f"read {_size(report.counters.read)}, "
             f"wrote {_size(report.counters.written)} since the boot"],
            ["network did", f"received {_size(report.counters.received)}, "
             f"sent {_size(report.counters.sent)}"],
        ]  # fmt: skip
    if agent.offset is not None:
        rows.append(["clock", clock_words(agent.offset)])
    return rows


def clock_words(offset: float) -> Painted:
    """Say how far the clock of a host is off that of the manager."""
    if abs(offset) < _LARGEST_OFFSET:
        return Painted("right, to 2 s")
    direction = "ahead of" if offset > 0 else "behind"
    return Painted(f"{abs(offset):.0f} s {direction} the manager's", "yellow")


def ago(instant: str | None) -> str:
    """Say how long ago something was."""
    from datetime import UTC, datetime

    from nowcast_cli.cli.times import seconds_between, words

    if instant is None:
        return "never"
    return f"{words(seconds_between(instant, datetime.now(UTC).isoformat()))} ago"


def short_ids(jobs: Sequence[str]) -> list[str]:
    """Give ids as people type them."""
    from nowcast_cli.store.records import short_id

    return [short_id(job) for job in jobs]


def _of(there: int, limit: int | None) -> str:
    return str(there) if limit is None or limit >= there else f"{limit} of {there}"


def _of_sizes(there: int, limit: int | None) -> str:
    whole = _size(there)
    return whole if limit is None or limit >= there else f"{_size(limit)} of {whole}"


def _free(free: int | None) -> str:
    return "-" if free is None else f"{_size(free)} free"


def _size(size: int) -> str:
    from nowcast_cli.config.sizes import size_words

    return size_words(size)
