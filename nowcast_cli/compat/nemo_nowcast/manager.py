"""``python -m nemo_nowcast.manager CONFIG``: run the manager."""

import sys

from nowcast_cli.daemon.main import run_daemon
from nowcast_cli.manager.manager import run_manager

if __name__ == "__main__":
    sys.exit(run_daemon("manager", run_manager))
