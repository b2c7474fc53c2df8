"""All figures of a machine, in one run: ``make bench``, or shorter ``make bench SECONDS=5``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import at_rest
import command_steps
import flow_steps
import launch_path
import message_path

if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    launch_path.main(rounds=10)
    command_steps.main()
    at_rest.main(seconds)
    message_path.main(seconds)
    flow_steps.main(rounds=5)
