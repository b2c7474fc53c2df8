"""Begin new log files and keep the old ones under a number, as at the end of a day's cycle."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.worker.nowcast_worker import NowcastWorker

NAME = "rotate_logs"
logger = logging.getLogger(NAME)

_FOR_ALL_IN_THE_GROUP = 0o664


def main() -> NowcastWorker:
    """Set up the worker and run it."""
    worker = NowcastWorker(NAME, description=__doc__, package="nowcast_cli.workers")
    worker.init_cli()
    worker.run(rotate_logs, success, failure)
    return worker


def success(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.info("log files rotated")
    return "success"


def failure(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.critical("failed to rotate log files")
    return "failure"


def rotate_logs(parsed_args: Namespace, config: Config, *_args: Any) -> dict[str, list[str]]:
    """Rotate each file that the configuration has a rotating handler for, and give their names.

    All other processes notice that their file has been moved, and open the new one.
    """
    logger.info("rotating log files")
    configure_logging(config, NAME, rotate=True)  # here alone handlers rotate their files
    rotated = []
    for handler in _rotating_handlers():
        handler.doRollover()
        file = Path(handler.baseFilename)
        if file.exists():
            file.chmod(_FOR_ALL_IN_THE_GROUP)
        rotated.append(str(file))
    configure_logging(config, NAME, debug=parsed_args.debug)
    for name in rotated:
        logger.info("log file rotated: %s", name)
    return {"log files": rotated}


def _rotating_handlers() -> Iterator[Any]:
    seen = set()
    for name in ("", "checklist"):
        for handler in logging.getLogger(name).handlers:
            if hasattr(handler, "doRollover") and id(handler) not in seen:
                seen.add(id(handler))
                yield handler


if __name__ == "__main__":
    main()
