"""What a key of the checklist was, from message to message, as the journal tells it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.checklist_values import look_up
from nowcast_cli.cli.output import Painted, Text

if TYPE_CHECKING:
    from nowcast_cli.store.records import MessageRecord


NEAR = 500


@dataclass(frozen=True)
class _Absent:
    """Stands for a value that is not there, since None is one."""


ABSENT = _Absent()


@dataclass(frozen=True)
class Version:
    """A change of a value: the message that made it, and the value before and after.

    ``before`` and ``after`` are ABSENT where there was, or is, none.
    """

    message: MessageRecord
    before: Any
    after: Any


@dataclass(frozen=True)
class _Effect:
    """What a message did: it cleared the checklist, or brought a payload for a top key."""

    message: MessageRecord
    clears: bool
    top: Any = None
    payload: Any = None


@dataclass(frozen=True)
class Difference:
    """One difference between two values: the way to it from their top, and what changed."""

    path: tuple[str, ...]
    before: Any
    after: Any


def keys_above(known: Iterable[str], key: str) -> tuple[list[str], list[str]]:
    """Give those of the ``known`` top keys (YAML) that ``key`` is at or below, and all as text."""
    from nowcast_cli.messages import wire

    texts = {yaml: str(wire.load(yaml)) for yaml in known}
    above = [yaml for yaml, text in texts.items() if text == key or key.startswith(f"{text}/")]
    return above, list(texts.values())


def history(
    effects: Iterable[MessageRecord],
    key: str,
    limit: int,
    base: Callable[[], tuple[int, Mapping[Any, Any]]] = lambda: (0, {}),
) -> list[Version]:
    """Give the last ``limit`` changes of the value at ``key``, the oldest first.

    ``effects`` are the messages that changed the top keys above it or cleared the checklist, the
    newest first; ``a/b`` is the value at ``b`` in the mapping at ``a``. No more of them are read
    than are needed: a part of a value that was last set more than ``NEAR`` messages before a
    change counts as new in it. ``base`` gives the checklist from which a journal that was cleaned
    goes on, with the number of the last message in it. What an older system had left in the
    checklist file is not in the journal.
    """
    earlier = iter(effects)
    found: deque[_Effect] = deque()
    number = max(NEAR, 2 * limit)
    while True:
        more = [_effect_of(message) for message in islice(earlier, number)]
        found.extendleft(more)
        versions = _replayed(found, key)
        # With messages before these, the first change has no true value before it.
        if len(versions) > limit:
            return versions[-limit:]
        if len(more) < number:
            last, checklist = base()
            later = (effect for effect in found if effect.message.number > last)
            return _replayed(later, key, checklist)[-limit:]
        number = 3 * len(found)


def _replayed(
    effects: Iterable[_Effect], key: str, base: Mapping[Any, Any] | None = None
) -> list[Version]:
    """Give the changes of the value at ``key``, as if there had been none before ``base``."""
    from nowcast_cli.store.merging import merged

    checklist: dict[Any, Any] = dict(base or {})
    versions: list[Version] = []
    before = _at(checklist, key)
    for effect in effects:
        if effect.clears:
            checklist.clear()
        else:
            checklist[effect.top], _ = merged(checklist, effect.top, effect.payload)
        after = _at(checklist, key)
        if after is not before and after != before:
            versions.append(Version(effect.message, before, after))
        before = after
    return versions


def _at(checklist: Mapping[Any, Any], key: str) -> Any:
    try:
        return look_up(checklist, key)
    except KeyError:
        return ABSENT


def _effect_of(message: MessageRecord) -> _Effect:
    from nowcast_cli.messages import wire

    if message.effect == "clear":
        return _Effect(message, True)
    return _Effect(message, False, wire.load(message.checklist_key or "null"), _payload(message))


def differences(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Give what differs, as deep down as both are mappings."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield Difference(path, before, after)
        return
    for name in {**before, **after}:
        old, new = before.get(name, ABSENT), after.get(name, ABSENT)
        if old is ABSENT or new is ABSENT or old != new:
            yield from differences(old, new, (*path, str(name)))


def row_of(difference: Difference) -> list[Text]:
    """Give a difference as a row: a sign, the way to it, and the values."""
    way = "/".join(difference.path)
    old, new = _shown(difference.before), _shown(difference.after)
    if difference.before is ABSENT:
        return [Painted("+", "green"), way, new] if way else [Painted("+", "green"), new]
    if difference.after is ABSENT:
        return [Painted("-", "red"), way, old] if way else [Painted("-", "red"), old]
    words = f"{old} → {new}"
    return [Painted("~", "yellow"), way, words] if way else [Painted("~", "yellow"), words]


def _payload(message: MessageRecord) -> Any:
    from nowcast_cli.messages import wire

    return None if message.body is None else wire.load(message.body).get("payload")


def _shown(value: Any) -> str:
    """Give a value on one line, cut where it is long."""
    if value is ABSENT:
        return ""
    text = value if isinstance(value, str) else _flow(value)
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:119] + "…"


def _flow(value: Any) -> str:
    import yaml

    text: str = yaml.dump(
        value, Dumper=yaml.CSafeDumper, default_flow_style=True, allow_unicode=True, width=1 << 20
    )
    return text.removesuffix("\n...\n")
