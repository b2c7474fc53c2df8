"""Lines out of the chunks of bytes in which a file is read. Pure."""

from __future__ import annotations

LONGEST_LINE = 64 * 1024  # bytes; what is longer comes in pieces of this size


def split(held: bytes, chunk: bytes) -> tuple[list[bytes], bytes]:
    """Give the lines that are complete, without their ends, and what has to be held.

    ``held`` is what the call before gave back: the beginning of a line whose end is not there
    yet. Nothing is lost: the lines, each with its newline, and what is held, are the input.
    A line longer than ``LONGEST_LINE`` alone comes in pieces, so that memory stays bounded.
    """
    *lines, rest = (held + chunk).split(b"\n")
    pieces = [piece for line in lines for piece in _pieces(line)]
    *long, rest = _pieces(rest)
    return pieces + long, rest


def last_line(held: bytes) -> list[bytes]:
    """Give what was held as the last line of a file whose writer has ended."""
    return [held] if held else []


def shown(line: bytes) -> str:
    """Give a line as text, as a terminal would leave it standing: after its last return."""
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    return text.rpartition("\r")[2]


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= LONGEST_LINE:
        return [line]
    return [line[at : at + LONGEST_LINE] for at in range(0, len(line), LONGEST_LINE)]
