"""How a process logs on a host that has not the system's log files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from nowcast_cli.config.config import Config
from nowcast_cli.config.log_bus import bus_port, job_records, names_a_port
from nowcast_cli.config.logging_layout import publishes, publishing_logging, sending_logging
from nowcast_cli.config.paths import system_paths
from nowcast_cli.config.settings import broker_host

TO_AGGREGATOR = "sending log messages to the log aggregator"
TO_SUBSCRIBERS = "publishing log messages to the log aggregator"


@dataclass(frozen=True)
class Elsewhere:
    """What such a process hands to dictConfig, and the sentence that says so in its log."""

    layout: dict[str, Any]
    words: str


def away_from_the_log_files(config: Config, name: str) -> Elsewhere | None:
    """Have the records of the process ``name`` published or sent; None where nobody takes them.

    In upstream's layout a process publishes, as long as ``zmq.ports.logs`` is not written and
    one of its ports is free.
    """
    from nowcast_cli.config import log_publishing
    from nowcast_cli.config.log_sending import records_handler

    section, paths = config.get("logging"), system_paths(config)
    port, of_job, spool = bus_port(config), job_records(), paths.state / "spool" / "records"
    address = None if port is None else (broker_host(config), port)
    keeping = partial(records_handler, spool, of_job, address)
    has_a_way = of_job is not None or address is not None
    if not publishes(section):
        if not has_a_way:
            return None
        return Elsewhere(sending_logging(section, paths.logs, keeping), TO_AGGREGATOR)
    if has_a_way and names_a_port(config):
        return Elsewhere(publishing_logging(section, keeping), TO_AGGREGATOR)
    unsent = of_job or spool / f"{uuid4()}.jsonl"
    publisher = log_publishing.open_publisher(config, name, unsent)
    if publisher is not None:
        handler = partial(log_publishing.PublishingHandler, publisher, name)
        return Elsewhere(publishing_logging(section, handler), TO_SUBSCRIBERS)
    if not has_a_way:
        return None
    return Elsewhere(publishing_logging(section, keeping), TO_AGGREGATOR)
