"""Remove what is older than `retention` says, and make a backup.

It does what `nowcast clean` does, and `nowcast product expire` where products have a retention.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from argparse import Namespace
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.products import products_of
from nowcast_cli.worker.errors import WorkerError
from nowcast_cli.worker.nowcast_worker import NowcastWorker

NAME = "housekeeping"
logger = logging.getLogger(NAME)


def main() -> NowcastWorker:
    """Set up the worker and run it."""
    worker = NowcastWorker(NAME, description=__doc__, package="nowcast_cli.workers")
    worker.init_cli()
    worker.cli.add_argument(
        "--backups",
        type=int,
        default=0,
        metavar="N",
        help="make a backup in `backups` of the state directory, and keep the newest N; "
        "none by default",
    )
    worker.run(housekeeping, success, failure)
    return worker


def success(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.info("housekeeping done")
    return "success"


def failure(_parsed_args: Namespace) -> str:
    """Log how it went, and name the message."""
    logger.critical("housekeeping failed")
    return "failure"


def housekeeping(parsed_args: Namespace, config: Config, *_args: Any) -> dict[str, Any]:
    """Make a backup where one is asked for, then clean; gives what was done for the checklist.

    Raises WorkerError when either failed.
    """
    done: dict[str, Any] = {}
    if parsed_args.backups > 0:
        made = _nowcast(config, "backup", "--keep", str(parsed_args.backups))
        done["backup"] = {"file": made["backup"], "size": made["size"]}
        logger.info("backup: %s, up to message %s", made["backup"], made["journal"])
    cleaned = _nowcast(config, "clean", "--yes")
    done["removed"] = {
        "files": len(cleaned["removed"]),
        "bytes": cleaned["size"],
        **cleaned["journal"],
    }
    if any(product.retention for product in products_of(config).values()):
        done["removed"] |= _expired(config)
    counts = ", ".join(f"{count} {what}" for what, count in done["removed"].items() if count)
    logger.info("removed: %s", counts or "nothing is older than it is to be kept")
    return done


def _expired(config: Config) -> dict[str, int]:
    expired = _nowcast(config, "product", "expire")
    gone = [each for each in expired["instances"] if each["kept"] is None]
    return {"instances of products": len(gone), "files of products": expired["files"]}


def _nowcast(config: Config, *arguments: str) -> dict[str, Any]:
    """Run a command of nowcast on this system, and give the document that it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", "nowcast_cli.cli", "--config", str(config.file), *arguments,
         "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    for line in ended.stderr.splitlines():
        logger.info("nowcast %s: %s", arguments[0], line)
    if ended.returncode != 0:
        raise WorkerError(f"nowcast {' '.join(arguments)} ended with code {ended.returncode}")
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


if __name__ == "__main__":
    main()
