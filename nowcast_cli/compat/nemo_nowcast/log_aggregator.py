"""``python -m nemo_nowcast.log_aggregator CONFIG``: run the log aggregator."""

import sys

from nowcast_cli.daemon.main import run_daemon
from nowcast_cli.logs.aggregator import aggregate

if __name__ == "__main__":
    sys.exit(run_daemon("log_aggregator", aggregate))
