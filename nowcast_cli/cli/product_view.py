"""Products for people: times as reference time and age, what is missing, where files are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from nowcast_cli.cli.output import Painted, Text
from nowcast_cli.cli.times import words
from nowcast_cli.config.sizes import size_words
from nowcast_cli.errors import NotFound
from nowcast_cli.products.completeness import missing_words
from nowcast_cli.store.product_records import FileRecord, InstanceRecord
from nowcast_cli.store.reader import Reader

INSTANCES = ["id", "reference time", "age", "version", "state", "files", "size", ""]


def reference_words(reference: str) -> str:
    """Give a reference time as people read it: ``2026-11-22 00:00Z``."""
    return reference.replace("T", " ").replace(":00Z", "Z")


def age_of(instant: str) -> float:
    """Give the seconds since a time that the index holds."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(instant)).total_seconds())


def age_words(instant: str) -> str:
    """Give the age of a reference time: ``5 h 12 min``, ``3 d 4 h``."""
    seconds = age_of(instant)
    if seconds < 86400:
        return words(seconds)
    days, rest = divmod(int(seconds), 86400)
    return f"{days} d {rest // 3600} h"


def state_of(instance: InstanceRecord) -> Painted:
    """Give how an instance is, in a word or two."""
    if instance.deleted is not None:
        return Painted("deleted", "yellow")
    if instance.complete is None:
        return Painted("incomplete", "yellow")
    return Painted("complete, late" if instance.late else "complete", "green")


def instance_row(instance: InstanceRecord) -> list[Text]:
    """Give the cells of an instance, under :data:`INSTANCES`."""
    more = ["pinned"] if instance.pinned is not None else []
    lacks = missing_words(instance.expects, instance.missing, instance.files)
    if lacks and instance.deleted is None:
        more.append(f"lacks {lacks}")
    return [
        instance.id[-8:],
        reference_words(instance.reference),
        age_words(instance.reference),
        str(instance.version),
        state_of(instance),
        str(instance.files),
        size_words(instance.size),
        "; ".join(more),
    ]


def file_rows(files: Iterable[FileRecord]) -> list[list[Text]]:
    """Give the cells of files: path or URL, size, format, variables, times and member."""
    return [
        [
            place_of(each.file.url),
            size_words(each.file.size),
            each.file.format,
            ",".join(each.data.variables),
            _times(each),
            f"member {each.data.member}" if each.data.member is not None else "",
        ]
        for each in files
    ]


def place_of(url: str) -> str:
    """Give the path of a file that is here, else its URL."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url


def _times(found: FileRecord) -> str:
    times = [
        reference_words(each)
        for each in (found.data.time_begin, found.data.time_end)
        if each is not None
    ]
    return " to ".join(dict.fromkeys(times))


def named_instance(
    reader: Reader, text: str, reference: str | None, complete: bool = False
) -> InstanceRecord:
    """Give an instance by its id, or that of a product: of a reference time, else the latest.

    Raises NotFound.
    """
    index = reader.products
    ids = index.instance_ids(text) if reference is None else []
    if len(ids) == 1:
        found = index.instance(ids[0])
    elif reference is not None:
        found = index.version(text, reference, complete)
    else:
        found = index.latest(text, complete)
    if found is None:
        of = "" if reference is None else f" of {reference_words(reference)}"
        kind = "complete instance" if complete else "instance"
        hint = f"nowcast product history {text}" if index.product(text) else "nowcast product list"
        raise NotFound(f"there is no {kind} of {text!r}{of}", hint=hint)
    return found
