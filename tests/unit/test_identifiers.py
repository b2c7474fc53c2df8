"""Ids sort by time, and are never given twice."""

import os
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from nowcast_cli import identifiers
from nowcast_cli.identifiers import new_id, time_of


def test_an_id_is_a_uuid_of_version_7():
    parsed = uuid.UUID(new_id())

    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122


def test_ids_of_a_process_rise_also_within_a_millisecond():
    ids = [new_id() for _ in range(5000)]

    assert ids == sorted(set(ids))


def test_ids_rise_when_the_clock_steps_back(monkeypatch):
    before = new_id()
    monkeypatch.setattr(identifiers.time, "time_ns", lambda: 0)

    assert new_id() > before


def test_the_time_of_an_id_is_when_it_was_made():
    assert abs(time_of(new_id()) - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    "text", ["", "abc", "a4473f32-7b1e-41f4-9f2f-bdf08af604c9", "../../etc/passwd"]
)
def test_the_time_of_what_is_no_id_is_an_error(text):
    with pytest.raises(ValueError, match="not an id"):
        time_of(text)


def test_a_forked_child_draws_other_ids_than_its_parent(monkeypatch):
    monkeypatch.setattr(identifiers.time, "time_ns", lambda: 1)  # both draw at the same instant
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 36).decode() != new_id()
    os.close(reader)
    os.close(writer)
