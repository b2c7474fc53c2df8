"""``action workers`` and ``action memory``: the processes in which actions are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.sizes import NotASize, bytes_of
from nowcast_cli.errors import ConfigError

if TYPE_CHECKING:
    from nowcast_cli.config.findings import Finding

NUMBER_KEY = "action workers"
MEMORY_KEY = "action memory"
DEFAULT_NUMBER = 2
DEFAULT_MEMORY = 1_000_000_000  # bytes
MOST = 64
_ACTIONS_FILE = "actions.ini"


@dataclass(frozen=True, slots=True)
class ActionWorkerSettings:
    """How many action workers there are, and by how many bytes each may grow."""

    number: int = DEFAULT_NUMBER
    memory: int = DEFAULT_MEMORY


def action_worker_settings(config: Mapping[str, Any]) -> ActionWorkerSettings:
    """Read them. Raises ConfigError that names the key of a value which cannot be."""
    try:
        number = _number(config.get(NUMBER_KEY))
        memory = _memory(config.get(MEMORY_KEY))
    except _BadValue as error:
        raise ConfigError(f"{error.key}: {error}", hint="nowcast validate says where") from None
    return ActionWorkerSettings(DEFAULT_NUMBER if number is None else number, memory)


def wants_action_workers(config: Mapping[str, Any]) -> bool:
    """Tell whether a system has action workers: as it says, or as ``actions.ini`` maps anything.

    That file is looked for beside the one that ``config`` was loaded from, if it was.
    """
    said = config.get(NUMBER_KEY)
    if said is not None:
        return bool(said != 0)
    file: Path | None = getattr(config, "file", None)
    return file is not None and _maps_anything(file.parent / _ACTIONS_FILE)


def action_worker_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find mistakes in their values."""
    for key, read in ((NUMBER_KEY, _number), (MEMORY_KEY, _memory)):
        try:
            read(config.get(key))
        except _BadValue as error:
            from nowcast_cli.config.findings import Finding

            yield Finding((key,), str(error))


class _BadValue(ValueError):
    def __init__(self, key: str, words: str) -> None:
        super().__init__(words)
        self.key = key


def _number(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= MOST):
        return value
    raise _BadValue(NUMBER_KEY, f"must be a whole number from 0 to {MOST}, not {value!r}")


def _memory(value: Any) -> int:
    try:
        return DEFAULT_MEMORY if value is None else bytes_of(value)
    except NotASize as error:
        raise _BadValue(MEMORY_KEY, str(error)) from None


def _maps_anything(file: Path) -> bool:
    """Look for a line that is a mapping; what is wrong with it is for others to say."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any("=" in line and not line.lstrip().startswith(("#", ";")) for line in lines)
