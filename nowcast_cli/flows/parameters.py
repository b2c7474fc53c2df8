"""The parameters of a flow: their types and defaults, and values for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, get_args

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.positions import KeyPath
from nowcast_cli.flows.definition import Flow, Parameter, ParameterType
from nowcast_cli.flows.names import step_name_trouble
from nowcast_cli.flows.section_reading import SectionReading

TYPES: tuple[ParameterType, ...] = get_args(ParameterType)

_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_SWITCHES = {"true": True, "yes": True, "false": False, "no": False}


class BadParameter(ValueError):
    """A value that a parameter cannot have, one that is missing, or one that nobody asked for."""


def read_parameters(
    section: Mapping[str, Any], path: KeyPath, findings: list[Finding]
) -> tuple[Parameter, ...]:
    """Read ``parameters`` of a flow: each has a default, or a mapping with its type and more."""
    return tuple(
        _parameter(name, entry, (*path, name), findings) for name, entry in section.items()
    )


def values_of(flow: Flow, given: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Give the value of each parameter, from what was given and the defaults.

    Raises BadParameter.
    """
    known = [parameter.name for parameter in flow.parameters]
    for name in given:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise BadParameter(f"flow {flow.name} has no parameter {name!r} (it has: {listed})")
    values = {}
    for parameter in flow.parameters:
        value = given.get(parameter.name, parameter.default)
        if parameter.required and parameter.name not in given:
            raise BadParameter(f"flow {flow.name} needs a value for {parameter.name}")
        values[parameter.name] = value_of(parameter, value, today)
    return values


def value_of(parameter: Parameter, value: Any, today: date) -> Any:
    """Make of a value, or of the text that stands for it, one of the parameter's type.

    Dates become text in ISO 8601. Raises BadParameter.
    """
    if value is None and not parameter.required:
        return None
    made = _READERS[parameter.type](value, today)
    if made is None:
        raise BadParameter(
            f"{parameter.name} must be {_WORDS[parameter.type]}, not {_shown(value)}"
        )
    return made


def _parameter(name: str, entry: Any, path: KeyPath, findings: list[Finding]) -> Parameter:
    if (words := step_name_trouble(name)) is not None:
        findings.append(Finding(path, words))
    if not isinstance(entry, Mapping):
        return Parameter(name, _type_of(entry), entry, required=entry is None)
    reading = SectionReading(entry, path, findings, ("type", "default"))
    default = _type_of(reading.entry.get("default"))
    kind: ParameterType = reading.one_of("type", TYPES, default)  # type: ignore[assignment]
    given = "default" in reading.entry
    parameter = Parameter(name, kind, reading.entry.get("default"), required=not given)
    if given:
        try:
            value_of(parameter, parameter.default, date(2000, 1, 1))
        except BadParameter as error:
            reading.wrong("default", str(error))
    return parameter


def _type_of(default: Any) -> ParameterType:
    if isinstance(default, bool):
        return "switch"
    if isinstance(default, date):
        return "date"
    kinds: tuple[tuple[type, ParameterType], ...] = (
        (int, "whole"), (float, "number"), (list, "list")
    )  # fmt: skip
    found = next((kind for python, kind in kinds if isinstance(default, python)), None)
    return found or ("date" if default in _DAYS else "text")


def _text(value: Any, today: date) -> str | None:  # noqa: ARG001
    return str(value) if isinstance(value, str | int | float | date) else None


def _whole(value: Any, today: date) -> int | None:  # noqa: ARG001
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(value: Any, today: date) -> float | None:  # noqa: ARG001
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _switch(value: Any, today: date) -> bool | None:  # noqa: ARG001
    if isinstance(value, bool):
        return value
    return _SWITCHES.get(value.lower()) if isinstance(value, str) else None


def _date(value: Any, today: date) -> str | None:
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        return None
    if value in _DAYS:
        return (today + timedelta(days=_DAYS[value])).isoformat()
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None


def _list(value: Any, today: date) -> list[Any] | None:  # noqa: ARG001
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value if isinstance(value, list) else None


_READERS = {
    "text": _text,
    "whole": _whole,
    "number": _number,
    "switch": _switch,
    "date": _date,
    "path": _text,
    "list": _list,
}
_WORDS = {
    "text": "text",
    "whole": "a whole number",
    "number": "a number",
    "switch": "true or false",
    "date": "a date such as 2026-11-22, or today",
    "path": "a path",
    "list": "a list, or text with commas",
}


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
