"""A running chain whose processes are killed at random moments: it comes to its end, once.

The chain fans out into four, two of which end at a barrier. The seeds are fixed, but for one that
is fresh in each run and named when the test fails; NOWCAST_TESTS_SEED sets it.
"""

import contextlib
import os
import random
import signal
import time
from collections import Counter

import pytest
import yaml

from helpers import wait_until
from systems import Sampler

FRESH = int(os.environ["NOWCAST_TESTS_SEED"])

WORKERS = ("first", "fan", "left", "right", "after_left", "after_right", "last")


def launch(*names):
    launches = (f"NextWorker('workers.{name}', args=['--sleep', '0.1'])" for name in names)
    return f"[{', '.join(launches)}]"


AFTER = {
    "first": f"({launch('left', 'right', 'fan', 'fan')}, {{'left', 'right'}})",
    "left": launch("after_left"),
    "right": launch("after_right"),
    "after_right": launch("last"),
}
WHOLE = Counter(first=1, fan=2, left=1, right=1, after_left=1, after_right=1, last=1)


def checked_checklist(system):
    """Give a look at the checklist file: it must parse, be a mapping, and never go back."""
    newest = [0]

    def look():
        try:
            text = system.paths.checklist_file.read_text()
        except FileNotFoundError:
            assert newest == [0], "the checklist file has gone"
            return
        assert isinstance(yaml.load(text, Loader=yaml.CSafeLoader), dict)
        journal = int(text.partition("journal ")[2].partition(",")[0])
        assert journal >= newest[0]
        newest[0] = journal

    return look


def kill_somebody(system, chance, victims):
    """Kill one of the victims, where there is one, and give what it was."""
    kind = chance.choice(victims)
    with contextlib.suppress(OSError, ValueError, LookupError, AssertionError):
        if kind in ("message_broker", "manager", "launcher"):
            system.kill(kind)
            return kind
        running = [job for job in system.jobs() if job.state in ("submitting", "running")]
        pid_file = system.job_folder(chance.choice(running).id) / "pid"
        claim = yaml.safe_load(pid_file.read_text())
        os.kill(claim[kind]["pid"], signal.SIGKILL)
        return kind
    return None


def is_whole(system):
    health = [system.health(name) or {} for name in ("message_broker", "manager")]
    return all(each.get("state") == "ready" for each in health)


def everything_is_done(system):
    with system.reader() as reader:
        counts = reader.counts()
    open_states = ("waiting", "held", "submitting", "running", "undecided", "stuck")
    return not any(counts[state] for state in open_states)


@pytest.mark.parametrize("seed", [1, 2, 3, FRESH])
def test_daemons_and_runners_killed_in_a_running_chain_cost_nothing(make_system, seed):
    victims = ("message_broker", "manager", "launcher", "manager", "runner")
    system, killed = _run_with_kills(make_system, seed, victims)

    started = Counter(system.effects())
    assert max(started.values()) == 1, f"user code began twice; seed {seed}, killed {killed}"
    finals = Counter(message.job for message in system.messages() if message.outcome)
    assert max(finals.values()) == 1, f"a message took effect twice; seed {seed}, killed {killed}"
    assert Counter(job.worker for job in system.jobs()) == WHOLE, f"seed {seed}, killed {killed}"
    assert Counter(system.ran()) == WHOLE, f"seed {seed}, killed {killed}"


@pytest.mark.parametrize("seed", [4, 5, FRESH])
def test_whatever_is_killed_user_code_begins_once_and_the_chain_comes_to_an_end(make_system, seed):
    victims = ("process", "runner", "manager", "launcher", "message_broker", "process")
    system, killed = _run_with_kills(make_system, seed, victims)

    started = Counter(system.effects())
    # None at all, when the first worker was killed between its claim and its first effect.
    began = max(started.values(), default=0)
    assert began <= 1, f"user code began twice; seed {seed}, killed {killed}"
    for job in system.jobs():
        said = f"{job}; seed {seed}, killed {killed}"
        assert job.state in ("succeeded", "crashed", "lost"), said
        finals = [each for each in system.messages(job.worker) if each.job == job.id]
        assert [each.state for each in finals if each.state != "late"] == ["decided"], said


def _run_with_kills(make_system, seed, victims):
    chance = random.Random(seed)
    system = make_system(workers=WORKERS, after=AFTER).start().supervise()
    killed = []
    with Sampler(checked_checklist(system)) as sampler:
        system.launch("first", "--sleep", "0.1")
        for _ in range(7):
            time.sleep(chance.uniform(0, 0.25))  # the moment is what the seed decides
            killed.append(kill_somebody(system, chance, victims))
        last_kill = time.monotonic()
        wait_until(lambda: is_whole(system), timeout=20, what=f"the system to be whole; {seed=}")
        assert time.monotonic() - last_kill < 5, f"seed {seed}, killed {killed}"
        wait_until(
            lambda: everything_is_done(system), timeout=20, what=f"the end; {seed=}, {killed=}"
        )
        wait_until(system.checklist_file_is_current, what="the checklist file to be current")
    assert sampler.problems == [], f"seed {seed}, killed {killed}"
    assert sampler.samples > 20
    return system, killed


def test_a_stream_of_messages_survives_kills_of_manager_and_broker(make_system):
    system = make_system().start().supervise()
    chance = random.Random(FRESH)
    acknowledged = 0
    with Sampler(checked_checklist(system)) as sampler:
        give_up = time.monotonic() + 4
        next_kill = time.monotonic()
        while time.monotonic() < give_up:
            if time.monotonic() > next_kill:
                system.kill(chance.choice(["manager", "message_broker"]))
                next_kill = time.monotonic() + chance.uniform(0.2, 1.0)
            assert system.tell(
                "first", "success", {f"k{acknowledged % 50}": acknowledged}
            ).type == ("ack")
            acknowledged += 1
        wait_until(lambda: is_whole(system), timeout=20, what="the system to be whole")
        wait_until(lambda: everything_is_done(system), timeout=20, what="all decisions")
    payloads = system.tell("second", "need", "first").payload

    assert len(system.messages("first")) == acknowledged, f"seed {FRESH}"
    assert sorted(payloads.values()) == list(range(acknowledged))[-len(payloads) :]
    assert sampler.problems == []


def test_launchers_killed_again_and_again_in_a_fan_of_forty_begin_no_job_twice(make_system):
    fan = "[NextWorker('workers.left') for _ in range(40)]"
    system = make_system(workers=WORKERS, after={"first": fan}).start().supervise()
    chance = random.Random(FRESH)
    system.launch("first")
    give_up = time.monotonic() + 20
    kills = 0
    while (ran := system.ran().count("left")) < 40 and time.monotonic() < give_up:
        kind = chance.choice(["launcher", "launcher", "manager", "runner"])
        kills += kill_somebody(system, chance, [kind]) is not None
        # Some way is made between two kills, or no launcher would ever get to be ready.
        with contextlib.suppress(AssertionError):
            wait_until(lambda ran=ran: system.ran().count("left") > ran, timeout=2)
    wait_until(lambda: everything_is_done(system), timeout=20, what="the end of all jobs")

    assert max(Counter(system.effects()).values()) == 1, f"seed {FRESH}, {kills} kills"
    assert Counter(system.ran()) == {"first": 1, "left": 40}, f"seed {FRESH}, {kills} kills"
    assert kills > 3
