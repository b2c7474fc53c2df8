"""Ensembles: one worker that is run once for each of several members. Pure.

``members``, ``at most`` and ``ends when`` stand in the worker's entry of the message registry, or
are wished for by a launch: ``NextWorker(…, for_each=…)``, ``run-worker --members``.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Literal, NoReturn

Label = int | str
Ending = Literal["all", "any"] | int

ENSEMBLE_KEYS = ("members", "at most", "ends when")
MOST_MEMBERS = 100_000
# Keys of the combined message beside the members' names.
FAILED, CANCELLED = "failed", "cancelled"

_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LONGEST_LABEL = 100  # characters
_LONGEST_WORDS = 24  # characters of members' names in a table
_HOW = "write a range such as 1..21, a list, or parameters with their values"


class NotAnEnsemble(ValueError):
    """What is given makes no ensemble; the text is the part of a sentence after a colon."""


@dataclass(frozen=True, slots=True)
class Members:
    """The members in order: a value for each of ``names``, of which ``member`` is the usual one."""

    names: tuple[str, ...]
    rows: tuple[tuple[Label, ...], ...]

    def labels(self) -> tuple[Label, ...]:
        """Give the members' names: the one value of each, or all of them joined by ``-``."""
        if len(self.names) == 1:
            return tuple(row[0] for row in self.rows)
        return tuple("-".join(map(str, row)) for row in self.rows)


@dataclass(frozen=True, slots=True)
class EnsembleSettings:
    """What is said of an ensemble in one place; None where nothing is.

    ``at_most`` members run at once. It ends when ``all`` members have, when ``any`` has succeeded,
    or when so many have.
    """

    members: Members | None = None
    at_most: int | None = None
    ending: Ending | None = None

    def over(self, other: EnsembleSettings) -> EnsembleSettings:
        """Give these settings, and where they say nothing those of ``other``."""
        return EnsembleSettings(
            other.members if self.members is None else self.members,
            other.at_most if self.at_most is None else self.at_most,
            other.ending if self.ending is None else self.ending,
        )


@dataclass(frozen=True, slots=True)
class EnsemblePlan:
    """An ensemble that is to be launched; ``at_least`` so many successes, None for all members.

    Without ``at_least`` all members are waited for; with it no longer than it takes to know.
    """

    members: Members
    at_most: int | None = None
    at_least: int | None = None


NO_ENSEMBLE = EnsembleSettings()


def plan_of(settings: EnsembleSettings) -> EnsemblePlan | None:
    """Give what is to be launched, None where there are no members. Raises NotAnEnsemble."""
    members = settings.members
    if members is None:
        return None
    at_least = None if settings.ending in ("all", None) else 1
    if isinstance(settings.ending, int):
        at_least = settings.ending
        if at_least > len(members.rows):
            raise NotAnEnsemble(
                f"it ends when {at_least} have succeeded, and has only {len(members.rows)} members"
            )
    return EnsemblePlan(members, settings.at_most, at_least)


def members_of(value: Any) -> Members:
    """Read members: ``1..21``, a list or range of values, or a mapping of names to such.

    The members of a mapping are all combinations of the values of its names, the last of which
    changes first. Numbers stay numbers; dates and whatever else becomes text. A range whose first
    number begins with 0 keeps the width: ``001..100``. Raises NotAnEnsemble.
    """
    if isinstance(value, Mapping):
        names = tuple(_name(name) for name in value)
        values = [_values(each, f"the values of {name}") for name, each in value.items()]
        _refuse_many(prod(map(len, values)))
        members = Members(names, tuple(product(*values)) if names else ())
    else:
        members = Members(("member",), tuple((each,) for each in _values(value, "the members")))
    _refuse_wrong(members)
    return members


