"""Did you mean."""

from __future__ import annotations

import string

from hypothesis import assume, given
from hypothesis import strategies as st

from nowcast_cli.config.hints import closest, did_you_mean

NAMES = st.text(string.ascii_lowercase + "_", min_size=4, max_size=20)


@given(st.text(max_size=20), st.lists(st.text(max_size=20)))
def test_only_known_names_are_suggested(word: str, known: list[str]) -> None:
    suggestion = closest(word, known)
    assert suggestion is None or suggestion in known


@given(NAMES, st.lists(NAMES))
def test_a_known_name_is_closest_to_itself_and_not_suggested(name: str, others: list[str]) -> None:
    assert closest(name, [*others, name]) == name
    assert did_you_mean(name, [*others, name]) == ""


@given(NAMES, st.data())
def test_one_slip_of_a_finger_is_understood(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 1))
    slipped = name[:place] + data.draw(st.sampled_from(["", "x", "xx"])) + name[place + 1 :]
    assume(slipped != name)
    assume(2 * (len(name) - 1) / (len(name) + len(slipped)) >= 0.75)
    assert closest(slipped, ["zzzzzzzzzzzzzzzzzzzzzzzzzzzzz", name]) == name


def test_case_and_separators_do_not_matter_much() -> None:
    assert closest("Checklist_File", ["checklist file", "python"]) == "checklist file"
    assert did_you_mean("pythn", ["python"]) == "; did you mean 'python'?"
    assert did_you_mean("zqm", ["zmq", "run"]) == "; did you mean 'zmq'?"
    assert did_you_mean("archive", ["checklist file", "python"]) == ""
