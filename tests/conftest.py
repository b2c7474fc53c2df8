"""Puts the tests' own folder on the path, so that ``from helpers import wait_until`` works."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Fresh for each run, and the same in all processes that share its tests.
os.environ.setdefault("NOWCAST_TESTS_SEED", str(random.SystemRandom().randrange(10**6)))
# Under nohup, and in the background of a script, these are ignored, and processes inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "pytester", "no_skip", "systems", "broker_process", "log_deployment", "remote_host", "webhook",
    "grid_engine", "pbs_system", "agent_hosts", "agent_lab", "agent_process", "slurm_system",
    "apart_host",
]  # fmt: skip
