"""Where jobs are placed: by what they ask for, limits, priority, then least load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.requirements import Requirements
from nowcast_cli.config.resources import NO_RESOURCES, Resources
from nowcast_cli.manager.agent_placement import Room, Wanted, place, wanted_of, why_not

GPU = Requirements(frozenset({"gpu"}), frozenset({"old"}))
TAGS = ["gpu", "old", "fast"]


def room(name="a", **given):
    return Room(**{"name": name, "cpus": 4, "memory": 8, "all_cpus": 4, **given})


def placed(queues, *rooms):
    return dict(place(queues, rooms)[0])


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [
        (Wanted(), {}, True),
        (Wanted(cpus=5), {}, False),
        (Wanted(memory=9), {}, False),
        (Wanted(gpus=1), {}, False),
        (Wanted(gpus=1), {"gpus": 1}, True),
        (Wanted(), {"slots": 0}, False),
        (Wanted(), {"slots": 1}, True),
        (Wanted(), {"load": 3.0, "max_load": 3.0}, False),
        (Wanted(), {"load": 2.9, "max_load": 3.0}, True),
        (Wanted(requirements=GPU), {}, False),
        (Wanted(requirements=GPU), {"tags": frozenset({"gpu"})}, True),
        (Wanted(requirements=GPU), {"tags": frozenset({"gpu", "old"})}, False),
        (Wanted(requirements=GPU, only="a"), {}, True),
        (Wanted(only="b"), {}, False),
        (Wanted(cpus=0), {"cpus": 0}, False),
    ],
)
def test_what_fits(wanted, given, fits):
    assert room(**given).fits(wanted) is fits
    assert placed({wanted: ["j"]}, room(**given)) == ({"j": "a"} if fits else {})


def test_the_least_loaded_comes_first_and_each_job_adds_to_the_load():
    rooms = room("busy", load=2.0), room("idle"), room("large", all_cpus=16, cpus=16, load=2.0)
    jobs = [f"j{number}" for number in range(5)]
    assert placed({Wanted(): jobs}, *rooms) == {
        "j0": "idle", "j1": "large", "j2": "large", "j3": "idle", "j4": "large",
    }  # fmt: skip


def test_the_higher_priority_goes_first_then_the_oldest():
    queues = {Wanted(priority=0): ["1", "4"], Wanted(priority=5): ["3"], Wanted(cpus=2): ["2"]}
    order = [job for job, _ in place(queues, [room(cpus=9, all_cpus=9)])[0]]
    assert order == ["3", "1", "2", "4"]


def test_where_a_job_failed_before_comes_last_and_is_not_excluded():
    wanted = Wanted(avoid=frozenset({"a"}))
    assert placed({wanted: ["1"]}, room("a"), room("b", load=3.0)) == {"1": "b"}
    assert placed({wanted: ["1"]}, room("a"), room("b", slots=0)) == {"1": "a"}


def test_a_small_job_goes_past_a_large_one_that_fits_nowhere():
    assert placed({Wanted(cpus=8, priority=9): ["1"], Wanted(): ["2"]}, room()) == {"2": "a"}


def test_no_more_are_placed_than_a_round_may():
    found, left = place({Wanted(): ["1", "2", "3"]}, [room()], most=2)
    assert [job for job, _ in found] == ["1", "2"]
    assert left["a"].cpus == 2


@pytest.mark.parametrize(
    ("wanted", "rooms", "said"),
    [
        (Wanted(), [], "no agent takes jobs"),
        (Wanted(requirements=GPU), [room()], "no agent that takes jobs has gpu, !old"),
        (Wanted(only="b"), [room()], "the agent b takes no jobs"),
        (Wanted(cpus=5), [room()], "has as many cpus (5)"),
        (Wanted(memory=9000), [room()], "has as much memory (9.0 kB)"),
        (Wanted(gpus=1), [room()], "has as many gpus (1)"),
        (Wanted(cpus=9, memory=8), [room(), room("b", cpus=9, memory=7)], "all of its cpus"),
        (Wanted(), [room()], None),
    ],
)
def test_why_a_job_can_never_be_placed(wanted, rooms, said):
    found = why_not(wanted, rooms)
    assert (found is None) if said is None else (said in found)


def test_a_job_that_says_nothing_asks_for_one_cpu():
    assert wanted_of(NO_RESOURCES, Requirements(), 0) == Wanted(cpus=1)
    asked = Resources(cpus=2, memory=3, gpus=1)
    assert wanted_of(asked, GPU, 7, frozenset({"a"}), "b") == Wanted(
        7, GPU, 2, 3, 1, frozenset({"a"}), "b"
    )


tag_sets = st.frozensets(st.sampled_from(TAGS))
rooms_ = st.lists(
    st.builds(
        Room,
        st.sampled_from("abcdef"),
        st.integers(0, 6),
        st.integers(0, 6),
        st.integers(1, 8),
        tag_sets,
        st.integers(0, 2),
        st.none() | st.integers(0, 3),
        st.floats(0, 9),
        st.none() | st.floats(0, 9),
    ),
    max_size=6,
    unique_by=lambda each: each.name,
)
wanteds = st.builds(
    Wanted,
    st.integers(-1, 1),
    st.builds(Requirements, tag_sets, tag_sets),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 1),
    st.frozensets(st.sampled_from("abcdef"), max_size=2),
    st.none() | st.sampled_from("abc"),
)


@st.composite
def queued(draw):
    groups = draw(st.lists(wanteds, max_size=5, unique=True))
    ids = [f"{number:03}" for number in range(20)]
    owners = draw(st.lists(st.integers(0, 9), min_size=20, max_size=20))
    return {
        wanted: [job for job, owner in zip(ids, owners, strict=True) if owner == number]
        for number, wanted in enumerate(groups)
    }


@given(queued(), rooms_)
def test_nothing_is_ever_placed_where_it_does_not_fit_and_nothing_fits_that_was_not(queues, rooms):
    wanted_by = {job: wanted for wanted, jobs in queues.items() for job in jobs}
    found, left = place(queues, rooms)
    jobs = [job for job, _ in found]
    assert len(jobs) == len(set(jobs))
    now = {each.name: each for each in rooms}
    for job, agent in found:
        wanted = wanted_by[job]
        assert now[agent].fits(wanted)
        others = [each for each in now.values() if each.fits(wanted)]
        # Nobody without a failure is passed by, and nobody with less load.
        assert now[agent].rank(wanted) == min(each.rank(wanted) for each in others)
        now[agent] = now[agent].less(wanted)
    assert {name: each for name, each in now.items() if name in left} == left
    for job, wanted in wanted_by.items():
        if job not in jobs:
            assert not any(each.fits(wanted) for each in now.values())


@given(queued(), rooms_)
def test_jobs_of_a_kind_keep_their_order(queues, rooms):
    found = [job for job, _ in place(queues, rooms)[0]]
    for queue in queues.values():
        taken = [job for job in found if job in queue]
        assert taken == queue[: len(taken)]


@given(queued(), rooms_, st.integers(0, 20))
def test_a_round_that_is_cut_short_is_the_beginning_of_the_whole(queues, rooms, most):
    whole, part = place(queues, rooms)[0], place(queues, rooms, most)[0]
    assert part == whole[:most]


@given(wanteds, rooms_)
def test_what_is_never_possible_is_told(wanted, rooms):
    whole = [replace(each, slots=None, max_load=None, cpus=max(1, each.cpus)) for each in rooms]
    never = why_not(wanted, whole) is not None
    assert never == (not any(each.fits(wanted) for each in whole))
