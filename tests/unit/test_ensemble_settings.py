"""What an ensemble is made of: members, and how they fill arguments and configurations."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli import NextWorker
from nowcast_cli.config.ensembles import (
    MOST_MEMBERS,
    EnsemblePlan,
    EnsembleSettings,
    Members,
    NotAnEnsemble,
    at_most_of,
    ending_of,
    ensemble_settings,
    filled,
    members_of,
    members_words,
    plan_of,
    request_of,
    wished,
)
from nowcast_cli.config.job_settings import job_findings
from nowcast_cli.config.registry import registry_of
from nowcast_cli.executors.batch_arrays import GATHERED_WITHIN, batches
from nowcast_cli.executors.batch_job import BatchJob
from nowcast_cli.executors.job_folder import JobRequest, MemberRequest
from nowcast_cli.manager.decision import decision_from_json, decision_of, decision_to_json


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        ("1..3", (1, 2, 3)),
        (" 7..7 ", (7,)),
        ("08..10", ("08", "09", "10")),
        (range(2, 5), (2, 3, 4)),
        (["control", 1, dt.date(2026, 11, 22), 0.5], ("control", 1, "2026-11-22", "0.5")),
        ({"member": [1, 2]}, (1, 2)),
        ({"day": ["a", "b"], "run": "1..2"}, ("a-1", "a-2", "b-1", "b-2")),
    ],
)
def test_members_are_a_range_a_list_or_combinations_of_parameters(value, labels):
    assert members_of(value).labels() == labels
    assert plan_of(EnsembleSettings(members_of(value))).at_least is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("3..1", "goes backwards"),
        ("a..b", "write a range such as"),
        ("1-3", "write a range such as"),
        (5, "write a range such as"),
        ([], "there are no members"),
        ({}, "there are no members"),
        ({"a": []}, "there are no members"),
        ([1, 1], "'1' is there twice"),
        ([1, "1"], "'1' is there twice"),
        ([True], "must be a number, a text or a date"),
        ([None], "must be a number, a text or a date"),
        ([[1]], "must be a number, a text or a date"),
        ([""], "printable text of 1 to 100"),
        (["x" * 101], "printable text of 1 to 100"),
        (["a\nb"], "printable text"),
        (["failed"], "cannot be called 'failed'"),
        ({"run date": [1]}, "letters, digits and _"),
        (f"1..{MOST_MEMBERS + 1}", "more than 100000 members"),
        ({"a": range(1000), "b": range(1000)}, "more than 100000 members"),
        (range(10**9), "more than 100000 members"),
    ],
)
def test_what_makes_no_members_is_said_so(value, said):
    with pytest.raises(NotAnEnsemble, match=said):
        members_of(value)


@pytest.mark.parametrize("value", ["some", 0, -1, True, 1.5, None, MOST_MEMBERS + 1])
def test_an_ending_is_all_any_or_a_number(value):
    with pytest.raises(NotAnEnsemble, match="must be all, any, or the number"):
        ending_of(value)
    with pytest.raises(NotAnEnsemble, match="must be a whole number"):
        at_most_of(value)


def test_more_successes_than_members_cannot_be_had():
    with pytest.raises(NotAnEnsemble, match="when 4 have succeeded, and has only 3 members"):
        plan_of(EnsembleSettings(members_of("1..3"), None, 4))
    assert plan_of(EnsembleSettings(members_of("1..3"), None, "any")).at_least == 1
    assert plan_of(EnsembleSettings()) is None


def test_a_launch_says_more_than_the_registry_where_it_says_something():
    registry = EnsembleSettings(members_of("1..21"), 5, "any")
    asked = EnsembleSettings(members_of("1..2"), None, "all")
    assert plan_of(asked.over(registry)) == EnsemblePlan(members_of("1..2"), 5, None)
    assert plan_of(EnsembleSettings().over(registry)).at_most == 5


@given(
    settings=st.builds(
        EnsembleSettings,
        st.none()
        | st.sampled_from(["1..3", [1, "two", 3], {"a": [1, 2], "b": ["x", "y"]}]).map(members_of),
        st.none() | st.integers(1, 9),
        st.none() | st.sampled_from(["all", "any", 1, 2]),
    )
)
def test_what_is_asked_for_survives_the_way_to_the_manager(settings):
    def wrong(key, words):
        raise AssertionError(key, words)

    assert ensemble_settings(request_of(settings), wrong) == settings


@given(
    st.text(st.sampled_from("{}member x_:"), max_size=30),
    st.dictionaries(st.sampled_from(["member", "x", "_"]), st.integers(0, 99), max_size=3),
)
def test_only_whole_placeholders_of_known_names_are_filled(text, values):
    expected = text
    for name, value in values.items():
        expected = expected.replace(f"{{{name}}}", str(value))
    assert filled([text], values) == (expected,)
    assert filled(['{"a": {b}}'], {"member": 3}) == ('{"a": {b}}',)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (range(1, 22), "1..21"),
        ([1, 2], "1, 2"),
        ([1, 3, 4], "1, 3, 4"),
        (["a", "b", "c", "d", "e"], "a, b, c, … (5)"),
        ([], ""),
        (["2026-11-21-1"], "2026-11-21-1"),
        (["2026-11-21-1", "2026-11-21-2", "2026-11-22-1"], "2026-11-21-1, … (3)"),
        ([2, 1, 0], "2, 1, 0"),
    ],
)
def test_members_are_named_in_a_few_characters(labels, words):
    assert members_words(labels) == words


def test_the_registry_has_members_and_says_what_is_wrong_with_them():
    def config(entry):
        return {"message registry": {"workers": {"run": {"success": "", **entry}}}}

    entry = {"members": "1..21", "at most": 5, "ends when": 15}
    settings = registry_of(config(entry)).jobs_of("run").ensemble
    assert settings == EnsembleSettings(members_of("1..21"), 5, 15)
    assert registry_of(config(entry)).workers["run"].messages == {"success": ""}
    wrong = {"members": "21..1", "at most": 0, "ends when": "some"}
    found = [(finding.path[-1], finding.message) for finding in job_findings(config(wrong))]
    assert [key for key, _ in found] == ["members", "at most", "ends when"]
    assert found[0][1] == "the range 21..1 goes backwards"
    (few,) = job_findings(config({"members": [1, 2], "ends when": 3}))
    assert few.path[-1] == "ends when"


def test_a_next_worker_without_members_is_what_it_was():
    plain = NextWorker("workers.a", ["--x"], "salish")
    assert repr(plain) == "NextWorker(module='workers.a', args=['--x'], host='salish')"
    assert plain == NextWorker("workers.a", args=["--x"], host="salish")
    assert plain != NextWorker("workers.a", ["--x"], "salish", for_each="1..2")
    ensemble = NextWorker("workers.a", for_each=range(1, 3), ending="any")
    assert repr(ensemble).endswith("for_each=range(1, 3), ending='any')")


def test_an_after_function_may_ask_for_an_ensemble():
    returned = [
        NextWorker("workers.a", ["--m", "{member}"], for_each=range(1, 4), at_most=2, ending=2),
        NextWorker("workers.b", for_each=[]),
        NextWorker("workers.c", for_each="1..2", ending="some"),
        NextWorker("workers.d"),
    ]
    decision = decision_of(returned, "after_x")
    assert [launch.module for launch in decision.launches] == ["workers.a", "workers.d"]
    assert decision.launches[0].ensemble == wished("1..3", 2, 2)
    no_members, no_ending = decision.warnings
    assert "workers.b makes no ensemble: its for_each: there are no members" in no_members
    assert "its ending: must be all, any" in no_ending
    assert decision_from_json(decision_to_json(decision)) == decision


def _batch_job(ensemble, index, size, since):
    part = None if ensemble is None else MemberRequest(ensemble, str(index), index, size, None)
    request = JobRequest(
        id=f"{ensemble}-{index}", attempt=1, worker="w", module="w", arguments=(), folder="/f",
        config_file="/c", working_directory="/", environment={}, ensemble=part,
    )  # fmt: skip
    return BatchJob(request, begin=True, since=since)


def test_members_that_come_together_are_submitted_together():
    alone, first = _batch_job(None, 0, 1, 0.0), _batch_job("e", 0, 3, 0.0)
    second, third = _batch_job("e", 1, 3, 0.1), _batch_job("e", 2, 3, 0.1)
    assert list(batches([third, alone, first, second], True, 0.1)) == [
        [alone],
        [first, second, third],
    ]
    # Not all are there: a moment is waited for the others.
    assert list(batches([second, first], True, 0.1)) == []
    assert list(batches([second, first], True, 0.11 + GATHERED_WITHIN)) == [[first, second]]
    assert list(batches([second, first], False, 0.1)) == [[second], [first]]


def test_an_ensemble_that_is_too_large_for_one_array_becomes_several():
    jobs = [_batch_job("e", index, 2500, 0.0) for index in range(2500)]
    assert [len(batch) for batch in batches(jobs, True, 0.0)] == [1000, 1000, 500]


def test_members_know_their_values():
    assert Members(("a", "b"), ((1, "x"),)).labels() == ("1-x",)
