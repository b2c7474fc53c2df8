"""Echo throughput through the message broker, beside ``zmq.proxy``, in pairs of one run.

REQ clients in this process, a broker process, an echo process in the manager's place. Each round
measures both, one after the other, because a machine's speed drifts; the ratios are medians of
the rounds' ratios. Run it with ``.venv/bin/python tests/benchmarks/broker_echo.py [SECONDS
[ROUNDS]]`` (seconds for each single measurement).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import zmq

sys.path.insert(0, str(Path(__file__).parent.parent))

from broker_process import running_broker
from ports import free_port

REQUEST = b"source: sleep\ntype: success\npayload:\n  note: " + b"x" * 190 + b"\n"
REPLY = b'{"source": "manager", "type": "ack", "payload": null}'
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    per_second: float
    cpu_us: float  # of the broker process, for a round trip
    p50_ms: float
    p99_ms: float


def proxy(workers: int, manager: int) -> None:
    context = zmq.Context()
    frontend = context.socket(zmq.ROUTER)
    frontend.bind(f"tcp://127.0.0.1:{workers}")
    backend = context.socket(zmq.DEALER)
    backend.bind(f"tcp://127.0.0.1:{manager}")
    zmq.proxy(frontend, backend)


def echo(port: int) -> None:
    manager = zmq.Context().socket(zmq.DEALER)
    manager.connect(f"tcp://127.0.0.1:{port}")
    while True:
        frames = manager.recv_multipart()
        frames[-1] = REPLY
        manager.send_multipart(frames)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS")) / 1024


def measure(port: int, broker_pid: int, clients: int, seconds: float) -> Measured:
    with zmq.Context() as context:
        poller = zmq.Poller()
        sockets = [context.socket(zmq.REQ) for _ in range(clients)]
        for client in sockets:
            client.linger = 0
            client.connect(f"tcp://127.0.0.1:{port}")
            poller.register(client, zmq.POLLIN)
            client.send(REQUEST)
        for client in sockets:
            client.recv()
        began, cpu_before = time.perf_counter(), cpu_seconds(broker_pid)
        sent = {}
        for client in sockets:
            sent[client] = time.perf_counter()
            client.send(REQUEST)
        latencies = []
        while (now := time.perf_counter()) - began < seconds:
            for client, _ in poller.poll():
                client.recv()
                now = time.perf_counter()
                latencies.append(now - sent[client])
                sent[client] = now
                client.send(REQUEST)
        cpu = cpu_seconds(broker_pid) - cpu_before
        for client in sockets:
            client.close()
    latencies.sort()
    count = len(latencies)
    return Measured(
        per_second=count / (now - began),
        cpu_us=1e6 * cpu / count,
        p50_ms=1e3 * latencies[count // 2],
        p99_ms=1e3 * latencies[int(count * 0.99)],
    )


def report(name: str, clients: int, runs: list[Measured]) -> None:
    print(
        f"{clients} clients, {name:9}"
        f" {median(run.per_second for run in runs):8.0f}/s"
        f"   p50 {median(run.p50_ms for run in runs):.2f} ms"
        f"   p99 {median(run.p99_ms for run in runs):.2f} ms"
        f"   broker CPU {median(run.cpu_us for run in runs):.0f} us a round trip"
    )


def main(seconds: float = 2.0, rounds: int = 5) -> None:
    ports = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder, running_broker(Path(folder)) as broker:
        fork = multiprocessing.get_context("spawn")
        beside = fork.Process(target=proxy, args=ports, daemon=True)
        echoes = [
            fork.Process(target=echo, args=(p,), daemon=True) for p in (ports[1], broker.manager)
        ]
        for process in (beside, *echoes):
            process.start()
        assert beside.pid is not None
        sides = {"broker": (broker.workers, broker.pid), "zmq.proxy": (ports[0], beside.pid)}
        for clients in (1, 8):
            runs: dict[str, list[Measured]] = {name: [] for name in sides}
            for _ in range(rounds):
                for name, (port, pid) in sides.items():
                    runs[name].append(measure(port, pid, clients, seconds))
            for name, of_name in runs.items():
                report(name, clients, of_name)
            pairs = list(zip(runs["broker"], runs["zmq.proxy"], strict=True))
            print(
                f"{clients} clients, broker / zmq.proxy: round trips a second "
                f"{median(a.per_second / b.per_second for a, b in pairs):.2f},"
                f" CPU {median(a.cpu_us / b.cpu_us for a, b in pairs):.2f}"
            )
        print(f"resident memory of the broker: {resident_mb(broker.pid):.1f} MB")
        for process in (beside, *echoes):
            process.kill()


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((float, int), sys.argv[1:], strict=False)))
