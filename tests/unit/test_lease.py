"""Whether a process is at work, frozen, or only kept from working, as its follower judges it."""

import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import wait_until
from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.daemon.lease import (
    ASK_EVERY,
    LEASE,
    LONGEST_TURN,
    Activity,
    Lease,
    Question,
    activity_of,
    silence_after,
)
from nowcast_cli.daemon.lock import AlreadyRuns, hold, hold_first
from nowcast_cli.manager.following import Leader

STOPPED = Activity(frozenset("T"), 7)


def test_a_stopped_process_is_silent_for_as_long_as_the_turn_took():
    assert silence_after(1.0, 0.5, STOPPED, STOPPED) == 1.5


@pytest.mark.parametrize(
    "now",
    [
        Activity(frozenset("SR"), 7),  # it waits for a processor
        Activity(frozenset("SD"), 7),  # it waits for a disk, or for memory that was swapped out
        Activity(frozenset("S"), 8),  # it has run since
    ],
)
def test_a_process_that_is_kept_from_answering_is_not_silent(now):
    assert silence_after(1.0, 0.5, STOPPED, now) == 1.0


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=2))
def test_a_night_asleep_is_one_turn_and_costs_nobody_the_lease(turns):
    silence = 0.0
    for turn in turns:
        silence = silence_after(silence, turn, STOPPED, STOPPED)
    assert silence <= len(turns) * LONGEST_TURN < LEASE


def test_the_lease_has_room_for_several_questions():
    assert LEASE >= 5 * ASK_EVERY
    assert LEASE > 2 * LONGEST_TURN


DAEMON = """
import json, os, sys, time
from pathlib import Path
from nowcast_cli.daemon.lease import Lease
from nowcast_cli.process_identity import identity_of, to_json

run = Path(sys.argv[1])
(run / "manager.pid").write_text(json.dumps(to_json(identity_of(os.getpid()))))
if sys.argv[2] == "with":
    Lease(run / "lease.sock")
print("ready", flush=True)
while sys.argv[3] == "busy":  # its main loop never looks up
    pass
time.sleep(60)
"""


@pytest.fixture
def begin(tmp_path):
    """Give a function that starts a process which holds the manager's pid file."""
    begun = []

    def start(lease="with", work="idle"):
        words = [sys.executable, "-c", DAEMON, str(tmp_path), lease, work]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
        begun.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdout.close()


def judged(leader, turns, turn=ASK_EVERY):
    """Let some turns go by, faster than in life; say whether the leader is frozen in one."""
    found = []
    for _ in range(turns):
        found.append(leader.is_frozen(turn))
        time.sleep(0.1)
    return any(found)


ENOUGH = round(LEASE / ASK_EVERY) + 3


def test_a_process_that_answers_is_not_frozen_and_one_that_is_stopped_is(begin, tmp_path):
    process = begin()
    leader = Leader.found(tmp_path)
    assert leader.pid == process.pid
    assert not judged(leader, ENOUGH)
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: activity_of(process.pid).states == {"T"})
    leader.is_frozen(ASK_EVERY)  # takes in the last answer
    assert not judged(leader, 3)
    assert judged(leader, ENOUGH)
    assert not leader.has_ended()

    leader.kill()
    wait_until(leader.has_ended)
    leader.close()


def test_a_process_that_was_stopped_for_less_than_its_lease_keeps_it(begin, tmp_path):
    process = begin()
    leader = Leader.found(tmp_path)
    leader.is_frozen(ASK_EVERY)
    process.send_signal(signal.SIGSTOP)
    assert not judged(leader, 4)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: not leader.is_frozen(0.0) and leader._silence == 0.0)
    assert not judged(leader, 4)
    leader.close()


def test_a_main_loop_that_is_busy_does_not_cost_the_lease(begin, tmp_path):
    begin(work="busy")
    leader = Leader.found(tmp_path)
    assert not judged(leader, ENOUGH)
    leader.close()


def test_a_process_that_never_had_a_lease_is_never_taken_for_frozen(begin, tmp_path):
    """Such as a command that holds the manager's name; a socket file of another is no lease."""
    process = begin(lease="without")
    leader = Leader.found(tmp_path)
    other = Lease(tmp_path / "lease.sock")
    process.send_signal(signal.SIGSTOP)
    assert not judged(leader, ENOUGH)
    other.close()
    assert not judged(leader, ENOUGH)
    leader.close()


def test_only_a_process_that_lives_is_followed(begin, tmp_path):
    assert Leader.found(tmp_path) is None
    process = begin()
    text = (tmp_path / "manager.pid").read_text()
    started = text.partition('"started": ')[2].partition(",")[0]
    another = text.replace(started, str(int(started) + 1))  # whose number is used again
    write_atomically(tmp_path / "manager.pid", another.encode())
    assert Leader.found(tmp_path) is None
    write_atomically(tmp_path / "manager.pid", text.encode())
    Leader.found(tmp_path).close()
    process.kill()
    process.wait()
    assert Leader.found(tmp_path) is None


def test_several_may_ask_and_go(tmp_path):
    lease = Lease(tmp_path / "lease.sock")
    first, second = (Question(tmp_path / "lease.sock", os.getpid()) for _ in range(2))
    for question in (first, second):
        question.ask()
        wait_until(question.was_answered)
    first.close()
    second.ask()
    wait_until(second.was_answered)
    lease.close()
    with pytest.raises(OSError):
        wait_until(second.was_answered)
    second.close()
    with pytest.raises(OSError):
        Question(tmp_path / "lease.sock", os.getpid())


class Paths:
    def __init__(self, run):
        self.run = run


def test_the_first_place_that_is_free_is_taken(tmp_path):
    paths = Paths(tmp_path)
    with hold(paths, "manager") as first:
        with hold_first(paths, ("manager", "standby"), 0) as second:
            assert (first.name, second.name) == ("manager", "standby")
            with pytest.raises(AlreadyRuns) as refused:
                hold_first(paths, ("manager", "standby"), 0.1)
            assert "already runs as process" in refused.value.what
        assert not (tmp_path / "standby.pid").exists()
    with hold_first(paths, ("manager", "standby"), 0) as free:
        assert free.name == "manager"
