"""What keys cost: a message from a new connection, one on a kept connection, and a hop of a chain.

``.venv/bin/python tests/benchmarks/keys.py [ROUNDS]``. The two systems run side by side and are
measured in turns, so that what else the machine does weighs on both alike.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median

from deployment import Deployment, cpu_seconds, deployment, running_system
from launch_path import CHAIN, CHAIN_MODULE, run_once

from nowcast_cli.config import Config
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message
from nowcast_cli.security.key_ring import KeyRing

MESSAGES = 60  # a round and kind
SYSTEMS: dict[str, dict[str, object]] = {"without keys": {}, "with keys": {"security": "curve"}}


def config_of(made: Deployment) -> Config:
    """Load the configuration of a deployment."""
    config = Config()
    config.load(made.config_file)
    return config


def ask(client: Client) -> float:
    """Send a message as a worker does; gives the seconds to its answer."""
    start = time.perf_counter()
    client.ask(Message(CHAIN[-1], "success", {"tide": 3}))
    return time.perf_counter() - start


def new_connections(config: Config) -> list[float]:
    """Give the times of messages that are each the first of their client."""
    taken = []
    for _ in range(MESSAGES):
        with Client.of(config) as client:
            taken.append(ask(client))
    return taken


def kept_connection(config: Config) -> list[float]:
    """Give the times of messages over one connection."""
    with Client.of(config) as client:
        ask(client)
        return [ask(client) for _ in range(MESSAGES)]


def hops(made: Deployment) -> list[float]:
    """Give the times from the code of one worker of a chain to that of the next."""
    times = sorted(run_once(made, CHAIN[0], len(CHAIN)).values())
    return [later - earlier for earlier, later in pairwise(times)]


def main(rounds: int) -> None:
    """Measure and print everything."""
    figures: dict[tuple[str, str], list[float]] = {}
    cpu: dict[str, float] = {}
    with ExitStack() as stack:
        running = {}
        for name, settings in SYSTEMS.items():
            made = stack.enter_context(deployment(CHAIN, CHAIN_MODULE, **settings))
            KeyRing(made.paths.keys).init()
            running[name] = made, *stack.enter_context(running_system(made))
        for _ in range(rounds):
            for name, (made, broker, _) in running.items():
                config = config_of(made)
                figures.setdefault((name, "a new connection"), []).extend(new_connections(config))
                before = cpu_seconds(broker.pid)
                figures.setdefault((name, "a kept one"), []).extend(kept_connection(config))
                cpu[name] = cpu.get(name, 0.0) + cpu_seconds(broker.pid) - before
                figures.setdefault((name, "a hop"), []).extend(hops(made))
    print("\nWhat keys cost: median, and the tenth that was quickest, in milliseconds")
    for (name, kind), taken in figures.items():
        quick = sorted(taken)[len(taken) // 10]
        print(f"  {kind:18} {name:14} {1e3 * median(taken):8.2f} {1e3 * quick:8.2f}")
    for name, seconds in cpu.items():
        per_message = 1e3 * seconds / (rounds * (MESSAGES + 1))
        print(f"  CPU of the broker, a message, {name:14} {per_message:.2f}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
