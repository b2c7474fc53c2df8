"""What is too much: the section ``limits``, read where messages are sent and where they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.sizes import NotASize, bytes_of
from nowcast_cli.errors import ConfigError

if TYPE_CHECKING:  # every worker loads this module, and few have a mistake to tell of
    from nowcast_cli.config.findings import Finding

# Past this YAML's parser, written in C, and Python's recursion come to their own ends.
DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a system, sizes in bytes.

    Parameters
    ----------
    message_size
        The longest message, as it travels.
    payload_depth
        Levels of mappings and lists within each other, at most ``DEEPEST``.
    payload_values
        Values of a message, keys too, once aliases are followed.
    waiting_messages, waiting_size
        What the message broker keeps of requests without an answer, and their bytes together.
    """

    message_size: int = 32_000_000
    payload_depth: int = DEEPEST
    payload_values: int = 1_000_000
    waiting_messages: int = 10_000
    waiting_size: int = 512_000_000


DEFAULTS = Limits()
KEYS = tuple(field.name.replace("_", " ") for field in fields(Limits))


def limits(config: Mapping[str, Any]) -> Limits:
    """Read ``limits``. Raises ConfigError that names the key of a value which cannot be."""
    section = config.get("limits") or {}
    for finding in _form_findings(section):
        where = ".".join(str(step) for step in finding.path)
        raise ConfigError(
            f"{where}: {finding.message}", hint=finding.hint or "nowcast validate says where"
        )
    given = {key: value for key, value in section.items() if value is not None}
    return Limits(**{_field(key): _read(key, value) for key, value in given.items()})


def limit_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find mistakes in the values of ``limits`` that their form does not show."""
    if isinstance(config.get("limits"), Mapping):
        yield from _values(config["limits"])


def _form_findings(section: Any) -> Iterator[Finding]:
    if not section and isinstance(section, Mapping):
        return
    from nowcast_cli.config.findings import Finding

    if not isinstance(section, Mapping):
        yield Finding(("limits",), f"must hold keys with values, not {section!r}")
        return
    for key in section:
        if key not in KEYS:
            words = "is not a key of this section"
            yield Finding(("limits", key), words, hint=f"its keys are: {', '.join(KEYS)}")
    yield from _values(section)


def _values(section: Mapping[str, Any]) -> Iterator[Finding]:
    for key in KEYS:
        if section.get(key) is not None:
            try:
                _read(key, section[key])
            except ValueError as error:
                from nowcast_cli.config.findings import Finding

                yield Finding(("limits", key), str(error))


def _field(key: str) -> str:
    return key.replace(" ", "_")


def _read(key: str, value: Any) -> int:
    """Give the number that is meant. Raises ValueError."""
    if key.endswith("size"):
        return _not_tiny(bytes_of(value), value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"must be a whole number from 1, not {value!r}")
    if key == "payload depth" and value > DEEPEST:
        raise ValueError(f"must be at most {DEEPEST}, not {value}")
    return value


def _not_tiny(size: int, value: Any) -> int:
    if size < 10_000:  # below that, requests of nowcast itself would not fit
        raise NotASize(f"must be at least '10 kB', not {value!r}")
    return size
