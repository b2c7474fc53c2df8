"""What an agent does of an order, and what it tells of it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.agent.orders import (
    Sizes,
    Told,
    asks_for_nothing,
    facts_of,
    news_in,
    parts_of,
    sizes_for,
    to_do,
    weight_of,
)
from nowcast_cli.executors.mirror import News


def job(**what):
    nothing = {"pid": None, "exit": None, "gone": False, "left": None, "more": False, "age": 1.0}
    return {**nothing, "stdout": None, "stderr": None, "records": None, "outbox": {}, **what}


def answer(trouble=(), cleared=(), **jobs):
    return {"jobs": jobs, "trouble": list(trouble), "cleared": list(cleared)}


def test_a_job_that_has_begun_is_not_begun_again():
    order = {"submit": [{"id": "a"}, {"id": "b"}], "look": {"a": {}, "b": {}}, "cancel": ["a"]}
    done = to_do(order, {"a"}, 7.5, Sizes())
    assert done == {**order, "submit": [{"id": "b"}], "until": 7.5, "part": Sizes().read}


@given(message_size=st.integers(10_000, 100_000_000))
def test_all_that_is_told_of_a_job_at_once_fits_into_a_message(message_size):
    sizes = sizes_for(message_size)
    assert sizes.told + 3 * (sizes.read * 4 / 3) <= 0.51 * message_size
    assert 0 < sizes.read <= Sizes().read


def test_an_order_without_jobs_asks_for_nothing():
    assert asks_for_nothing({"submit": [], "look": {}, "cancel": [], "clear": []})
    assert not asks_for_nothing({"submit": [], "look": {"a": {}}, "cancel": [], "clear": []})


def test_all_is_told_to_a_new_order_and_then_what_is_new():
    told = Told("1")
    found = answer(a=job(pid="claim"), b=job())
    assert news_in(found, told) == found
    assert weight_of(news_in(found, told), told) is News.STEP
    told = told.and_(found)
    assert news_in(answer(a=job(pid="claim", age=2.0), b=job()), told) is None
    printed = answer(a=job(pid="claim", stdout="eA=="), b=job())
    assert news_in(printed, told) == answer(a=printed["jobs"]["a"])
    assert weight_of(news_in(printed, told), told) is News.OUTPUT
    ended = answer(a=job(pid="claim"), b=job(exit="how"))
    assert news_in(ended, told) == answer(b=ended["jobs"]["b"])
    assert weight_of(news_in(ended, told), told) is News.STEP


def test_nothing_new_has_no_weight():
    assert weight_of(None, Told("1")) is News.NOTHING


def test_trouble_is_told_when_it_comes_and_when_it_goes():
    told = Told("1").and_(answer())
    assert news_in(answer(), told) is None
    full = answer(trouble=["the disk is full"])
    assert news_in(full, told) == full
    told = told.and_(full)
    assert news_in(full, told) is None
    assert news_in(answer(), told) == answer()


def test_what_was_cleared_is_told():
    told = Told("1").and_(answer(a=job()))
    assert news_in(answer(cleared=["a"]), told) == answer(cleared=["a"])


sizes = st.lists(st.integers(0, 400), max_size=20)


@given(sizes=sizes, trouble=st.booleans(), largest=st.integers(1, 1000))
def test_parts_have_everything_once_the_smaller_jobs_first(sizes, trouble, largest):
    jobs = {f"job{number}": job(stdout="x" * size) for number, size in enumerate(sizes)}
    whole = answer(trouble=["it is full"] * trouble, cleared=["c"], **jobs)
    parts = list(parts_of(whole, largest))
    assert parts
    told = [job_id for part in parts for job_id in part["jobs"]]
    assert sorted(told) == sorted(jobs)
    assert [c for part in parts for c in part["cleared"]] == ["c"]
    assert all(part["trouble"] == whole["trouble"] for part in parts)
    lengths = [len(json.dumps(jobs[job_id])) for job_id in told]
    assert lengths == sorted(lengths)
    for part in parts:
        sized = [len(json.dumps(news)) for news in part["jobs"].values()]
        assert sum(sized) <= largest or len(sized) == 1 or not sized


@given(sizes=sizes)
def test_what_was_told_in_parts_is_not_told_again(sizes):
    jobs = {f"job{number}": job(pid="x" * size) for number, size in enumerate(sizes)}
    whole, told = answer(**jobs), Told("1")
    for part in parts_of(whole, 500):
        told = told.and_(part)
    assert news_in(whole, told) is None
    assert told.facts == {job_id: facts_of(news) for job_id, news in jobs.items()}
