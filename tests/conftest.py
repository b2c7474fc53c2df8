"""Puts the tests' own folder on the path, so that ``from helpers import wait_until`` works."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Under nohup the signal is ignored, and processes inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest_plugins = ["pytester", "no_skip", "systems", "log_deployment", "remote_host", "webhook"]
