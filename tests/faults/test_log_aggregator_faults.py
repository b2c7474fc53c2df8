"""The log aggregator killed at its work, and without what it would like to have."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import time
from collections import Counter

from helpers import wait_until

LINES = 10_000

WRITER = """
import logging.handlers, sys, time
handler = logging.handlers.RotatingFileHandler(sys.argv[1], maxBytes=60_000, backupCount=9)
log = logging.getLogger()
log.addHandler(handler)
for number in range(int(sys.argv[2])):
    log.warning("line %05d of the model's long output", number)
    if number % 100 == 0:
        time.sleep(0.02)
"""


def test_kill_minus_9_loses_no_line_of_a_file_that_is_written_and_rotated(deployment):
    """What comes twice is what one turn had read: each kill costs a range without a gap."""
    deployment.settings["logs"] = {"follow": ["run/model.log"]}
    deployment.write_config()
    deployment.start()
    model = deployment.folder / "run/model.log"
    command = [sys.executable, "-c", WRITER, str(model), str(LINES)]
    writer = subprocess.Popen(command)
    chance = random.Random(20261122)
    kills = 0
    while writer.poll() is None:
        time.sleep(chance.uniform(0.05, 0.4))  # the moment is what the seed decides
        deployment.end(signal.SIGKILL)
        deployment.start()
        kills += 1
    wait_until(
        lambda: any(f"line {LINES - 1:05}" in line for line in deployment.log()),
        timeout=60, what="the last line",
    )  # fmt: skip
    deployment.end()

    numbers = [int(line.split()[3]) for line in deployment.log()]
    counts = Counter(numbers)
    assert set(counts) == set(range(LINES))
    firsts = list(dict.fromkeys(numbers))
    assert firsts == sorted(firsts), "lines are out of order"
    backwards = [(a, b) for a, b in itertools.pairwise(numbers) if b != a + 1]
    assert len(backwards) <= kills, f"{kills} kills, but {backwards}"
    assert all(b <= a for a, b in backwards)


def test_with_the_limit_of_inotify_used_up_lines_still_come(deployment):
    with_none_left = (
        "import errno, watchdog.observers.inotify_c as c\n"
        "def refuse(*_): raise OSError(errno.ENOSPC, 'inotify watch limit reached')\n"
        "c.InotifyFD.add_callback = refuse\n"
    )
    deployment.start(with_none_left)
    feed = deployment.folder / "run/feed.log"
    feed.write_text("one\n")
    deployment.wait_for("INFO [feed] one")
    assert deployment.health()["looks every"] == 1.0
    said = (deployment.paths.logs / "nowcast.log").read_text()
    assert said.count("is looked at every second: inotify watch limit reached") == 1


def test_with_no_inotify_instance_left_lines_still_come(deployment):
    """The real limit, lowered for this process alone: others, and their tests, keep theirs."""
    new_user_namespace = 0x10000000
    limited = (
        "import ctypes, os, pathlib\n"
        "user = os.getuid()\n"
        f"assert ctypes.CDLL(None).unshare({new_user_namespace}) == 0\n"
        "pathlib.Path('/proc/self/uid_map').write_text(f'{user} {user} 1')\n"
        "pathlib.Path('/proc/sys/user/max_inotify_instances').write_text('0')\n"
    )
    deployment.start(limited)
    feed = deployment.folder / "run/feed.log"
    feed.write_text("one\n")
    deployment.wait_for("INFO [feed] one")
    assert deployment.health()["looks every"] == 1.0
