"""The header of a classic NetCDF file, for how long the file has to be. Forms 1, 2 and 5."""

from __future__ import annotations

from math import prod
from typing import Protocol

from nowcast_cli.products.scanning import NotWhole, ScannedFile

# Bytes of a value of each type: byte, char, short, int, float, double, and those of form 5.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_MOST = 1 << 28  # bytes of a header: more is damage


class _More(Protocol):
    def read(self) -> bytes: ...


class _Header:
    """What is read of it, from the first bytes of a file on; more is taken when it is asked for."""

    def __init__(self, head: bytes, more: _More) -> None:
        self._held = bytearray(head)
        self._more = more
        self._at = 4
        self.wide = head[3] == 5
        self._offset = 4 if head[3] == 1 else 8

    def _take(self, size: int) -> bytes:
        if size > _MOST:
            raise EOFError
        while len(self._held) < self._at + size:
            found = self._more.read()
            if not found:
                raise EOFError
            self._held += found
        taken = bytes(self._held[self._at : self._at + size])
        self._at += size
        return taken

    def int4(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def count(self) -> int:
        return int.from_bytes(self._take(8 if self.wide else 4), "big")

    def offset(self) -> int:
        return int.from_bytes(self._take(self._offset), "big")

    def name(self) -> None:
        self._take(_padded(self.count()))

    def attributes(self) -> None:
        self.int4()
        for _ in range(self.count()):
            self.name()
            size = _SIZES[self.int4()]
            self._take(_padded(self.count() * size))


def least_size(head: bytes, file: ScannedFile) -> int:
    """Give the bytes that a file which begins so has at least. Raises NotWhole."""
    try:
        return _least_size(_Header(head, file))
    except EOFError:
        raise NotWhole(f"{file.path} is cut off: not even its header is whole") from None
    except (KeyError, IndexError):
        raise NotWhole(f"{file.path} is damaged: its header makes no sense") from None


def _least_size(header: _Header) -> int:
    records = header.count()
    streaming = records == (1 << (64 if header.wide else 32)) - 1
    header.int4()
    lengths = []
    for _ in range(header.count()):
        header.name()
        lengths.append(header.count())
    header.attributes()
    header.int4()
    fixed, recorded = [0], []
    for _ in range(header.count()):
        header.name()
        dimensions = [lengths[header.count()] for _ in range(header.count())]
        header.attributes()
        size = _SIZES[header.int4()]
        header.count()  # its size, which is no good where it is 4 GiB or more
        begin = header.offset()
        if dimensions and dimensions[0] == 0:  # the dimension of records
            recorded.append((begin, size * prod(dimensions[1:])))
        else:
            fixed.append(begin + size * prod(dimensions))
    if not recorded or not records or streaming:
        return max(fixed)
    # A lone variable of records is not padded.
    step = recorded[0][1] if len(recorded) == 1 else sum(_padded(size) for _, size in recorded)
    return max(*fixed, *(begin + (records - 1) * step + size for begin, size in recorded))


def _padded(size: int) -> int:
    return -(-size // 4) * 4
