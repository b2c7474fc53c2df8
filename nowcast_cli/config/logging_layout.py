"""Turns the ``logging`` section into what one process of the system hands to dictConfig. Pure.

Two layouts are read: a plain dictConfig, and the pair ``aggregator``/``publisher`` of a
distributed system. Of a pair, a process on the broker's host takes both: the publisher's handlers
except those that send over the network, and the aggregator's, which write the system's log files.
A process on another host takes the publisher's alone, and publishes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

DEFAULT_FORMAT = "%(asctime)s %(levelname)s [%(name)s] %(message)s"
ROTATING = frozenset(
    {"logging.handlers.RotatingFileHandler", "logging.handlers.TimedRotatingFileHandler"}
)
ONLY_ROTATING = frozenset({"maxBytes", "backupCount", "when", "interval", "utc", "atTime"})
LOGGER_NAME = "nowcast logger name"
_SENDING = "nowcast records"

Section = dict[str, Any]


class LoggerName(logging.Filter):
    """Gives ``%(logger_name)s`` of an aggregator's format its value in any process."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the name, and let the record pass."""
        if not hasattr(record, "logger_name"):
            record.logger_name = record.name
        return True


def process_logging(section: Any, logs: Path, *, rotate: bool, debug: bool) -> Section:
    """Give the dictConfig of one process.

    ``rotate`` keeps handlers that rotate their files; all other processes watch for the
    rotation instead. ``debug`` leaves the console alone as the place of messages.
    """
    section = section if isinstance(section, dict) else default_section(logs)
    layout = _merged(section) if is_distributed(section) else _normal(section)
    layout = _without_network(layout)
    if debug:
        return _console_only(layout)
    handlers = {
        name: _with_logger_name(handler if rotate else _watching(handler))
        for name, handler in layout["handlers"].items()
    }
    filters = {**layout.get("filters", {}), LOGGER_NAME: {"()": LoggerName}}
    return {**layout, "handlers": handlers, "filters": filters}


def publishing_logging(section: Any, publishing: Callable[[], logging.Handler]) -> Section:
    """Give the dictConfig of a process that publishes by a handler that ``publishing`` makes."""
    layout = _normal(section.get("publisher") or {})
    handlers = {
        name: _through(publishing, handler) if _publishes(handler) else _watching(handler)
        for name, handler in layout["handlers"].items()
    }
    formatters = {
        **(layout.get("formatters") or {}),
        "nowcast published": {"format": "%(message)s"},
    }
    return {
        **layout,
        "formatters": formatters,
        "handlers": {name: _with_logger_name(handler) for name, handler in handlers.items()},
        "filters": {**(layout.get("filters") or {}), LOGGER_NAME: {"()": LoggerName}},
    }


def sending_logging(section: Any, logs: Path, sending: Callable[[], logging.Handler]) -> Section:
    """Give the dictConfig of a process that sends its records to the log aggregator.

    One handler that ``sending`` makes takes the place of all but those that print: what they do
    with a record is done once, by the aggregator.
    """
    layout = process_logging(section, logs, rotate=False, debug=False)
    printing = {name: handler for name, handler in layout["handlers"].items() if _prints(handler)}
    others = [handler for name, handler in layout["handlers"].items() if name not in printing]
    if not others:
        return layout
    level = min((handler.get("level", logging.NOTSET) for handler in others), key=_level_number)

    def replaced(logger: Section) -> Section:
        names = logger.get("handlers") or ()
        kept = [name for name in names if name in printing]
        return {**logger, "handlers": kept if len(kept) == len(names) else [*kept, _SENDING]}

    return {
        **layout,
        "handlers": {**printing, _SENDING: {"()": sending, "level": level}},
        "loggers": {k: replaced(v) for k, v in (layout.get("loggers") or {}).items()},
        "root": replaced(layout.get("root") or {}),
    }


def publishes(section: Any) -> bool:
    """Whether the processes of a distributed system are to publish their logs over ZeroMQ."""
    publisher = section.get("publisher") if isinstance(section, dict) else None
    handlers = publisher.get("handlers") if isinstance(publisher, dict) else None
    return isinstance(handlers, dict) and any(map(_publishes, handlers.values()))


def is_distributed(section: Mapping[str, Any]) -> bool:
    """Whether a section is the pair of an aggregator's and a publisher's layout."""
    return isinstance(section.get("publisher"), dict) or isinstance(section.get("aggregator"), dict)


def default_section(logs: Path) -> Section:
    """Log INFO and above to ``nowcast.log``, and to nothing else."""
    return {
        "formatters": {"simple": {"format": DEFAULT_FORMAT}},
        "handlers": {
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "simple",
                "filename": str(logs / "nowcast.log"),
                "backupCount": 7,
            }
        },
        "root": {"level": "INFO", "handlers": ["file"]},
    }


def _normal(section: Any) -> Section:
    """Fill in what dictConfig insists on."""
    layout: Section = {"disable_existing_loggers": False, **section, "version": 1}
    if not isinstance(layout.get("handlers"), dict):
        layout["handlers"] = {}
    return layout


