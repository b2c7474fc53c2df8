"""``python -m nowcast_cli.file_watcher CONFIG``."""

import sys

from nowcast_cli.daemon.main import run_daemon
from nowcast_cli.file_watcher.watching import watch_files

if __name__ == "__main__":
    sys.exit(run_daemon("file_watcher", watch_files))
