"""What comes over the network, or does not: nonsense, floods, slow peers, a pulled cable."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

from lab.faults.peers import OpenConnection, crowd
from lab.places import process_at
from lab.plans import PlannedFault
from lab.system import LabSystem
from nowcast_cli.messages.message import Message

_NONSENSE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    bytes(range(256)) * 400,
    b"\xff" + bytes(8) + b"\x7f\x03",  # half a greeting
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48) + b"\xff" * 500,
    b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48)
    + b"\x02" + b"\x7f" * 8 + b"x" * 100,  # a frame of 9 exabytes
    b'{"id": 5}\n',
    b"",
)  # fmt: skip
_LARGE = 20_000_000  # bytes
# Clients, and in how many seconds: as the promise has it, and for a run that has to be short.
_FLOOD, _SHORT_FLOOD = (10_000, 60.0), (600, 3.6)
_PULLED, _SHORTLY_PULLED = 60.0, 3.0  # seconds


def take_port(system: LabSystem, fault: PlannedFault) -> bool:
    """Let a stranger listen on a port of the broker when that comes back from its death."""
    if system.namespaces is not None:
        return False
    port = system.settings["zmq"]["ports"][fault.place]
    with socket.socket() as stranger, ExitStack() as until_taken:
        until_taken.enter_context(system.down("message_broker"))
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        give_up = time.monotonic() + 5
        while True:
            try:
                stranger.bind(("127.0.0.1", port))
                break
            except OSError:
                if time.monotonic() > give_up:
                    return False
                time.sleep(0.01)
        stranger.listen()
        until_taken.close()
        time.sleep(0.3 + fault.strength / 100)
    return True


def talk_nonsense(system: LabSystem, fault: PlannedFault) -> bool:
    """Send bytes that nobody understands to a port or a socket, and hang up rudely."""
    for number in range(1 + fault.choice % 5):
        nonsense = _NONSENSE[(fault.choice + number) % len(_NONSENSE)]
        with _connected(system, fault.place) as peer, suppress(OSError):
            peer.settimeout(0.2)
            peer.sendall(nonsense)
            if number % 2 and peer.family == socket.AF_INET:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def _connected(system: LabSystem, place: str) -> socket.socket:
    family, address, kind = _addresses(system)[place]()
    peer = socket.socket(family, kind)
    with suppress(OSError):  # nobody is there just now, which is a fault of its own
        peer.settimeout(0.5)
        peer.connect(address)
    return peer


def _addresses(system: LabSystem) -> Mapping[str, Callable[[], tuple[int, object, int]]]:
    zmq, run = system.settings["zmq"], system.paths.run
    host = "127.0.0.1" if system.namespaces is None else zmq["host"]
    stream, packets = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
    return {
        "workers' port": lambda: (socket.AF_INET, (host, zmq["ports"]["workers"]), stream),
        "manager's port": lambda: (socket.AF_INET, (host, zmq["ports"]["manager"]), stream),
        "health socket": lambda: (socket.AF_UNIX, str(run / "manager.sock"), stream),
        "launcher's socket": lambda: (socket.AF_UNIX, str(run / "launcher.sock"), packets),
    }


def read_slowly(system: LabSystem, fault: PlannedFault) -> bool:
    """Be there, ask, and never read what is answered."""
    peer = _connected(system, fault.place)
    if fault.place == "workers' port":
        with suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            OpenConnection(peer).ask_for("hand", 50 + fault.strength * 3)
    timer = threading.Timer(0.2 + fault.strength / 100 * 2, peer.close)
    timer.daemon = True
    system.undoing.append(timer)
    timer.start()
    return True


def repeat_a_request(system: LabSystem, fault: PlannedFault) -> bool:
    """Have one message told by several clients at once, with the same id: it counts once."""
    message = Message("hand", "success", {"repeated": fault.choice}, id=system.new_hand_id())
    told = [
        threading.Thread(target=system.traffic.tell, args=(message,), daemon=True)
        for _ in range(2 + fault.choice % 3)
    ]
    for thread in told:
        thread.start()
    system.traffic.others += told
    return True


def flood(system: LabSystem, fault: PlannedFault) -> bool:
    """Have thousands of clients connect, tell one message each, and leave."""
    clients, seconds = _FLOOD if system.full else _SHORT_FLOOD
    ids = [system.new_hand_id() for _ in range(clients)]
    answered = crowd(system, ids, seconds)
    system.note("flood", clients=clients, answered=len(answered))
    system.traffic.acknowledged |= answered
    return True


def send_large(system: LabSystem, fault: PlannedFault) -> bool:
    """Tell of a payload of 20 MB, and then of a small one in its place."""
    for payload in ("x" * _LARGE, None):
        message = Message("hand", "progress", {"large": payload}, id=system.new_hand_id())
        system.traffic.tell(message)
    return True


def pull_the_cable(system: LabSystem, fault: PlannedFault) -> bool:
    """Cut the network between the broker and everybody else."""
    if system.namespaces is None or process_at(system, "manager", 0) is None:
        return False
    system.namespaces.plug(False)
    try:
        time.sleep(_PULLED if system.full else _SHORTLY_PULLED)
    finally:
        system.namespaces.plug(True)
    return True