def _merged(section: Mapping[str, Any]) -> Section:
    """Make one layout of two; names are prefixed, so that they cannot meet."""
    parts = {name: _normal(section.get(name) or {}) for name in ("publisher", "aggregator")}
    loggers: dict[str, list[Section]] = {}
    for prefix, part in parts.items():
        for name, logger in (part.get("loggers") or {}).items():
            loggers.setdefault(name, []).append(_renamed_logger(prefix, logger))
    roots = [_renamed_logger(prefix, part.get("root") or {}) for prefix, part in parts.items()]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": _prefixed(parts, "formatters"),
        "filters": _prefixed(parts, "filters"),
        "handlers": {
            f"{prefix}.{name}": _renamed_handler(prefix, handler)
            for prefix, part in parts.items()
            for name, handler in part["handlers"].items()
        },
        "loggers": {name: _joined(several) for name, several in loggers.items()},
        "root": _joined(roots),
    }


def _prefixed(parts: Mapping[str, Section], kind: str) -> Section:
    return {
        f"{prefix}.{name}": value
        for prefix, part in parts.items()
        for name, value in (part.get(kind) or {}).items()
    }


def _renamed_handler(prefix: str, handler: Section) -> Section:
    renamed = dict(handler)
    if "formatter" in renamed:
        renamed["formatter"] = f"{prefix}.{renamed['formatter']}"
    if "filters" in renamed:
        renamed["filters"] = [f"{prefix}.{name}" for name in renamed["filters"]]
    return renamed


def _renamed_logger(prefix: str, logger: Section) -> Section:
    renamed = dict(logger)
    for kind in ("handlers", "filters"):
        if kind in renamed:
            renamed[kind] = [f"{prefix}.{name}" for name in renamed[kind] or ()]
    return renamed


def _joined(loggers: Iterable[Section]) -> Section:
    """Join settings of one logger: all handlers, and the level that lets the most through."""
    joined: Section = {}
    levels = []
    for logger in loggers:
        if "level" in logger:
            levels.append(logger["level"])
        for kind in ("handlers", "filters"):
            joined.setdefault(kind, []).extend(logger.get(kind, ()))
        if "propagate" in logger:
            joined.setdefault("propagate", logger["propagate"])
    if levels:
        joined["level"] = min(levels, key=_level_number)
    return joined


def _level_number(level: int | str) -> int:
    if isinstance(level, int):
        return level
    return logging.getLevelNamesMapping().get(level, logging.NOTSET)


def _without_network(layout: Section) -> Section:
    """Drop handlers that publish over ZeroMQ, wherever they are named."""
    dropped = {name for name, handler in layout["handlers"].items() if _publishes(handler)}
    if not dropped:
        return layout

    def kept(logger: Section) -> Section:
        handlers = [name for name in logger.get("handlers") or () if name not in dropped]
        return {**logger, "handlers": handlers}

    return {
        **layout,
        "handlers": {k: v for k, v in layout["handlers"].items() if k not in dropped},
        "loggers": {k: kept(v) for k, v in (layout.get("loggers") or {}).items()},
        "root": kept(layout.get("root") or {}),
    }


def _prints(handler: Any) -> bool:
    kind = handler.get("class") if isinstance(handler, dict) else None
    return kind in ("logging.StreamHandler", "logging.NullHandler")


def _publishes(handler: Any) -> bool:
    kind = handler.get("class", handler.get("()")) if isinstance(handler, dict) else None
    return str(kind).startswith("zmq.")


def _through(publishing: Callable[[], logging.Handler], handler: Section) -> Section:
    """Have a handler of ours take the place of one that publishes."""
    kept: Section = {key: handler[key] for key in ("level", "filters") if key in handler}
    return {**kept, "()": publishing, "formatter": "nowcast published"}


def _watching(handler: Section) -> Section:
    """Write to a file that another process rotates."""
    if handler.get("class") not in ROTATING:
        return handler
    kept = {key: value for key, value in handler.items() if key not in ONLY_ROTATING}
    return {**kept, "class": "logging.handlers.WatchedFileHandler"}


def _with_logger_name(handler: Section) -> Section:
    return {**handler, "filters": [*(handler.get("filters") or ()), LOGGER_NAME]}


def _console_only(layout: Section) -> Section:
    """Keep the console's own format where it has one; silence all other handlers."""
    console = next(
        (
            handler
            for name, handler in layout["handlers"].items()
            if name.rpartition(".")[2] == "console" and "filename" not in handler
        ),
        {"class": "logging.StreamHandler", "formatter": "nowcast debug"},
    )
    formatters = {**(layout.get("formatters") or {}), "nowcast debug": {"format": DEFAULT_FORMAT}}
    return {
        "version": 1,
        "disable_existing_loggers": layout.get("disable_existing_loggers", False),
        "formatters": formatters,
        "filters": {**(layout.get("filters") or {}), LOGGER_NAME: {"()": LoggerName}},
        "handlers": {"console": _with_logger_name({**console, "level": "DEBUG"})},
        "loggers": {
            name: {**logger, "handlers": []}
            for name, logger in (layout.get("loggers") or {}).items()
        },
        "root": {"level": "DEBUG", "handlers": ["console"]},
    }
