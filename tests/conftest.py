"""Puts the tests' own folder on the path, so that ``from helpers import wait_until`` works."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["pytester", "no_skip", "systems", "log_deployment", "remote_host", "webhook"]
