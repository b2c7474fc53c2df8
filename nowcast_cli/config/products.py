"""Operational files that are made and delivered: the section ``products``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast_cli.config.product_folders import folder_trouble
from nowcast_cli.config.reading import Reading

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from nowcast_cli.config.findings import Finding

SECTION = "products"
ABOUT = ("title", "contact", "licence", "institution", "source")
PRODUCT_KEYS = (*ABOUT, "parents", "files", "expected", "retention", "box", "folder")
_FILES_KEYS = ("variables", "hours", "members", "count")
_EXPECTED_KEYS = ("by", "after", "cycles")
_RETENTION_KEYS = ("keep", "age", "space")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_RANGE = re.compile(r"(\d{1,4})\s*\.\.\s*(\d{1,4})(?:\s*/\s*(\d{1,3}))?")
_CYCLE = re.compile(r"([01]?\d|2[0-3])(?::([0-5]\d))?")
_KEEP = re.compile(r"(\d{1,6})(?:\s*cycles?)?")
_EXAMPLE = "{hrdps: {title: HRDPS surface fields, files: 48}}"


@dataclass(frozen=True, slots=True)
class Expected:
    """When instances are to be complete, for reference times at ``cycles`` (hour, minute; UTC).

    ``by`` a time of each day in ``zone``, or ``after`` so many seconds from the reference time.
    """

    cycles: tuple[tuple[int, int], ...]
    by: tuple[int, int, int] | None = None
    zone: ZoneInfo | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """What of a product is kept: so many ``cycles`` (reference times), ``age`` s, ``space`` bytes.

    None is no limit; what is beyond any of them may expire.
    """

    cycles: int | None = None
    age: float | None = None
    space: int | None = None


@dataclass(frozen=True, slots=True)
class ProductSettings:
    """A product as it is declared.

    ``files`` is what a complete instance has (``{count}``, or ``{variables, hours, members}`` with
    lists), None where any file will do. ``box`` is west, south, east, north in degrees. ``about``
    are title, contact and the like; ``folder`` a template of where files of an instance belong.
    """

    name: str
    about: Mapping[str, str]
    parents: tuple[str, ...] = ()
    files: Mapping[str, Any] | None = None
    expected: Expected | None = None
    retention: Retention | None = None
    box: tuple[float, float, float, float] | None = None
    folder: str | None = None

    @property
    def title(self) -> str:
        """What people call it; its name where it has no title."""
        return self.about.get("title", self.name)


def products_of(config: Mapping[str, Any]) -> dict[str, ProductSettings]:
    """Give the products by name, in the order of the file; those with mistakes are left out."""
    return _read(config)[0]


def product_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong in ``products``."""
    yield from _read(config)[1]


