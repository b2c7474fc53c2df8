"""``python -m nowcast_cli.actions CONFIG``: run the action host and its action workers."""

import sys

from nowcast_cli.actions.action_host import NAME, run_action_host
from nowcast_cli.daemon.main import run_daemon

if __name__ == "__main__":
    sys.exit(run_daemon(NAME, run_action_host))
