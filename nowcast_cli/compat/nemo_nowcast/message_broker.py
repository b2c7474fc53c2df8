"""``python -m nemo_nowcast.message_broker CONFIG``: run the message broker."""

import sys

from nowcast_cli.broker.broker import run_broker
from nowcast_cli.daemon.main import run_daemon

if __name__ == "__main__":
    sys.exit(run_daemon("message_broker", run_broker))