def is_product_name(name: Any) -> bool:
    """Say whether a product may be called so: it is a part of URLs, topics and folders."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _read(config: Mapping[str, Any]) -> tuple[dict[str, ProductSettings], list[Finding]]:
    if config.get(SECTION) is None:
        return {}, []
    whole = Reading(config, ())
    section = whole.below(SECTION, _EXAMPLE)
    if section is None:
        return {}, whole.findings
    products = {}
    for name in section.entry:
        findings: list[Finding] = []
        product = _product(name, Reading(section.entry, section.path, findings))
        whole.findings += findings
        if product is not None and not findings:
            products[product.name] = product
    return products, whole.findings


def _product(name: Any, section: Reading) -> ProductSettings | None:
    if not is_product_name(name):
        words = "is no name of a product: small letters, digits, '_', '-' and '.', such as hrdps"
        section.wrong(name, words)
        return None
    if section.entry[name] is None:  # nothing has to be said of a product but its name
        return ProductSettings(name, {})
    entry = section.below(name, "{title: HRDPS surface fields, files: 48}")
    if entry is None:
        return None
    entry.refuse_unknown_keys(PRODUCT_KEYS)
    about = {key: word for key in ABOUT if (word := entry.word(key)) is not None}
    return ProductSettings(
        name, about, entry.lines("parents"), _files(entry), _expected(entry), _retention(entry),
        _box(entry), _folder(entry),
    )  # fmt: skip


def _files(entry: Reading) -> Mapping[str, Any] | None:
    if not isinstance(entry.entry.get("files"), Mapping):
        count = entry.whole("files", 1)
        return None if count is None else {"count": count}
    section = entry.below("files", "{variables: [u, v], hours: 0..24}")
    assert section is not None, "it is a mapping"
    section.refuse_unknown_keys(_FILES_KEYS)
    count, variables = section.whole("count", 1), section.lines("variables")
    if not section.entry:
        entry.wrong("files", "says nothing of what there is to be", "such as files: 48")
    wanted: dict[str, Any] = {} if count is None else {"count": count}
    if variables:
        wanted["variables"] = list(variables)
    for key in ("hours", "members"):
        numbers = _numbers(section, key)
        if numbers is not None:
            wanted[key] = numbers
    return wanted


def _numbers(section: Reading, key: str) -> list[int] | None:
    value = section.entry.get(key)
    if value is None:
        return None
    found = _RANGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None and int(found[1]) <= int(found[2]) and found[3] != "0":
        return list(range(int(found[1]), int(found[2]) + 1, int(found[3] or 1)))
    values = value if isinstance(value, list) else [value]
    if values and all(type(each) is int and 0 <= each <= 9999 for each in values):
        return sorted(set(values))
    words = "must be a range of whole numbers such as '0..24' or '0..48/3', or a list of them"
    section.wrong(key, f"{words}, not {value!r}")
    return None


def _expected(entry: Reading) -> Expected | None:
    section = entry.below("expected", '{by: "05:30"}')
    if section is None:
        return None
    section.refuse_unknown_keys(_EXPECTED_KEYS)
    cycles, after = _cycles(section), section.duration("after")
    by, zone = _by(section)
    if ("by" in section.entry) == ("after" in section.entry):
        words = "names a time of day with `by`, or a length of time with `after`, one of them"
        entry.wrong("expected", words, "such as expected: {after: 4h}")
    if "by" in section.entry and len(cycles) > 1:
        words = "are several, and `by` is one time of each day"
        section.wrong("cycles", words, "say how long each one takes: after: 4h")
    return Expected(cycles, by, zone, after)


def _by(section: Reading) -> tuple[tuple[int, int, int] | None, ZoneInfo | None]:
    value = section.entry.get("by")
    if value is None:
        return None, None
    from nowcast_cli.config.timing import WrongTiming, time_of_day
    from nowcast_cli.config.zones import local_zone, named_zone
    from nowcast_cli.errors import ConfigError

    clock, _, zone = value.partition(" ") if isinstance(value, str) else (value, "", "")
    try:
        return time_of_day(clock), named_zone(zone.strip()) if zone else local_zone()
    except (WrongTiming, ValueError, ConfigError) as error:
        section.wrong("by", getattr(error, "message", None) or str(error))
        return None, None


def _cycles(section: Reading) -> tuple[tuple[int, int], ...]:
    value = section.entry.get("cycles")
    values = value if isinstance(value, list) else ["00"] if value is None else [value]
    found = [_CYCLE.fullmatch(str(each).strip()) for each in values]
    if not found or None in found:
        section.wrong("cycles", f"must be hours such as ['00', '12'], in UTC, not {value!r}")
        return ((0, 0),)
    return tuple(sorted({(int(each[1]), int(each[2] or 0)) for each in found if each is not None}))


def _retention(entry: Reading) -> Retention | None:
    section = entry.below("retention", "{keep: 10 cycles, age: 30d, space: 50 GB}")
    if section is None:
        return None
    section.refuse_unknown_keys(_RETENTION_KEYS)
    keep = section.entry.get("keep")
    found = None if isinstance(keep, bool) else _KEEP.fullmatch(str(keep).strip())
    if keep is not None and (found is None or int(found[1]) < 1):
        section.wrong("keep", f"must be such as '10 cycles', not {keep!r}")
    cycles = int(found[1]) if found is not None else None
    return Retention(cycles, section.duration("age"), section.size("space"))


def _folder(entry: Reading) -> str | None:
    folder = entry.word("folder")
    trouble = None if folder is None else folder_trouble(folder)
    if trouble is not None:
        entry.wrong("folder", trouble)
    return folder


def _box(entry: Reading) -> tuple[float, float, float, float] | None:
    box = entry.entry.get("box")
    if box is None:
        return None
    numbers = isinstance(box, list) and len(box) == 4
    if numbers and all(type(each) in (int, float) for each in box):
        west, south, east, north = (float(each) for each in box)
        if -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90:
            return west, south, east, north
    words = "must be west, south, east and north in degrees, such as [-126.5, 48, -122, 51]"
    entry.wrong("box", f"{words}, not {box!r}")
    return None
