"""Sleep for some seconds: the least that a worker can do."""

from __future__ import annotations

import logging
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from nowcast_cli.worker.nowcast_worker import NowcastWorker

NAME = "sleep"
logger = logging.getLogger(NAME)


def main() -> NowcastWorker:
    """Set up the worker and run it."""
    worker = NowcastWorker(NAME, description=__doc__, package="nowcast_cli.workers")
    worker.init_cli()
    worker.cli.add_argument(
        "--sleep-time", type=float, default=5, help="seconds to sleep; defaults to 5"
    )
    worker.run(sleep, success, failure)
    return worker


def success(parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.info("slept for %g seconds", parsed_args.sleep_time)
    return "success"


def failure(parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.critical("failed to sleep for %g seconds", parsed_args.sleep_time)
    return "failure"


def sleep(parsed_args: Namespace, _config: Mapping[str, Any], *_args: Any) -> dict[str, float]:
    """Sleep, and give the seconds for the checklist."""
    seconds = parsed_args.sleep_time
    time.sleep(seconds)
    return {"sleep time": int(seconds) if seconds == int(seconds) else seconds}


if __name__ == "__main__":
    main()
