"""GRIB, of both editions: its messages are told apart here, and looked into by eccodes.

eccodes gives the good messages of a file that is cut off, and only then an error; a reader that
stops early calls it whole. Here each message says how long it is, and has to end with 7777.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from nowcast_cli.products.scanning import Contents, ScannedFile, not_installed

_ENDINGS = (".grib", ".grib1", ".grib2", ".grb", ".grb1", ".grb2")
_BEGIN, _END = b"GRIB", b"7777"
_BETWEEN = 512  # bytes: headings of bulletins and padding, but no hole in a file
_LARGE = 0x800000  # a message of edition 1 that is longer counts in units of 120 bytes

# Of a variable that eccodes has no name for: the first three in edition 2, the others in 1.
_NUMBERS = (
    "discipline", "parameterCategory", "parameterNumber", "table2Version", "indicatorOfParameter",
)  # fmt: skip


def recognises(name: str, head: bytes) -> bool:
    """Say whether a file is called so, or begins so."""
    return head.startswith(_BEGIN) or name.lower().endswith(_ENDINGS)


def scan(file: ScannedFile) -> Contents:
    """Look into all messages. Raises NotWhole where one is cut off."""
    try:
        import eccodes
    except (ImportError, RuntimeError, OSError) as error:
        raise not_installed(file, "a GRIB file", "eccodes") from error
    variables: set[str] = set()
    times: set[datetime] = set()
    references: set[datetime] = set()
    members: set[str | None] = set()
    for number, message in enumerate(_messages(file), 1):
        try:
            handle = eccodes.codes_new_from_message(message)
        except eccodes.CodesInternalError as error:
            raise file.refused(f"is damaged: message {number} cannot be read: {error}") from error
        try:
            variables.add(_variable(eccodes, handle))
            members.add(_member(eccodes, handle))
            for found, day in ((times, "validity"), (references, "data")):
                time = _time(eccodes, handle, day)
                if time is not None:
                    found.add(time)
        finally:
            eccodes.codes_release(handle)
    return Contents(
        tuple(sorted(variables)),
        min(times, default=None),
        max(times, default=None),
        references.pop() if len(references) == 1 else None,
        members.pop() if len(members) == 1 else None,
    )


def _messages(file: ScannedFile) -> Iterator[bytes]:
    """Give one message after the other. Raises NotWhole."""
    number, at, held = 0, 0, b""
    while True:
        held += file.read(max(0, _BETWEEN + 16 - len(held)))
        begin = held.find(_BEGIN)
        if begin < 0:
            _check_rest(file, held, number, at)
            return
        number += 1
        head = held[begin:]
        while (length := _length(head)) is None and (more := file.read()):
            head += more
        if length is None:
            raise file.refused(f"is cut off: message {number} has no more than its first bytes")
        message = head[:length] + file.read(max(0, length - len(head)))
        if len(message) < length:
            raise file.refused(
                f"is cut off: message {number} at byte {at + begin:,} has "
                f"{len(message):,} of {length:,} bytes"
            )
        if not message.endswith(_END):
            raise file.refused(f"is damaged: message {number} does not end with 7777")
        yield message
        at += begin + length
        held = head[length:]


def _check_rest(file: ScannedFile, held: bytes, number: int, at: int) -> None:
    """See that nothing has begun in what follows the last message. Raises NotWhole."""
    if not number:
        raise file.refused("is no GRIB file: there is no message in its first bytes")
    if len(held) > _BETWEEN:
        raise file.refused(
            f"is damaged: what follows message {number} at byte {at:,} is no message"
        )
    if held.endswith((b"G", b"GR", b"GRI")):
        raise file.refused(f"is cut off: message {number + 1} has no more than its first bytes")


def _length(head: bytes) -> int | None:
    """Give the bytes of the message that begins so; None where too little of it is there."""
    if len(head) < 16:
        return None
    if head[7] != 1:
        return max(16, int.from_bytes(head[8:16], "big"))
    length = int.from_bytes(head[4:7], "big")
    if length < _LARGE:
        return max(16, length)
    return _large(head, length)


def _large(head: bytes, length: int) -> int | None:
    """Give the bytes of a message of edition 1 that is longer than its field can say.

    Where the length of the data section is below 120, the field counts in units of 120 bytes, and
    what that section says is to be taken off.
    """
    at = 8 + int.from_bytes(head[8:11], "big")
    flags = head[15]
    for bit in (0x80, 0x40):  # a section with the grid, and one with what is missing
        if flags & bit:
            if len(head) < at + 3:
                return None
            at += int.from_bytes(head[at : at + 3], "big")
    if len(head) < at + 3:
        return None
    data = int.from_bytes(head[at : at + 3], "big")
    return length if data >= 120 else (length & (_LARGE - 1)) * 120 - data + 4


def _variable(eccodes: Any, handle: int) -> str:
    name = _key(eccodes, handle, "shortName", str)
    if name is not None and name != "unknown":
        return str(name)
    numbers = (_key(eccodes, handle, key, int) for key in _NUMBERS)
    return ".".join(str(each) for each in numbers if each is not None)


def _member(eccodes: Any, handle: int) -> str | None:
    number = _key(eccodes, handle, "perturbationNumber", int)
    # The local part of edition 1 has a number for what is of no ensemble, too.
    if number == 0 and not _key(eccodes, handle, "numberOfForecastsInEnsemble", int):
        return None if _key(eccodes, handle, "edition", int) == 1 else "0"
    return None if number is None else str(number)


def _time(eccodes: Any, handle: int, which: str) -> datetime | None:
    date = _key(eccodes, handle, f"{which}Date", int)
    clock = _key(eccodes, handle, f"{which}Time", int)
    if date is None or clock is None:
        return None
    try:
        return datetime(
            date // 10000, date // 100 % 100, date % 100, clock // 100, clock % 100, tzinfo=UTC
        )
    except ValueError:
        return None


def _key(eccodes: Any, handle: int, key: str, kind: type) -> Any:
    """Give what a message says by a key; None where it does not have it."""
    try:
        return eccodes.codes_get(handle, key, ktype=kind)
    except eccodes.CodesInternalError:
        return None
