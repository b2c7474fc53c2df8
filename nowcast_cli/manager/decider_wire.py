"""Frames between the manager and a decider, over a socket pair between the two.

A frame is four bytes of length (big endian) and that many of content. Towards the decider the
content is Python's ``marshal`` form, which knows integer keys and takes a microsecond; values that
it does not know (dates) go as YAML. Back comes JSON. Nothing is unpickled.
"""

from __future__ import annotations

import json
import marshal
import struct
from collections.abc import Iterator
from typing import Any

import yaml

from nowcast_cli.manager.state import Entry
from nowcast_cli.messages import wire

_LENGTH = struct.Struct("!I")


def frame(content: bytes) -> bytes:
    """Give ``content`` with its length before it."""
    return _LENGTH.pack(len(content)) + content


def pack_value(value: Any) -> tuple[str, bytes]:
    """Give any value that YAML can hold in the cheapest form that keeps it."""
    try:
        return "marshal", marshal.dumps(value)
    except ValueError:
        return "yaml", wire.dump(value).encode()


def unpack_value(packed: tuple[str, bytes]) -> Any:
    """Give back what :func:`pack_value` was given."""
    form, data = packed
    return marshal.loads(data) if form == "marshal" else yaml.load(data, Loader=yaml.CSafeLoader)


def pack_entry(entry: Entry) -> bytes:
    """Give an entry as the content of a frame."""
    head = (entry.number, entry.source, entry.type, entry.effect, entry.decide)
    return marshal.dumps((head, pack_value(entry.payload), pack_value(entry.key)))


def unpack_entry(content: bytes) -> Entry:
    """Give back the entry of a frame."""
    (number, source, kind, effect, decide), payload, key = marshal.loads(content)
    return Entry(number, source, kind, unpack_value(payload), effect, unpack_value(key), decide)


def pack_answer(answer: dict[str, Any]) -> bytes:
    """Give what a decider says as a whole frame."""
    return frame(json.dumps(answer).encode())


class FrameReader:
    """Cuts a stream of bytes into the contents of its frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take ``data`` in and give the frames that are complete."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            content = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield content
