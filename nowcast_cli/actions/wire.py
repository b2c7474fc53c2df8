"""Frames between the action host and an action worker, over a socket pair.

A frame is the length of its content, a letter for its kind, and the content. Orders and results
have a number before their JSON text, so that the host passes the text on without reading it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

# to the action worker
ORDER = b"O"  # until when it may be begun, then the text of an Order
ANSWER = b"S"  # the text of an Answer

# to the host
IMPORTING = b"I"  # the name of a component, or nothing once all are imported
READY = b"Y"  # {component: why it cannot be called}
RESULT = b"R"  # for how many seconds it was under way, then the text of a Result
NOT_BEGUN = b"N"  # the order at the head came too late to be begun
PROGRESS = b"P"  # the text of a Progress
RENEWED = b"W"  # {"id", "seconds"}
ASK = b"A"  # the text of an Ask

_HEAD = struct.Struct(">Ic")
_NUMBER = struct.Struct(">d")


def frame(kind: bytes, content: bytes = b"") -> bytes:
    """Give a frame."""
    return _HEAD.pack(len(content), kind) + content


def numbered(kind: bytes, number: float, text: bytes) -> bytes:
    """Give a frame of a number and a text."""
    return _HEAD.pack(len(text) + _NUMBER.size, kind) + _NUMBER.pack(number) + text


def number_and_text(content: bytes) -> tuple[float, bytes]:
    """Take the content of a frame apart that :func:`numbered` gave."""
    return _NUMBER.unpack_from(content)[0], content[_NUMBER.size :]


class FrameReader:
    """Puts frames together from the parts in which a stream brings them."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._needs = _HEAD.size

    def feed(self, part: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Take a part of the stream; give the kinds and contents that are complete by it."""
        self._data += part
        if len(self._data) < self._needs:
            return
        data, at = bytes(self._data), 0
        while len(data) - at >= _HEAD.size:
            length, kind = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + length
            if end > len(data):
                self._needs = end - at
                break
            yield kind, data[at + _HEAD.size : end]
            at = end
        else:
            self._needs = _HEAD.size
        del self._data[:at]
