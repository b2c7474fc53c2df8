"""``python -m nemo_nowcast.scheduler CONFIG``: run the scheduler."""

import sys

from nowcast_cli.daemon.main import run_daemon
from nowcast_cli.scheduler.scheduler import run_scheduler

if __name__ == "__main__":
    sys.exit(run_daemon("scheduler", run_scheduler))
