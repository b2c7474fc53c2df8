"""How a process logs on a host that has not the system's log files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from nowcast_cli.config.config import Config
from nowcast_cli.config.log_bus import TO_AGGREGATOR, bus_port, job_records, names_a_port
from nowcast_cli.config.logging_layout import publishes, publishing_logging, sending_logging
from nowcast_cli.config.paths import system_paths

TO_SUBSCRIBERS = "publishing log messages to the log aggregator"


@dataclass(frozen=True)
class Elsewhere:
    """What such a process hands to dictConfig, and the sentence that says so in its log."""

    layout: dict[str, Any]
    words: str


def away_from_the_log_files(config: Config, name: str) -> Elsewhere | None:
    """Have the records of the process ``name`` published or sent; None where nobody takes them.

    In upstream's layout a process publishes, as long as neither ``zmq.ports.logs`` nor keys are
    written, and one of its ports is free.
    """
    from nowcast_cli.config import log_publishing
    from nowcast_cli.config.log_keeping import records_handler

    section, paths = config.get("logging"), system_paths(config)
    of_job, spool = job_records(), spool_of_records(config)
    keeping = partial(records_handler, spool, of_job)
    has_a_way = of_job is not None or bus_port(config) is not None
    if not publishes(section):
        if not has_a_way:
            return None
        return Elsewhere(sending_logging(section, paths.logs, keeping), TO_AGGREGATOR)
    # Those who subscribe to what is published show no keys.
    if has_a_way and (names_a_port(config) or config.get("security") == "curve"):
        return Elsewhere(publishing_logging(section, keeping), TO_AGGREGATOR)
    unsent = of_job or spool / f"{uuid4()}.jsonl"
    publisher = log_publishing.open_publisher(config, name, unsent)
    if publisher is not None:
        handler = partial(log_publishing.PublishingHandler, publisher, name)
        return Elsewhere(publishing_logging(section, handler), TO_SUBSCRIBERS)
    if not has_a_way:
        return None
    return Elsewhere(publishing_logging(section, keeping), TO_AGGREGATOR)


def spool_of_records(config: Config) -> Path:
    """Give the folder in which the records of processes that are no jobs wait to be sent."""
    return system_paths(config).state / "spool" / "records"
