"""Holds the data of a configuration against the model, and says in sentences what differs."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nowcast_cli.config import model, model_workers
from nowcast_cli.config.command_step import STEP_KEYS
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.hints import closest, did_you_mean
from nowcast_cli.config.positions import Index, KeyPath

EACH = object()  # stands for any key, or any item, in the paths below

# The sections of the file, for the keys that each one knows.
SECTIONS: dict[tuple[Any, ...], type[BaseModel]] = {
    (): model.NowcastYaml,
    ("zmq",): model.Zmq,
    ("zmq", "ports"): model.Ports,
    ("message registry",): model.MessageRegistry,
    ("message registry", "workers", EACH): model_workers.WorkerRegistration,
    ("messages",): model.MessageDelivery,
    ("next workers",): model.NextWorkersSettings,
    ("jobs",): model.JobsSettings,
    ("notify", EACH): model.NotifyTarget,
    ("logs",): model.LogsSettings,
    ("retention",): model.RetentionSettings,
    ("limits",): model.LimitsSettings,
    ("run",): model.Run,
    ("run", "enabled hosts", EACH): model.RemoteHost,
    ("logging",): model.Logging,
    ("logging", "aggregator"): model.LoggingLayout,
    ("logging", "publisher"): model.LoggingLayout,
}
REMEDIES: dict[KeyPath, str] = {
    ("zmq",): "write zmq: {host: localhost, ports: {workers: 5555, manager: 5556}}",
    ("zmq", "ports"): "write ports: {workers: 5555, manager: 5556}",
    ("zmq", "ports", "workers"): "choose a free port, for example 5555",
    ("zmq", "ports", "manager"): "choose a free port, for example 5556",
    ("message registry",): "name the workers of the system, with the messages that they send",
}


def model_findings(data: dict[Any, Any]) -> Iterator[Finding]:
    """Find keys that are missing or unknown, and values of the wrong form."""
    doubts = [
        doubt
        for pattern, section in SECTIONS.items()
        for path, value in _matches(data, pattern, ())
        if isinstance(value, dict)
        for doubt in _probable_typos(value, section, path)
    ]
    misspelt = {doubt.path for doubt in doubts}
    try:
        model.NowcastYaml.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            finding = _finding(details, data)
            if finding is not None:  # another value is no remedy for a key that is misspelt
                yield replace(finding, hint=None) if finding.path in misspelt else finding
    yield from doubts


def known_keys(section: type[BaseModel]) -> list[str]:
    """Name the keys of a section as they are written in the file."""
    return [str(info.alias or name) for name, info in section.model_fields.items()]


def _probable_typos(
    value: dict[Any, Any], section: type[BaseModel], path: KeyPath
) -> Iterator[Finding]:
    """Doubt keys that look like a known one that is not there; others are the user's own."""
    if section.model_config.get("extra") == "forbid":
        return
    known = known_keys(section)
    if section is model_workers.WorkerRegistration and "command" not in value:
        known = [key for key in known if key == "command" or key not in STEP_KEYS]
    absent = [key for key in known if key not in value]
    for key in value:
        if isinstance(key, str) and key not in known and closest(key, absent):
            yield Finding(
                (*path, key),
                "is not a key that nowcast knows" + did_you_mean(key, absent),
                severity="warning",
            )


def _matches(data: Any, pattern: tuple[Any, ...], path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not pattern:
        yield path, data
    elif pattern[0] is EACH:
        items: Iterable[tuple[Any, Any]] = data.items() if isinstance(data, dict) else ()
        if isinstance(data, list):
            items = [(Index(index), item) for index, item in enumerate(data)]
        for key, value in items:
            yield from _matches(value, pattern[1:], (*path, key))
    elif isinstance(data, dict) and pattern[0] in data:
        yield from _matches(data[pattern[0]], pattern[1:], (*path, pattern[0]))


def _finding(details: ErrorDetails, data: dict[Any, Any]) -> Finding | None:
    kind, value = details["type"], details["input"]
    path = _path(details["loc"], data)
    if kind == "invalid_key" or details["loc"][-1:] == ("[key]",):
        return _bad_key(path)
    if kind == "missing":
        return Finding(path, "is missing", hint=REMEDIES.get(path))
    if kind == "extra_forbidden":
        known = known_keys(_section_at(path[:-1]))
        words = "is not a key of this section" + did_you_mean(str(path[-1]), known)
        return Finding(path, words, hint=f"its keys are: {', '.join(known)}")
    return Finding(path, _sentence(details), hint=_remedy(kind, value, path))


def _section_at(path: KeyPath) -> type[BaseModel]:
    return next(
        section
        for pattern, section in SECTIONS.items()
        if len(pattern) == len(path)
        and all(step in (EACH, key) for step, key in zip(pattern, path, strict=True))
    )


def _bad_key(path: KeyPath) -> Finding | None:
    """Blame keys that are no text where a name is meant; users may have any keys of their own."""
    if path[0] not in (
        "message registry", "slack notifications", "notify",
    ):  # fmt: skip
        return None
    words = f"the key is read as {shown(path[-1])}, not as text"
    return Finding(path, words, hint="put the key in quotes")


def _sentence(details: ErrorDetails) -> str:
    value = details["input"]
    expected = {
        "string_type": "text",
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "keys with values",
        "model_type": "keys with values",
        "model_attributes_type": "keys with values",
    }.get(details["type"])
    context = details.get("ctx", {})
    if expected == "keys with values":
        return f"must hold keys with values, not {shown(value)}"
    if expected is not None:
        return f"must be {expected}, not {shown(value)}"
    if details["type"] == "literal_error":
        return f"must be {context['expected']}, not {shown(value)}"
    if details["type"] == "greater_than":
        return f"must be above {context['gt']:g}, not {shown(value)}"
    if details["type"] == "string_too_short":
        return "must not be empty"
    if details["type"] == "too_short":
        return "must not be empty"
    if details["type"] in ("port", "module", "workers", "address"):
        return f"{details['msg']}, not {shown(value)}"
    return details["msg"]


def _remedy(kind: str, value: Any, path: KeyPath) -> str | None:
    if kind == "string_type" and isinstance(value, int | float | datetime.date):
        return "put it in quotes"
    return REMEDIES.get(path) if value is None else None


def _path(location: tuple[int | str, ...], data: Any) -> KeyPath:
    """Turn pydantic's location into a path of the file, where items of lists are told apart."""
    path: list[Any] = []
    for step in location:
        if step == "[key]":
            break
        if isinstance(data, list) and isinstance(step, int):
            path.append(Index(step))
            data = data[step] if step < len(data) else None
        elif isinstance(data, str):
            break  # one text that stands for a list of one
        else:
            keys = data if isinstance(data, dict) else {}
            path.append(next((key for key in keys if key == step), step))  # False for a 0
            data = keys.get(step) if keys else None
    return tuple(path)


def shown(value: Any) -> str:
    """Show a value in a sentence, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, datetime.date):
        return f"the date {value}"
    text = f"the list {value!r}" if isinstance(value, list) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
