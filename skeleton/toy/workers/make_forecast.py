"""Write tomorrow's water level, hour by hour, to var/forecasts/<run date>/water_level.csv.

A worker to copy. To make your own:

1. copy this file to workers/<your worker>.py, and change NAME and the function below;
2. register it: copy the make_forecast entry under `message registry` in nowcast.yaml;
3. say what follows from it: add after_<your worker>() to next_workers.py;
4. check with `nowcast validate`, try without a system with
   `nowcast run-worker <your worker> --debug`, then run it with `nowcast run-worker <your worker>`.
"""

import csv
import logging
import math
from pathlib import Path

import arrow

from nowcast_cli import NowcastWorker, WorkerError, publish

NAME = "make_forecast"
logger = logging.getLogger(NAME)


def main():
    worker = NowcastWorker(NAME, description=__doc__)
    worker.init_cli()
    # The worker's own arguments: `nowcast run-worker make_forecast -- --run-date 2026-11-22`
    worker.cli.add_date_option(
        "--run-date",
        default=arrow.now().floor("day"),
        help="Date to make the forecast for.",
    )
    worker.cli.add_argument(
        "--hours", type=int, default=24, help="Length of the forecast. Defaults to 24 hours."
    )
    # Runs make_forecast(), then tells the manager how it went: a WorkerError becomes the
    # message that failure() names, any other exception the message `crash`.
    worker.run(make_forecast, success, failure)
    return worker


def success(parsed_args):
    logger.info(f"forecast for {parsed_args.run_date.format('YYYY-MM-DD')} made")
    return "success"


def failure(parsed_args):
    logger.critical(f"forecast for {parsed_args.run_date.format('YYYY-MM-DD')} failed")
    return "failure"


def make_forecast(parsed_args, config, *args):
    """Do the work. What is returned goes into the checklist, at this worker's checklist key."""
    if parsed_args.hours < 1:
        # For what can be expected to go wrong. Say what was wrong, in the log.
        logger.error(f"cannot make a forecast of {parsed_args.hours} hours")
        raise WorkerError

    run_date = parsed_args.run_date.format("YYYY-MM-DD")
    deployment = Path(config.file).parent
    destination = deployment / "var" / "forecasts" / run_date / "water_level.csv"

    # publish() lends a path in the scratch folder of this job, and moves the file into place
    # when the block has ended well: nobody ever sees half a file.
    with publish(destination) as path, path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "metres"])
        rows.writerows(water_levels(parsed_args.run_date, parsed_args.hours))
    logger.info(f"wrote {destination}")

    # Only plain values, lists and dictionaries can be sent: str(path), not path. A dictionary
    # is merged into what the checklist already holds at the key.
    return {run_date: {"file": str(destination), "hours": parsed_args.hours}}


def water_levels(run_date, hours):
    """Give (time, metres) for each hour, from the main lunar tide alone."""
    for hour in range(hours):
        time = run_date.shift(hours=hour)
        yield time.isoformat(), round(3 + 2 * math.cos(2 * math.pi * hour / 12.42), 3)


if __name__ == "__main__":
    main()
