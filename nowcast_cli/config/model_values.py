"""Values of nowcast.yaml, each with its check and its form in the schema."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from nowcast_cli.config.durations import NotADuration, seconds_of


def is_port(value: Any) -> bool:
    """Whether a value is a port; digits in quotes are one, as they end up in an address."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _port(value: Any) -> int:
    if not is_port(value):
        raise PydanticCustomError("port", "must be a port from 1 to 65535")
    return int(value)


def _logging_port(value: Any) -> Any:
    for item in value if isinstance(value, list) else [value]:
        host, colon, port = item.rpartition(":") if isinstance(item, str) else ("", "", item)
        if not is_port(port) or (colon and not host):
            raise PydanticCustomError("port", "must be a port, 'host:port', or a list of those")
    return value


def _workers_to_notify(value: Any) -> Any:
    texts = value if isinstance(value, list) else [value]
    if value is not None and not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("workers", "must be a list of workers, or an address")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _address(value: str) -> str:
    if "://" not in value and "$(NOWCAST.ENV." not in value:
        raise PydanticCustomError(
            "address", "must be an address such as mailto://… or $(NOWCAST.ENV.NAME)"
        )
    return value


def _duration(value: Any) -> Any:
    try:
        seconds_of(value)
    except NotADuration as error:
        raise PydanticCustomError("duration", str(error)) from None
    return value


def no_handlers(value: Any) -> Any:
    """Take an empty list for no handlers."""
    return {} if value == [] else value


def _dotted_name(value: str) -> str:
    if not all(part.isidentifier() for part in value.split(".")):
        raise PydanticCustomError("module", "must be the dotted name of a Python module")
    return value


def key_of_a_mapping(value: Any) -> Any:
    """Refuse what cannot be a key of the checklist."""
    if isinstance(value, list | dict | set):
        raise PydanticCustomError("checklist_key", "must be text or a number")
    return value


Port = Annotated[
    int, BeforeValidator(_port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})
]
_LOCAL_OR_REMOTE = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": ":[0-9]+$"}]}
LoggingPort = Annotated[
    Any,
    AfterValidator(_logging_port),
    WithJsonSchema(
        {"anyOf": [*_LOCAL_OR_REMOTE["anyOf"], {"type": "array", "items": _LOCAL_OR_REMOTE}]}
    ),
]
WorkersToNotify = Annotated[
    Any,
    AfterValidator(_workers_to_notify),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Addresses = Annotated[
    list[Annotated[str, AfterValidator(_address)]],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Duration = Annotated[
    Any,
    AfterValidator(_duration),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
]
Module = Annotated[str, AfterValidator(_dotted_name)]
Seconds = Annotated[float, Field(gt=0)]
