"""Carries out orders one after the other, for an agent: each a line on stdin, the answer a line.

An order says ``until`` when jobs may begin, in seconds since the boot: what was frozen on its way,
or for how long, does not matter then.

It ends when stdin does, so that none is left when its agent has gone; the jobs go on. A process of
its own, in which there is nothing else: jobs are forked from it, and what is slow here, as a disk
that is not answering, holds up nobody who reports.

Standard library only, Python 3.9 and newer: it runs under the Python of the jobs, which may lack
nowcast.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from typing import Any

from nowcast_cli.crash_points import reached
from nowcast_cli.executors.remote_side import carry_out
from nowcast_cli.process_identity import uptime

MISTAKE = "mistake"  # in place of an answer: a sentence, or a traceback, that says why


def main() -> None:
    """Serve until there is no more to read."""
    # The end of the agent is told by stdin alone: jobs are not to be begun by halves.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        reached("serving.ordered")
        answer = _answer(line)
        reached("serving.carried_out")
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(line: bytes) -> dict[str, Any]:
    try:
        order = json.loads(line)
        if uptime() > order["until"]:
            order["submit"] = []
        return carry_out(order)
    except OSError as error:  # such as a disk that is full
        return {MISTAKE: str(error)}
    except Exception:
        return {MISTAKE: traceback.format_exc()}
