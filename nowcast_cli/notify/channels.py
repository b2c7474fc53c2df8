"""Where notifications go, by the configuration and the environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nowcast_cli.config.durations import seconds_of
from nowcast_cli.config.environment import UnsetVariable, substituted

Kind = Literal["message", "failure", "crash", "lost", "overdue", "slow", "stuck", "daemon down"]

ALL_KINDS: frozenset[Kind] = frozenset(
    {"failure", "crash", "lost", "overdue", "slow", "stuck", "daemon down"}
)
PERIOD = 900.0  # seconds
# Three hosts that are told the same within a minute are one line to read, not three.
SLACK_PERIOD = 60.0
_LINKS = {"website log url": "Log", "website checklist url": "Checklist"}


@dataclass(frozen=True)
class Channel:
    """One address, and what is told there.

    ``form`` says how: in NEMO_Nowcast's form to a Slack address, or by apprise. ``workers`` is None
    where all matter. ``period`` is in seconds. ``footer`` ends each text in NEMO_Nowcast's form.
    """

    name: str
    form: Literal["slack", "apprise"]
    url: str
    kinds: frozenset[Kind]
    workers: frozenset[str] | None
    period: float
    footer: str = ""

    def wants(self, kind: Kind, subject: str) -> bool:
        """Whether an event is told here; a daemon is not a worker, so no filter holds it back."""
        if kind not in self.kinds:
            return False
        return self.workers is None or kind == "daemon down" or subject in self.workers


@dataclass(frozen=True)
class Unusable:
    """A place of the configuration that cannot be told anything: why, and the remedy."""

    name: str
    reason: str
    hint: str


def are_wanted(config: Mapping[str, Any]) -> bool:
    """Whether a configuration asks for notifications."""
    return bool(config.get("notify") or config.get("slack notifications"))


def channels_of(
    config: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[list[Channel], list[Unusable]]:
    """Read ``slack notifications`` and ``notify``; the second list says what is passed over."""
    channels: list[Channel] = []
    unusable: list[Unusable] = []
    for found in (*_slack(config, environment), *_apprise(config, environment)):
        if isinstance(found, Channel):
            channels.append(found)
        else:
            unusable.append(found)
    return channels, unusable


def _slack(
    config: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Channel | Unusable]:
    section = _mapping(config.get("slack notifications"))
    footer = "".join(f"\n{word}: {section[key]}" for key, word in _LINKS.items() if key in section)
    for variable, workers in section.items():
        if variable in _LINKS:
            continue
        url = environment.get(str(variable), "")
        if not url.startswith(("http://", "https://")):
            how = "does not hold a web address" if url else "is not set"
            yield Unusable(
                f"slack notifications.{variable}",
                f"the environment variable {variable} {how}, so nothing is posted there",
                f"export {variable}=https://…, then nowcast restart",
            )
            continue
        yield Channel(
            name=str(variable),
            form="slack",
            url=url,
            kinds=frozenset({"message"}),
            workers=frozenset(workers if isinstance(workers, list) else [workers]),
            period=SLACK_PERIOD,
            footer=footer,
        )


def _apprise(
    config: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Channel | Unusable]:
    for name, target in _mapping(config.get("notify")).items():
        try:
            yield from _target(str(name), _mapping(target), environment)
        except (TypeError, ValueError) as error:
            yield Unusable(f"notify.{name}", f"it cannot be used: {error}", "nowcast validate")


def _target(
    name: str, target: Mapping[Any, Any], environment: Mapping[str, str]
) -> Iterator[Channel | Unusable]:
    addresses = target.get("to") or []
    kinds, workers = target.get("events"), target.get("workers")
    period = seconds_of(target.get("period", PERIOD))
    for number, address in enumerate([addresses] if isinstance(addresses, str) else addresses):
        try:
            url = substituted(str(address), environment, {})
        except UnsetVariable as error:
            yield Unusable(
                f"notify.{name}",
                f"the environment variable {error.name} is not set, so nobody is told there",
                f"export {error.name}=…, then nowcast restart",
            )
            continue
        yield Channel(
            name=f"{name} {number + 1}" if number else name,
            form="apprise",
            url=url,
            kinds=ALL_KINDS if kinds is None else frozenset(kinds),
            workers=None if workers is None else frozenset(workers),
            period=period,
        )


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
