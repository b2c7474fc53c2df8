"""Mistakes in a ``logging`` section that dictConfig would stumble over. Pure."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.hints import did_you_mean

_OF_ANY_HANDLER = ("class", "level", "formatter", "filters", ".")
_NEEDED = frozenset(("filename", "host", "port", "url", "mailhost"))


def logging_findings(section: Any) -> Iterator[Finding]:
    """Check names that refer to each other, classes and levels, in either layout."""
    if not isinstance(section, dict):
        return
    yield from _layout(section, ("logging",))
    for name in ("aggregator", "publisher"):
        if isinstance(section.get(name), dict):
            yield from _layout(section[name], ("logging", name))


def _layout(layout: dict[Any, Any], path: tuple[Any, ...]) -> Iterator[Finding]:
    formatters = _mapping(layout.get("formatters"))
    handlers = _mapping(layout.get("handlers"))
    filters = _mapping(layout.get("filters"))
    for name, handler in handlers.items():
        if isinstance(handler, dict):
            here = (*path, "handlers", name)
            yield from _handler(handler, here)
            yield from _reference(handler, "formatter", formatters, here)
            yield from _references(handler, "filters", filters, here)
    loggers: list[tuple[tuple[Any, ...], Any]] = [(("root",), layout.get("root"))]
    loggers += [(("loggers", name), it) for name, it in _mapping(layout.get("loggers")).items()]
    for where, logger in loggers:
        if isinstance(logger, dict):
            here = (*path, *where)
            yield from _level(logger, here)
            yield from _references(logger, "handlers", handlers, here)
            yield from _references(logger, "filters", filters, here)


def _handler(handler: dict[Any, Any], path: tuple[Any, ...]) -> Iterator[Finding]:
    yield from _level(handler, path)
    if "class" not in handler and "()" not in handler:
        yield Finding(
            (*path, "class"),
            "is missing",
            hint="name a handler, for example logging.handlers.WatchedFileHandler",
        )
    name = handler.get("class")
    if isinstance(name, str) and name.startswith("logging."):
        yield from _handler_of_logging(name, handler, path)


def _handler_of_logging(
    name: str, handler: dict[Any, Any], path: tuple[Any, ...]
) -> Iterator[Finding]:
    """Check a class of the standard library: that it exists, and takes what it is given."""
    import inspect

    known = _handlers_of_logging()
    if name not in known:
        words = f"there is no handler {name}" + did_you_mean(name, known)
        yield Finding((*path, "class"), words)
        return
    parameters = inspect.signature(known[name]).parameters
    # dictConfig itself takes care of `queue`, `listener` and `handlers`, where there are any
    taken = {*parameters, *_OF_ANY_HANDLER, "queue", "listener", "handlers"}
    for key in handler:
        if key not in taken:
            words = f"is not an argument of {name}" + did_you_mean(str(key), parameters)
            yield Finding((*path, key), words)
    for parameter in parameters.values():
        if parameter.default is inspect.Parameter.empty and parameter.name in _NEEDED - {*handler}:
            yield Finding((*path, parameter.name), f"is missing: {name} needs it")


def _handlers_of_logging() -> dict[str, type[logging.Handler]]:
    import logging.handlers

    return {
        f"{module.__name__}.{name}": found
        for module in (logging, logging.handlers)
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, logging.Handler)
    }


def _level(holder: dict[Any, Any], path: tuple[Any, ...]) -> Iterator[Finding]:
    level = holder.get("level")
    names = logging.getLevelNamesMapping()
    if level is None or (isinstance(level, int) and not isinstance(level, bool)):
        return
    if level not in names:
        yield Finding(
            (*path, "level"),
            f"{level!r} is not a level" + did_you_mean(str(level), names),
            hint="DEBUG, INFO, WARNING, ERROR or CRITICAL",
        )


def _reference(
    holder: dict[Any, Any], key: str, known: Collection[Any], path: tuple[Any, ...]
) -> Iterator[Finding]:
    name = holder.get(key)
    if isinstance(name, str) and name not in known:
        yield Finding((*path, key), _no_such(key, name, known))


def _references(
    holder: dict[Any, Any], key: str, known: Collection[Any], path: tuple[Any, ...]
) -> Iterator[Finding]:
    names = holder.get(key)
    if names is None:
        return
    if not isinstance(names, list):
        yield Finding((*path, key), f"must be a list, not {names!r}", hint=f"write [{names}]")
        return
    for name in names:
        if isinstance(name, str) and name not in known:
            yield Finding((*path, key), _no_such(key.rstrip("s"), name, known))


def _no_such(kind: str, name: str, known: Collection[Any]) -> str:
    return f"there is no {kind} {name!r}" + did_you_mean(name, [str(item) for item in known])


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
