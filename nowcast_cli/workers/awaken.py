"""Say good morning: what follows the sleep worker in the toy system."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from nowcast_cli.worker.nowcast_worker import NowcastWorker

NAME = "awaken"
logger = logging.getLogger(NAME)


def main() -> NowcastWorker:
    """Set up the worker and run it."""
    worker = NowcastWorker(NAME, description=__doc__, package="nowcast_cli.workers")
    worker.init_cli()
    worker.run(awaken, success, failure)
    return worker


def success(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.info("awoke")
    return "success"


def failure(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.critical("failed to awaken")
    return "failure"


def awaken(_parsed_args: Namespace, _config: Mapping[str, Any], *_args: Any) -> dict[str, bool]:
    """Give what is to stand in the checklist."""
    return {"awake": True}


if __name__ == "__main__":
    main()
