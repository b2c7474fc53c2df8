"""What the monitor of a ZeroMQ socket tells.

pyzmq can read that too, but brings asyncio along, which costs each process that connects some
20 ms and 2 MB.
"""

from __future__ import annotations

import struct
from typing import Any

import zmq

# What tells of connections that come and go.
PEERS = int(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)

_TOLD = struct.Struct("=hi")  # in the first of two frames; the second is an address


def next_event(monitor: zmq.Socket[Any]) -> tuple[int, int]:
    """Take the next event, which is there, and its value, a descriptor for some of them."""
    event, value = _TOLD.unpack(monitor.recv_multipart(zmq.NOBLOCK)[0])
    return event, value
