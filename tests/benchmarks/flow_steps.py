"""Steps of flows a second, and what one takes, beside the same sockets with nothing in between.

In one run: the bare pipeline (see ``bare_pipeline.py``), a synced round trip as of a stand-in for
the manager (see ``message_path.py``), then the real broker, manager and action host with two action
workers, whose actions do nothing. A step counts when its end is synced.

``.venv/bin/python tests/benchmarks/flow_steps.py [ROUNDS]``.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import bare_pipeline
import zmq
from deployment import Deployment, cpu_seconds, daemon, deployment, median_fsync_ms
from message_path import body, stand_in

from helpers import wait_until
from nowcast_cli.config import Config
from nowcast_cli.messages.client import Client
from nowcast_cli.messages.message import Message

STEPS = 10  # of a chain
RUNS = 1000
AT_ONCE = 300
SINGLE = 300  # calls, one after the other
SUBSCRIBERS = 100
SEEN_RUNS = 100  # while they look
ACTIONS = "[actionmapping]\n?Bench?step = parts.step\n"
PARTS = """\
def step(number, note):
    return {"number": number + 1}
"""
CHAIN: dict[str, Any] = {
    "parameters": {"number": 0, "note": bare_pipeline.NOTE},
    "steps": {
        f"s{number}": {"action": "?Bench?step", **({"after": f"s{number - 1}"} if number else {})}
        for number in range(STEPS)
    },
}
MANY = {
    "parameters": {"runs": RUNS},
    "steps": {"run": {"flow": "chain", "for each": "{runs}", "concurrency": AT_ONCE}},
}
FAN = {
    "parameters": {"items": 1000},
    "steps": {
        "item": {
            "action": "?Bench?step",
            "for each": "{items}",
            "values": {"number": "{item}", "note": bare_pipeline.NOTE},
        }
    },
}


class Asking:
    """An operator with a connection that is kept."""

    def __init__(self, made: Deployment) -> None:
        config = Config()
        config.load(made.config_file)
        self._client = Client.of(config, "operator")

    def ask(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Give what the manager answers."""
        reply = self._client.ask(Message("nowcast", kind, payload), deadline=60)
        assert reply.type == "ack", reply.payload
        told: dict[str, Any] = reply.payload
        return told

    def end_of(self, run: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        while (told := self.ask("await run", {"run": run, "seconds": 20}))["state"] == "running":
            pass
        assert told["state"] == "done", told
        return told

    def run(self, flow: str, **parameters: Any) -> float:
        """Run a flow; gives the seconds to its end."""
        began = time.perf_counter()
        told = self.ask("run flow", {"flow": flow, "parameters": parameters})
        self.end_of(str(told["run"]))
        return time.perf_counter() - began

    def call(self, number: int) -> float:
        """Call an action; gives the seconds to its result."""
        values = {"number": number, "note": bare_pipeline.NOTE}
        began = time.perf_counter()
        told = self.ask("call action", {"key": "?Bench?step", "values": values})
        gave = self.end_of(str(told["run"]))["gave"]
        assert gave["number"] == number + 1
        return time.perf_counter() - began


@contextlib.contextmanager
def flows_running(made: Deployment) -> Iterator[dict[str, int]]:
    """Run the daemons that flows need; gives their pids by name."""
    (made.folder / "actions.ini").write_text(ACTIONS)
    (made.folder / "parts.py").write_text(PARTS)
    with (
        daemon(made, "nowcast_cli.broker", "message_broker") as broker,
        daemon(made, "nowcast_cli.manager", "manager") as manager,
        daemon(made, "nowcast_cli.actions", "action_workers") as host,
    ):
        pids = {"broker": broker.pid, "manager": manager.pid, "action host": host.pid}
        children = Path(f"/proc/{host.pid}/task/{host.pid}/children")
        wait_until(lambda: len(children.read_text().split()) == 2, timeout=30, what="workers")
        workers = map(int, children.read_text().split())
        yield pids | {f"action worker {number}": pid for number, pid in enumerate(workers, 1)}


def throughput(asking: Asking, pids: dict[str, int], flow: str, steps: int, **given: Any) -> float:
    """Give durable steps a second; prints the CPU time of each process, a step."""
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    seconds = asking.run(flow, **given)
    used = (f"{name} {1e6 * (cpu_seconds(pids[name]) - was) / steps:.0f}"
            for name, was in before.items())  # fmt: skip
    print(f"    {steps / seconds:6.0f} steps/s; CPU a step in µs: {', '.join(used)}")
    return steps / seconds


@contextlib.contextmanager
def synced(folder: Path) -> Iterator[Callable[[], float]]:
    """Run a broker with a stand-in that commits; gives what takes one round trip, in seconds."""
    with (
        deployment([], "") as made,
        daemon(made, "nowcast_cli.broker", "message_broker"),
        zmq.Context() as context,
    ):
        process = multiprocessing.Process(
            target=stand_in, args=(made.manager_port, folder / "synced.db"), daemon=True
        )
        process.start()
        request = context.socket(zmq.REQ)
        request.connect(f"tcp://127.0.0.1:{made.workers_port}")

        def round_trip() -> float:
            began = time.perf_counter()
            request.send(body(1))
            request.recv()
            return time.perf_counter() - began

        try:
            yield round_trip
        finally:
            request.close(0)
            process.kill()
            process.join()


def in_turns(one: Callable[[], float], other: Callable[[], float], times: int) -> tuple[float, ...]:
    """Give the medians of two measurements that are made in turns, in milliseconds."""
    taken = [(one(), other()) for _ in range(times)]
    return tuple(1e3 * median(each) for each in zip(*taken, strict=True))


def _subscribe(context: zmq.Context[Any], path: Path) -> zmq.Socket[bytes]:
    socket: zmq.Socket[bytes] = context.socket(zmq.SUB)
    socket.rcvhwm = 0
    socket.connect(f"ipc://{path}")
    socket.subscribe(b"flows~")
    return socket


def to_subscribers(asking: Asking, made: Deployment) -> float:
    """Give events a second that all of 100 subscribers have, beside one that does not read."""
    with zmq.Context() as context:
        path = made.paths.events_socket
        stalled = context.socket(zmq.SUB)
        stalled.rcvhwm = 1
        stalled.connect(f"ipc://{path}")
        stalled.subscribe(b"")
        sockets = [_subscribe(context, path) for _ in range(SUBSCRIBERS)]
        time.sleep(1.0)
        first = 1 + int(asking.ask("events", {})["upto"].get("flows", 0))
        began = time.perf_counter()
        asking.run("many", runs=SEEN_RUNS)
        last = int(asking.ask("events", {})["upto"]["flows"])
        lost = 0
        for socket in sockets:
            numbers = set()
            while last not in numbers and socket.poll(5000):
                numbers.add(json.loads(socket.recv_multipart()[1])["number"])
            lost += len(set(range(first, last + 1)) - numbers)
        lasted = time.perf_counter() - began
        for socket in (*sockets, stalled):
            socket.close(0)
    events = last - first + 1
    print(f"  {events} events to {SUBSCRIBERS} subscribers in {lasted:.2f} s, {lost} lost, beside "
          "one that does not read")  # fmt: skip
    return events * SUBSCRIBERS / lasted


def main(rounds: int) -> None:
    """Measure and print everything."""
    with tempfile.TemporaryDirectory() as folder, bare_pipeline.pipeline(Path(folder)) as sockets:
        bare, way = bare_pipeline.rate(sockets, 5.0), bare_pipeline.way(sockets, 500)
    flows = {"chain": CHAIN, "many": MANY, "fan": FAN}
    with deployment([], "", flows=flows) as made:
        print(f"median fsync of 4 KiB on this disk: {median_fsync_ms(made.folder):.3f} ms")
        print(f"bare pipeline: {bare:.0f} messages/s, one alone {1e3 * way:.2f} ms")
        with flows_running(made) as pids, synced(made.folder) as round_trip:
            asking = Asking(made)
            asking.run("many", runs=50)
            print(f"  chains of {STEPS} steps, {AT_ONCE} at once:")
            chains = [throughput(asking, pids, "many", RUNS * STEPS) for _ in range(rounds)]
            print("  one step for each of 1,000 and of 10,000:")
            fans = [throughput(asking, pids, "fan", n, items=n) for n in (1000, 10_000)]
            call = in_turns(lambda: asking.call(1), round_trip, SINGLE)
            chain = in_turns(lambda: asking.run("chain"), round_trip, SINGLE // 3)
            delivered = to_subscribers(asking, made)
    steps = median(chains)
    print(f"durable steps: {steps:.0f}/s, {steps / bare:.2f} of the bare pipeline's messages")
    print(f"for each of 10,000 beside 1,000: {fans[0] / fans[1]:.2f} times as long a step")
    for what, (took, trip) in (("call of an action", call), (f"flow of {STEPS} steps", chain)):
        print(f"{what}: {took:.2f} ms, {took / trip:.1f} synced round trips of {trip:.2f} ms")
    print(f"delivered to subscribers: {delivered:.0f} events/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