def at_most_of(value: Any) -> int:
    """Read how many members may run at once. Raises NotAnEnsemble."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_MEMBERS:
        return value
    raise NotAnEnsemble(f"must be a whole number from 1 to {MOST_MEMBERS}, not {value!r}")


def ending_of(value: Any) -> Ending:
    """Read when an ensemble ends: ``all``, ``any`` or a number. Raises NotAnEnsemble."""
    if value == "all" or value == "any":
        return "all" if value == "all" else "any"
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_MEMBERS:
        return value
    raise NotAnEnsemble(
        f"must be all, any, or the number of members that have to succeed, not {value!r}"
    )


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "members": members_of,
    "at most": at_most_of,
    "ends when": ending_of,
}


def ensemble_settings(
    section: Mapping[Any, Any], wrong: Callable[[str, str], None]
) -> EnsembleSettings:
    """Read the keys of :data:`ENSEMBLE_KEYS`; ``wrong`` is given a key and what is wrong with it.

    What is wrong reads as left out.
    """
    read: dict[str, Any] = {}
    for key, reader in _READERS.items():
        if section.get(key) is None:
            continue
        try:
            read[key] = reader(section[key])
        except NotAnEnsemble as error:
            wrong(key, str(error))
    settings = EnsembleSettings(read.get("members"), read.get("at most"), read.get("ends when"))
    try:
        plan_of(settings)
    except NotAnEnsemble as error:
        wrong("ends when", str(error))
        return EnsembleSettings(settings.members, settings.at_most)
    return settings


def wished(for_each: Any, at_most: Any, ending: Any) -> EnsembleSettings:
    """Give what a NextWorker asks for; None is not said. Raises NotAnEnsemble."""
    given = {"members": for_each, "at most": at_most, "ends when": ending}

    def wrong(key: str, words: str) -> NoReturn:
        name = {"members": "for_each", "at most": "at_most", "ends when": "ending"}[key]
        raise NotAnEnsemble(f"its {name}: {words}")

    return ensemble_settings(given, wrong)


def request_of(settings: EnsembleSettings) -> dict[str, Any]:
    """Give settings as a launch has them: in values of JSON, without what they do not say."""
    said: dict[str, Any] = {"at most": settings.at_most, "ends when": settings.ending}
    if settings.members is not None:
        columns = zip(*settings.members.rows, strict=True)
        values = {
            name: list(dict.fromkeys(column))
            for name, column in zip(settings.members.names, columns, strict=True)
        }
        said["members"] = values["member"] if [*values] == ["member"] else values
    return {key: value for key, value in said.items() if value is not None}


def filled(texts: Iterable[str], values: Mapping[str, Label]) -> tuple[str, ...]:
    """Fill ``{name}`` in texts with the values of a member; other braces stay as they are."""
    return tuple(
        _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), text)
        if "{" in text
        else text
        for text in texts
    )


def members_words(labels: Iterable[Label]) -> str:
    """Name members in a few characters: ``1..21``, ``a, b``, ``control, 1, 2, … (22)``."""
    names = list(labels)
    first, last = (names[0], names[-1]) if names else ("", "")
    whole = isinstance(first, int) and isinstance(last, int)
    if whole and len(names) > 2 and names == list(range(int(first), int(last) + 1)):
        return f"{first}..{last}"
    every = ", ".join(map(str, names[:4]))
    if len(names) < 2 or (len(names) <= 4 and len(every) <= _LONGEST_WORDS):
        return every
    shown = [", ".join(map(str, names[:count])) for count in (3, 2, 1)]
    fits = next((text for text in shown if len(text) <= _LONGEST_WORDS), shown[-1])
    return f"{fits}, … ({len(names)})"


def _name(name: Any) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise NotAnEnsemble(f"the parameter {name!r} must be a name of letters, digits and _")


def _values(value: Any, what: str) -> tuple[Label, ...]:
    if isinstance(value, str):
        found = _RANGE.fullmatch(value.strip())
        if found is None:
            raise NotAnEnsemble(f"{what} must not be {value!r}; {_HOW}")
        return _range(found[1], found[2])
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise NotAnEnsemble(f"{what} must not be {value!r}; {_HOW}")
    labels: list[Label] = []
    for each in value:
        _refuse_many(len(labels) + 1)
        labels.append(_label(each))
    return tuple(labels)


def _range(first: str, last: str) -> tuple[Label, ...]:
    begin, end = int(first), int(last)
    _refuse_many(end - begin + 1)
    if end < begin:
        raise NotAnEnsemble(f"the range {first}..{last} goes backwards")
    if len(first) > 1 and first.startswith("0"):
        return tuple(f"{number:0{len(first)}d}" for number in range(begin, end + 1))
    return tuple(range(begin, end + 1))


def _label(value: Any) -> Label:
    if isinstance(value, bool) or value is None or isinstance(value, bytes | Mapping | list):
        raise NotAnEnsemble(f"a member must be a number, a text or a date, not {value!r}")
    # Numbers of numpy are numbers, too.
    label = operator.index(value) if hasattr(value, "__index__") else str(value)
    text = str(label)
    if not text.strip() or not text.isprintable() or len(text) > _LONGEST_LABEL:
        raise NotAnEnsemble(
            f"a member must be printable text of 1 to {_LONGEST_LABEL} characters, not {value!r}"
        )
    return label


def _refuse_wrong(members: Members) -> None:
    if not members.rows:
        raise NotAnEnsemble("there are no members")
    labels = members.labels()
    texts = set(map(str, labels))
    for word in (FAILED, CANCELLED):
        if word in texts:
            raise NotAnEnsemble(f"a member cannot be called {word!r}")
    if len(texts) < len(labels):
        (twice, _), *_ = Counter(map(str, labels)).most_common(1)
        raise NotAnEnsemble(f"the member {twice!r} is there twice")


def _refuse_many(count: int) -> None:
    if count > MOST_MEMBERS:
        raise NotAnEnsemble(f"there are more than {MOST_MEMBERS} members")
