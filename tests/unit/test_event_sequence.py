"""A subscriber's picture of a stream: each event once and in order, whatever comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.bus.sequence import MOST_HELD, Sequence
from nowcast_cli.messages.event import Event


def event(number: int) -> Event:
    return Event("jobs", number, "2026-11-22T03:00:00.000Z", "jobs~first~running", {"n": number})


def numbers(events: list[Event]) -> list[int]:
    return [each.number for each in events]


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, int, set[int], list[tuple[str, int, int]]]:
    """Where it begins, the last number, the numbers that are kept, and what comes."""
    begin = draw(st.integers(0, 5))
    last = begin + draw(st.integers(0, 30))
    kept = {n for n in range(1, last + 1) if draw(st.integers(0, 5))}  # some are never used
    heard = []
    for _ in range(draw(st.integers(0, 60))):
        kind = draw(st.sampled_from(["live", "beacon", "replay"]))
        first = draw(st.integers(0, last))
        heard.append((kind, first, draw(st.integers(0, 12))))
    return begin, last, kept, heard


@given(histories())
def test_each_event_comes_once_and_in_order_whatever_is_lost_late_or_told_twice(
    history: tuple[int, int, set[int], list[tuple[str, int, int]]],
) -> None:
    begin, last, kept, heard = history
    sequence = Sequence(begin)
    given_on: list[int] = []

    def replay(many: int) -> None:
        """Answer as the store does: the next events after what was seen, and up to where."""
        after = sequence.seen
        found = sorted(n for n in kept if n > after)[:many]
        upto = found[-1] if len(found) == many and many else max(last, after)
        given_on.extend(numbers(sequence.replayed([event(n) for n in found], upto)))

    for kind, first, many in heard:
        if kind == "live":
            for number in range(first, min(first + many, last) + 1):
                if number in kept:
                    given_on.extend(numbers(sequence.live(event(number))))
        elif kind == "beacon":
            sequence.told_last(first)
        else:
            replay(many + 1)
        assert given_on == sorted(set(given_on))
        assert sequence.seen >= max(given_on, default=begin)
    sequence.told_last(last)
    while sequence.misses:
        replay(7)
    assert given_on == sorted(n for n in kept if n > begin)


def test_an_event_that_comes_too_early_waits_for_those_before_it() -> None:
    sequence = Sequence(3)
    assert numbers(sequence.live(event(6))) == []
    assert sequence.misses
    assert numbers(sequence.live(event(4))) == [4]
    assert numbers(sequence.live(event(5))) == [5, 6]
    assert not sequence.misses


def test_the_loss_of_the_last_event_shows_by_the_beacon() -> None:
    sequence = Sequence(0)
    sequence.live(event(1))
    sequence.told_last(2)
    assert sequence.misses
    assert numbers(sequence.replayed([event(2)], 2)) == [2]
    assert not sequence.misses


def test_a_replay_that_ends_early_is_gone_on_with() -> None:
    sequence = Sequence(0)
    sequence.told_last(4)
    assert numbers(sequence.replayed([event(1), event(2)], 2)) == [1, 2]
    assert sequence.misses


def test_events_that_are_no_longer_kept_hold_nothing_up() -> None:
    sequence = Sequence(0)
    assert numbers(sequence.live(event(9))) == []
    assert numbers(sequence.replayed([event(8)], 8)) == [8, 9]


def test_what_comes_too_early_is_not_kept_without_bound() -> None:
    sequence = Sequence(0)
    for number in range(2, MOST_HELD + 10):
        sequence.live(event(number))
    assert numbers(sequence.live(event(1)))[-1] == MOST_HELD + 1
    assert sequence.misses
