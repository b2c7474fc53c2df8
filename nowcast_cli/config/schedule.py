"""The section ``scheduled workers``: its items, and what is wrong with those that are not right.

Each item stands for itself: a mistake in one never touches the others. The ``schedule`` that begins
a flow has the same keys. Pure, and light enough for the command line.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from nowcast_cli.config.durations import NotADuration, seconds_of
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.positions import Index, KeyPath
from nowcast_cli.config.timing import Interval, Timing, WrongTiming, read_timing
from nowcast_cli.config.zones import local_zone, named_zone
from nowcast_cli.errors import ConfigError

SECTION = "scheduled workers"
KEYS = (
    "name", "every", "at", "cron", "time zone", "cmd line opts", "catch up", "within", "jitter",
)  # fmt: skip
# Of a schedule that begins a flow, which is named, and takes parameters in place of arguments.
TIME_KEYS = tuple(key for key in KEYS if key not in ("name", "cmd line opts"))
CatchUp = Literal["none", "last", "all"]
# What was missed longer ago is not made up for, where an item says nothing about it.
_USUAL_LIMIT = 3600.0


@dataclass(frozen=True, slots=True)
class Item:
    """A worker, and when it is launched; or a ``flow``, and when runs of it begin.

    A flow has no module and no arguments: its ``parameters`` may name ``{schedule.time}``.
    ``within`` is the most seconds that a launch may be late, None where the file sets no limit;
    ``made_up_within`` the same for launches that were missed. ``jitter`` is the most seconds by
    which a launch is put off, by chance, to keep many from starting at once.
    """

    name: str
    module: str
    worker: str
    arguments: tuple[str, ...]
    timing: Timing
    words: str
    zone: ZoneInfo
    catch_up: CatchUp = "last"
    within: float | None = None
    made_up_within: float | None = _USUAL_LIMIT
    jitter: float = 0.0
    path: KeyPath = ()
    flow: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words_of_command(self) -> str:
        """Say what is launched: a worker with its arguments, or a flow."""
        return f"flow {self.flow}" if self.flow else " ".join((self.worker, *self.arguments))

    def delay(self, nominal: datetime) -> float:
        """Give the seconds by which the launch of that time is put off: always the same."""
        if not self.jitter:
            return 0.0
        draw = hashlib.sha256(f"{self.name} {nominal.isoformat()}".encode()).digest()
        return int.from_bytes(draw[:7]) / (1 << 56) * self.jitter

    def request_id(self, nominal: datetime) -> str:
        """Give the id of the request to launch it for that time: there is only one."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()[:16]
        return f"schedule-{digest}-{nominal.astimezone(UTC):%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The items that can be used, and the mistakes of the others."""

    items: tuple[Item, ...]
    findings: tuple[Finding, ...]


def schedule_of(config: Mapping[str, Any], flows: Iterable[Item] = ()) -> Schedule:
    """Read the section of a configuration. Raises nothing for a bad one: see ``findings``.

    ``flows`` are items of flows, which get their names here, too.
    """
    findings: list[Finding] = []
    items: list[tuple[KeyPath, Item]] = [(item.path, item) for item in flows]
    for path, module, settings in _entries(config.get(SECTION), findings):
        item, wrong = _item(path, module, settings)
        findings += wrong
        if item is not None:
            items.append((path, item))
    return Schedule(_named(items, findings), tuple(findings))


def times_of_flow(settings: Mapping[Any, Any], path: KeyPath) -> tuple[Item | None, list[Finding]]:
    """Read the ``schedule`` that begins a flow; the item, of no name, is None for a wrong one."""
    return _right(_Reading(path, settings, TIME_KEYS), "")


def _entries(section: Any, findings: list[Finding]) -> Iterator[tuple[KeyPath, Any, Any]]:
    if section is None:
        return
    if not isinstance(section, list):
        findings.append(
            Finding((SECTION,), "must be a list of items", hint="- my.worker: {every: day}")
        )
        return
    for index, entry in enumerate(section):
        path = (SECTION, Index(index))
        if not isinstance(entry, dict) or not entry:
            findings.append(
                Finding(
                    path,
                    "must be a worker with its times",
                    hint="- my.worker: {every: day, at: '05:15'}",
                )
            )
            continue
        for module, settings in entry.items():
            yield (*path, module), module, settings


def _item(path: KeyPath, module: Any, settings: Any) -> tuple[Item | None, list[Finding]]:
    if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
        return None, [Finding(path, "must be a worker, or the dotted name of its module")]
    if not isinstance(settings, dict):
        return None, [Finding(path, "must hold keys with values", hint="every: day, at: '05:15'")]
    return _right(_Reading(path, settings, KEYS), module)


def _right(reading: _Reading, module: str) -> tuple[Item | None, list[Finding]]:
    item = reading.item(module)
    wrong = [finding for finding in reading.findings if finding.severity == "error"]
    return (None if wrong else item), reading.findings


