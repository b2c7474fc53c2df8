"""Receiving messages as the broker's devices do, which pass frames on and copy few of them."""

from __future__ import annotations

from typing import Any

import zmq

# Plain integers: flags of an enumeration cost more than the call they are given to.
IN, OUT = int(zmq.POLLIN), int(zmq.POLLOUT)
NOW, NOW_AND_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)

WaitFor = list[tuple[Any, int]]


def receive(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """Take one message, which is there. Raises zmq.Again where it went with its connection."""
    frame = socket.recv(NOW, False)
    frames = [frame]
    while frame.more:
        frame = socket.recv(NOW, False)
        frames.append(frame)
    return frames


def sizes(frames: list[zmq.Frame]) -> str:
    """Say how large frames are that are not what was expected."""
    return "frames of " + ", ".join(str(len(frame)) for frame in frames[:10]) + " bytes"
