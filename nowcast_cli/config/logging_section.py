"""Sets up the logging of one process as the ``logging`` section says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from logging import CRITICAL, getLevelNamesMapping
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config, handlers_of
from nowcast_cli.config.log_bus import is_elsewhere
from nowcast_cli.config.log_datagrams import DatagramHandler
from nowcast_cli.config.logging_layout import default_section, process_logging
from nowcast_cli.config.paths import system_paths
from nowcast_cli.config.sentry import report_errors_to_sentry
from nowcast_cli.config.settings import wants_aggregator
from nowcast_cli.errors import ConfigError, NowcastError

TO_FILES = "writing log messages to local file system"
TO_CONSOLE = "**debug mode** writing log messages to console"


def configure_logging(
    config: Config, name: str, *, rotate: bool = False, debug: bool = False
) -> str:
    """Apply the ``logging`` section to this process, and make the folders of its files.

    ``name`` is the process, as errors call it. ``rotate`` is for the one process that rotates
    log files; ``debug`` sends everything to the console and nothing to files. Gives the
    sentence for the log that says where messages go. Raises NowcastError when a log file
    cannot be written, ConfigError when the section cannot be used.
    """
    from logging.config import dictConfig

    section, paths = config.get("logging"), system_paths(config)
    elsewhere = None
    if not debug and not rotate and is_elsewhere(config):
        from nowcast_cli.config.logging_elsewhere import away_from_the_log_files

        elsewhere = away_from_the_log_files(config, name)
    try:
        if elsewhere is None:
            layout = process_logging(section, paths.logs, rotate=rotate, debug=debug)
        else:
            layout = elsewhere.layout
        _make_folders(layout)
        dictConfig(layout)
    except (ValueError, TypeError, AttributeError, ImportError, KeyError) as error:
        reason = error.__cause__ or error
        if isinstance(reason, OSError):
            raise NowcastError(
                f"{name} cannot write its log file {reason.filename}", cause=reason.strerror
            ) from None
        raise ConfigError(
            f"{config.file}: logging: {error}",
            cause=f"{name} could not set up its logging: {reason}",
            hint="nowcast validate",
        ) from None
    if not debug and not rotate and wants_aggregator(config):
        from nowcast_cli.config.log_spool import keep_what_cannot_be_written, spool_folder

        keep_what_cannot_be_written(spool_folder(paths.state))
    if not debug and elsewhere is None:
        logging.getLogger().addHandler(DatagramHandler(paths.log_records_socket))
    trouble = None if debug else report_errors_to_sentry()
    if trouble is not None:
        logging.getLogger(name).warning(trouble)
    if elsewhere is not None:
        return elsewhere.words
    return TO_CONSOLE if debug else TO_FILES


def log_files(config: Config) -> list[Path]:
    """Name the log files of a system, whether they exist yet or not, in the file's order."""
    section = config.get("logging")
    if not isinstance(section, dict):
        section = default_section(system_paths(config).logs)
    names = (handler.get("filename") for _, handler in handlers_of(section))
    return list(dict.fromkeys(Path(name) for name in names if isinstance(name, str)))


def logs_to_console(config: Config) -> bool:
    """Tell whether processes print what they log, beside writing it to files."""
    logs = system_paths(config).logs
    layout = process_logging(config.get("logging"), logs, rotate=False, debug=False)
    loggers = [layout.get("root") or {}, *(layout.get("loggers") or {}).values()]
    used = {name for logger in loggers for name in logger.get("handlers") or ()}
    return any(_prints(layout["handlers"].get(name) or {}) for name in used)


def _prints(handler: Mapping[str, Any]) -> bool:
    level = handler.get("level", 0)
    number = level if isinstance(level, int) else getLevelNamesMapping().get(level, 0)
    return handler.get("class") == "logging.StreamHandler" and number <= CRITICAL


def _make_folders(layout: dict[str, Any]) -> None:
    for handler in layout["handlers"].values():
        filename = handler.get("filename")
        if not isinstance(filename, str):
            continue
        folder = Path(filename).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NowcastError(
                f"the folder {folder} of a log file cannot be made",
                cause=error.strerror,
                hint="see `logging` in nowcast.yaml, and NOWCAST_LOGS if it is set",
            ) from None
