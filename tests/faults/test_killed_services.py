"""Services, broker and manager killed, frozen and doubled while runs are in flight."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter

from helpers import wait_until
from service_lab import SETTINGS, ServiceLab
from systems import MakeSystem

RUNS = 40
BLOWS = 8


def test_each_run_ends_once_and_each_call_was_an_attempt_of_its_own(
    make_system: MakeSystem,
) -> None:
    dice = random.Random(6)  # which one is struck, and when
    system = make_system(settings=SETTINGS).start().supervise()
    lab = ServiceLab(system)
    services: list[subprocess.Popen[bytes]] = [lab.start(takes=3)]
    runs = [lab.run("one", value=f"v{number}") for number in range(RUNS)]
    for number in range(BLOWS):
        time.sleep(dice.uniform(0.02, 0.3))  # not a wait: blows come at any instant
        blow = dice.choice(["kill", "double", "freeze", "manager", "message_broker", "end"])
        if blow in ("manager", "message_broker"):
            system.kill(blow)
            continue
        if blow == "freeze":
            services[-1].send_signal(signal.SIGSTOP)
            time.sleep(dice.choice([0.1, 3.5]))
            services[-1].send_signal(signal.SIGCONT)
        elif blow != "double":
            services[-1].send_signal(signal.SIGKILL if blow == "kill" else signal.SIGTERM)
        if blow != "freeze":
            services.append(lab.begin([*services[0].args], "ingest"))  # type: ignore[misc]
        runs += [lab.run("one", value=f"w{number}-{each}") for each in range(5)]
    found = [lab.wait_for_end(run) for run in runs]
    assert [each.state for each in found] == ["done"] * len(runs)
    attempts = {each.parameters["value"]: next(iter(each.steps.values())) for each in found}
    calls = Counter((value, attempt) for _, _, attempt, value in lab.effects())
    assert max(calls.values()) == 1, "an attempt is begun once"
    for (value, attempt), _ in calls.items():
        assert attempt <= attempts[value].attempt
    for value, step in attempts.items():
        assert calls[(value, step.attempt)] == 1, "the attempt that counts was made"
        assert any(step.gave["pid"] == each.pid for each in services)
    for each in services:
        if each.poll() is None:
            os.kill(each.pid, signal.SIGTERM)
    wait_until(lambda: all(each.poll() is not None for each in services), what="all to end")
