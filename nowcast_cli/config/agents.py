"""How agents are kept in touch with: the section ``agents``. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.reading import Reading
from nowcast_cli.errors import ConfigError

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding

_SHORTEST_LEASE = 3  # reports: the loss of one is no reason for doubt


@dataclass(frozen=True, slots=True)
class AgentTimes:
    """Seconds: after ``lease`` without a word an agent is offline; it reports each ``report``."""

    lease: float = 60.0
    report: float = 5.0


_DEFAULTS = AgentTimes()


def agent_times(config: Mapping[str, Any]) -> AgentTimes:
    """Read ``agents``. Raises ConfigError that names the key of a value which cannot be."""
    settings, findings = _read(config)
    for finding in findings:
        where = ".".join(str(step) for step in finding.path)
        raise ConfigError(f"{where}: {finding.message}", hint="nowcast validate says where")
    return settings


def agent_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in ``agents``."""
    yield from _read(config)[1]


def _read(config: Mapping[str, Any]) -> tuple[AgentTimes, list[Finding]]:
    whole = Reading(config, ())
    section = whole.below("agents", "{lease: 60s, report every: 5s}")
    if section is None:
        return AgentTimes(), whole.findings
    section.refuse_unknown_keys(("lease", "report every"))
    found = AgentTimes(
        section.duration("lease") or _DEFAULTS.lease,
        section.duration("report every") or _DEFAULTS.report,
    )
    if found.lease < _SHORTEST_LEASE * found.report:
        words = f"must be at least {_SHORTEST_LEASE} times as long as `report every`"
        section.wrong("lease", words)
    return found, whole.findings
