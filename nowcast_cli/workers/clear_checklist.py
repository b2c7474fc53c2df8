"""Ask the manager to log the checklist and to empty it, as at the end of a day's cycle."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from nowcast_cli.messages.message import Message
from nowcast_cli.worker.nowcast_worker import NowcastWorker

NAME = "clear_checklist"
logger = logging.getLogger(NAME)


def main() -> NowcastWorker:
    """Set up the worker and run it."""
    worker = NowcastWorker(NAME, description=__doc__, package="nowcast_cli.workers")
    worker.init_cli()
    worker.run(clear_checklist, success, failure)
    return worker


def success(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.info("system checklist cleared")
    return "success"


def failure(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.critical("failed to clear the system checklist")
    return "failure"


def clear_checklist(
    _parsed_args: Namespace,
    _config: Mapping[str, Any],
    tell_manager: Callable[[str], Message],
) -> None:
    """Ask for it; nothing is returned, since it would stand in the emptied checklist."""
    logger.info("asking the manager to clear the system checklist")
    tell_manager("clear checklist")


if __name__ == "__main__":
    main()
