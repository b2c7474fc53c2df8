"""The sentences of `nowcast run-worker`, and its exit code, from records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nowcast_cli.cli.backfill import _bad
from nowcast_cli.cli.chain import Follower
from nowcast_cli.cli.following import Decision, how_it_ended, what_follows, why_it_ended
from nowcast_cli.cli.times import local, seconds_between, words
from nowcast_cli.cli.watching import exit_code_of
from nowcast_cli.runner import Exit
from nowcast_cli.store.records import JobRecord, MessageRecord

BEGIN, END = "2026-11-22T03:04:05.100Z", "2026-11-22T03:04:07.100Z"

JOB = JobRecord(
    id="01935000-0000-7000-8000-00005f3a9c21", worker="sleep", module="workers.sleep",
    arguments=(), host="localhost", executor="local", state="succeeded", attempt=1,
    predecessor=None, cause=None, chain="c", barrier=None, created=BEGIN, started=BEGIN, ended=END,
)  # fmt: skip
OTHER = Follower("01935000-0000-7000-8000-0000ffffffff", "awaken", "running")
SLEEP = Follower(JOB.id, JOB.worker, JOB.state)
MESSAGE = MessageRecord(
    number=7, id="m", received=END, source="sleep", type="success", body=None, job=JOB.id,
    chain="c", outcome="success", state="decided",
)  # fmt: skip


def exit_of(code: int | None, signal: int | None = None) -> Exit:
    return Exit(code, signal, END, None, 0, 0.0)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("succeeded", "sleep succeeded in 2.0 s (job 5f3a9c21)"),
        ("failed", "sleep failed after 2.0 s (job 5f3a9c21)"),
        ("timed out", "sleep timed out after 2.0 s (job 5f3a9c21)"),
        ("cancelled", "sleep was cancelled after 2.0 s (job 5f3a9c21)"),
        ("lost", "sleep was lost after 2.0 s (job 5f3a9c21)"),
    ],
)
def test_each_end_has_its_sentence(state: str, sentence: str) -> None:
    assert how_it_ended(replace(JOB, state=state)) == sentence


def test_a_job_that_never_began_has_no_length() -> None:
    never = replace(JOB, state="cancelled", started=None)
    assert how_it_ended(never) == "sleep was cancelled (job 5f3a9c21)"


def test_the_reason_names_the_command_that_tells_more() -> None:
    assert why_it_ended(JOB) == []
    assert why_it_ended(replace(JOB, reason="killed\nTraceback")) == [
        "  killed; see `nowcast job show 5f3a9c21`"
    ]


def test_what_follows_is_one_or_several_or_nothing() -> None:
    assert what_follows(Decision(None, [])) == ["nothing follows"]
    assert what_follows(Decision(MESSAGE, [])) == ["nothing follows"]
    assert what_follows(Decision(MESSAGE, [OTHER])) == ["awaken follows (job ffffffff)"]
    assert what_follows(Decision(MESSAGE, [OTHER, SLEEP, SLEEP])) == [
        "awaken (job ffffffff), sleep (job 5f3a9c21) and sleep (job 5f3a9c21) follow"
    ]


def test_an_ensemble_follows_as_one() -> None:
    members = Follower("01935000-0000-7000-8000-0000eeeeeeee", "run 1..3", "open", "ensemble")
    assert what_follows(Decision(MESSAGE, [members])) == ["run 1..3 follows (ensemble eeeeeeee)"]


def test_what_a_barrier_holds_is_said_to_be_held() -> None:
    held = replace(OTHER, state="held")
    expected = "awaken follows (job ffffffff, held by a barrier)"
    assert what_follows(Decision(MESSAGE, [held])) == [expected]


def test_what_has_no_place_yet_is_said_to_wait_and_another_attempt_to_be_one() -> None:
    waiting = replace(OTHER, state="waiting")
    assert what_follows(Decision(MESSAGE, [waiting])) == [
        "awaken follows (job ffffffff, which waits)"
    ]
    again = replace(MESSAGE, type="failure", note="tried again as job 7")
    assert what_follows(Decision(again, [OTHER])) == ["it is tried again as job 7"]


def test_a_date_whose_worker_was_tried_again_has_not_failed() -> None:
    failed = replace(JOB, state="failed")
    again = replace(JOB, id="8", predecessor=JOB.id, tried=2, state="succeeded")
    assert _bad([again, failed]) == []
    assert _bad([replace(again, state="crashed"), failed]) == [replace(again, state="crashed")]


def test_a_stuck_message_says_why_in_its_last_line() -> None:
    stuck = replace(MESSAGE, state="stuck", error="Traceback\n  x\nZeroDivisionError: no\n")
    sentence, note = what_follows(Decision(stuck, []))
    assert sentence == "what follows could not be decided"
    assert note == (
        "message 7 (sleep success) is stuck: ZeroDivisionError: no; see `nowcast message show 7`"
    )


@pytest.mark.parametrize(
    ("exit_", "state", "code"),
    [
        (exit_of(0), "succeeded", 0),
        (exit_of(75), "succeeded", 75),
        (exit_of(0), "crashed", 70),
        (exit_of(0), "failed", 1),
        (exit_of(None, 9), "crashed", 137),
        (None, "succeeded", 0),
        (None, "failed", 1),
        (None, "lost", 70),
    ],
)
def test_the_exit_code_is_that_of_the_process_or_fits_the_state(
    exit_: Exit | None, state: str, code: int
) -> None:
    assert exit_code_of(replace(JOB, state=state), exit_) == code


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (192, "3 min 12 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_lengths_of_time_read_well(seconds: float | None, text: str) -> None:
    assert words(seconds) == text


def test_times_that_are_not_known_are_a_dash() -> None:
    assert local(None) == "-"
    assert seconds_between(BEGIN, None) is None
    assert seconds_between(END, BEGIN) == 0
