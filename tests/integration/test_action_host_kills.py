"""Action workers and their host are killed and stopped at random while orders come."""

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from action_hosts import ActionHostWorld, effects, order, write_deployment
from nowcast_cli.messages.performing import FENCE, Hello

COMPONENTS = """
import os
from pathlib import Path

FILE = Path(__file__).parent / "effects.txt"

def note(text):
    file = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{text}\\n".encode())
    os.close(file)
    return text
"""
ORDERS = 1000


@pytest.fixture
def world(tmp_path):
    file = write_deployment(tmp_path, COMPONENTS, {"?Test?note": "parts.note"})
    made = ActionHostWorld(file).start()
    yield made
    made.close()


def _children(world: ActionHostWorld) -> list[int]:
    assert world.process is not None
    host = world.process.pid
    threads = Path(f"/proc/{host}/task").glob("*/children")
    return [int(pid) for file in threads for pid in file.read_text().split()]


def _descriptors(world: ActionHostWorld) -> list[Path]:
    assert world.process is not None
    return list(Path(f"/proc/{world.process.pid}/fd").iterdir())


def _send(world: ActionHostWorld, first: int, number: int = 100) -> int:
    names = [f"order-{each}" for each in range(first, first + number)]
    world.orders([order(name, "note", text=name) for name in names])
    return first + number


def _check(world: ActionHostWorld) -> Counter[str]:
    """Hold results against effects: what is done was begun once, what is lost once at most."""
    begun = Counter(effects(world.config_file.parent))
    assert [name for name, times in begun.items() if times > 1] == []
    not_begun = [r.id for r in world.results.values() if r.state == "done" and r.id not in begun]
    assert not_begun == []
    assert set(begun) <= set(world.results)
    return Counter(result.state for result in world.results.values())


def test_whichever_workers_are_killed_each_order_is_begun_once_at_most(world):
    chance = random.Random(7)
    sent = kills = 0
    descriptors = len(_descriptors(world))
    while sent < ORDERS:
        sent = _send(world, sent)
        enough = sent - chance.randrange(60, 101)
        world.until(lambda enough=enough: len(world.results) > enough)
        if children := _children(world):
            os.kill(chance.choice(children), chance.choice([signal.SIGKILL, signal.SIGSEGV]))
            kills += 1
    world.until(lambda: len(world.results) == ORDERS, timeout=100)
    states = _check(world)
    assert world.repeated == 0
    assert kills > 5
    assert set(states) <= {"done", "lost"}
    assert states["lost"] <= kills
    world.until(world.is_ready)
    world.until(lambda: len(_descriptors(world)) <= descriptors)


def test_a_host_that_is_killed_leaves_nobody_behind_who_goes_on(world):
    chance = random.Random(8)
    given: dict[str, str] = {}
    sent = 0

    def keep(hello: Hello) -> tuple[str, ...]:
        """Call lost what the new host does not have, as the manager does."""
        lost.update(set(given) - set(world.results) - set(hello.has))
        return hello.has

    lost: set[str] = set()
    world.keep = keep
    for _ in range(2):
        for _ in range(3):
            first, sent = sent, _send(world, sent)
            given |= {f"order-{each}": world.hellos[-1].incarnation for each in range(first, sent)}
        enough = sent - chance.randrange(150, 280)
        world.until(lambda enough=enough: len(world.results) + len(lost) > enough)
        world.signal(signal.SIGKILL)
        world.process.wait()
        world.start()
    world.until(lambda: len(lost | set(world.results)) == sent)
    begun = Counter(effects(world.config_file.parent))
    assert [name for name, times in begun.items() if times > 1] == []
    assert set(world.results) - set(begun) == set()
    assert len({hello.incarnation for hello in world.hellos}) == 3


def test_workers_that_are_stopped_for_a_while_begin_nothing_late(world):
    """Stop host and workers together, as a machine that sleeps does, beyond the fence."""
    sent = _send(world, 0)
    world.until(lambda: len(world.results) == sent)
    family = [world.process.pid, *_children(world)]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    sent = _send(world, sent)
    world.answers_alive = world.welcomes = False
    stopped = time.monotonic()
    world.until(lambda: time.monotonic() - stopped > FENCE + 0.5)
    before = len(effects(world.config_file.parent))
    for pid in family:
        os.kill(pid, signal.SIGCONT)
    number = len(world.hellos)
    world.say_hello()
    world.until(lambda: len(world.hellos) > number)
    assert len(effects(world.config_file.parent)) == before
    world.answers_alive = world.welcomes = True
    world.until(lambda: len(world.results) == sent)
    _check(world)