class _Reading:
    """Reads the keys of one item; collects what is wrong with each."""

    def __init__(self, path: KeyPath, settings: Mapping[Any, Any], known: Collection[str]) -> None:
        self._path = path
        self._settings = settings
        self.findings = list(self._unknown_keys(known))

    def item(self, module: str) -> Item | None:
        zone = self._zone()
        timing = self._timing(zone)
        catch_up, within = self._catch_up(), self._duration("within")
        jitter = self._duration("jitter") or 0.0
        arguments, name = self._arguments(), self._name()
        if zone is None or timing is None:
            return None
        if isinstance(timing[0], Interval) and jitter >= timing[0].seconds:
            self._wrong("jitter", "must be shorter than the interval, or launches get in a jam")
        limit = within if within is not None or catch_up is not None else _USUAL_LIMIT
        return Item(
            name=name or "",
            module=module,
            worker=module.rpartition(".")[2],
            arguments=arguments,
            timing=timing[0],
            words=timing[1],
            zone=zone,
            catch_up=catch_up or "last",
            within=within,
            made_up_within=limit,
            jitter=jitter,
            path=self._path,
        )

    def _wrong(self, key: str | None, message: str, hint: str | None = None) -> None:
        here = key is not None and key in self._settings
        self.findings.append(
            Finding((*self._path, key) if here else self._path, message, hint=hint)
        )

    def _unknown_keys(self, known: Collection[str]) -> Iterator[Finding]:
        for key in self._settings:
            if key not in known:
                yield Finding(
                    (*self._path, key),
                    "is not a key of a scheduled item" + did_you_mean(str(key), known),
                    severity="warning",
                    hint=f"its keys are: {', '.join(known)}",
                )

    def _zone(self) -> ZoneInfo | None:
        name = self._settings.get("time zone")
        try:
            if name is None:
                return local_zone()
            if not isinstance(name, str):
                raise ValueError(f"must be a name such as 'America/Vancouver', not {name!r}")
            return named_zone(name)
        except ValueError as error:
            self._wrong("time zone", str(error))
        except ConfigError as error:
            self._wrong(None, f"{error.what}: {error.cause}", error.hint)
        return None

    def _timing(self, zone: ZoneInfo | None) -> tuple[Timing, str] | None:
        try:
            return read_timing(self._settings, zone or ZoneInfo("UTC"))
        except WrongTiming as error:
            self._wrong(error.key, error.message, error.hint)
        return None

    def _catch_up(self) -> CatchUp | None:
        value = self._settings.get("catch up")
        if value is not None and value not in get_args(CatchUp):
            self._wrong("catch up", f"must be none, last or all, not {value!r}")
        return value if value in get_args(CatchUp) else None

    def _duration(self, key: str) -> float | None:
        value = self._settings.get(key)
        try:
            return None if value is None else seconds_of(value)
        except NotADuration as error:
            self._wrong(key, str(error))
        return None

    def _arguments(self) -> tuple[str, ...]:
        value = self._settings.get("cmd line opts")
        try:
            if isinstance(value, int | float) and not isinstance(value, bool):
                value = str(value)
            if value is None or isinstance(value, str):
                return tuple(shlex.split(value or ""))
            self._wrong("cmd line opts", f"must be text, not {value!r}")
        except ValueError:
            self._wrong("cmd line opts", f"{value!r} has a quote without its partner")
        return ()

    def _name(self) -> str | None:
        value = self._settings.get("name")
        if value is None or (isinstance(value, str) and value.strip() and value.isprintable()):
            return None if value is None else value.strip()
        self._wrong("name", f"must be text, not {value!r}", "put it in quotes")
        return None


def _named(items: list[tuple[KeyPath, Item]], findings: list[Finding]) -> tuple[Item, ...]:
    """Give each item its name: its own, or the shortest that tells it from the others."""
    unnamed = [_usual_names(item) for _, item in items if not item.name]
    named: dict[str, Item] = {}
    for path, item in items:
        usual = _usual_names(item)
        several = [sum(usual[depth] in names for names in unnamed) > 1 for depth in range(3)]
        name = item.name or usual[several.index(False) if False in several else 2]
        if name not in named:
            named[name] = replace(item, name=name)
        elif item.name:
            findings.append(Finding((*path, "name"), f"another item is named {name!r}, too"))
        else:
            findings.append(
                Finding(path, f"another item is {name!r}, too", hint="give this one a `name`")
            )
    return tuple(named.values())


def _usual_names(item: Item) -> tuple[str, str, str]:
    """Give what an item without a name may be called, the shortest first."""
    words = item.words.removeprefix("every ").replace(" at ", " ")
    name = f"flow:{item.flow}" if item.flow else item.worker
    timed = f"{name}-{'-'.join(words.split())}"
    return name, timed, "-".join((timed, *item.arguments))
