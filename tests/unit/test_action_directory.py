"""Whose an action is: by the configuration, what services have said, and the mapping."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.action_mapping import ActionMapping, Component
from nowcast_cli.flows.owners import Owners
from nowcast_cli.manager import action_directory
from nowcast_cli.manager.action_directory import ACTION_HOST, PATIENCE_WITH_SERVICES, Directory


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def key(text: str) -> ActionKey:
    return ActionKey.parse(text)


def directory(*services: str, has_workers: bool = True) -> tuple[Directory, Clock]:
    clock = Clock()
    made = Directory(clock)
    mapping = ActionMapping({key("?Tides?predict"): Component("tides.predict")})
    owners = Owners({key("?Wind?"): "wind"})
    made.use(mapping, owners, services, has_workers)
    return made, clock


def who(made: Directory, text: str, **values: Any) -> tuple[str, str | None] | None:
    found = made.find(key(text), values)
    return None if found is None else (found.name, found.component)


def test_keys_that_are_made_up_are_not_remembered_without_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(action_directory, "MOST_KNOWN", 3)
    made, _ = directory()
    for number in range(10):
        assert who(made, f"?Made?up{number}") is None
        assert len(made._known) <= 3
    assert who(made, "?Wind?speed") == ("wind", None)


def test_an_owner_goes_before_the_mapping_and_both_by_the_nearest_key() -> None:
    made, _ = directory()
    assert who(made, "me?Tides?predict") == (ACTION_HOST, "tides.predict")
    assert who(made, "?Tides@PUBLISH?predict") == (ACTION_HOST, "tides.predict")
    assert who(made, "?Wind?blow") == ("wind", None)
    assert who(made, "?Rain?fall") is None
    made.hello("ingest", ["?Tides?predict", "?Wind?"])
    assert who(made, "?Tides?predict") == ("ingest", None)
    assert who(made, "?Wind?blow") == ("wind", None), "the configuration goes first"
    made.bye("ingest")
    assert who(made, "?Tides?predict") == (ACTION_HOST, "tides.predict")


def test_a_service_cannot_own_everything(caplog: pytest.LogCaptureFixture) -> None:
    made, _ = directory()
    with caplog.at_level(logging.ERROR):
        made.hello("ingest", ["??", "nonsense", "?Rain?fall"])
    assert who(made, "?Rain?fall") == ("ingest", None)
    assert len(caplog.records) == 2


def test_management_goes_to_the_service_that_the_values_name() -> None:
    made, _ = directory()
    asked = "Subject?ServiceManagement__GetServiceTopics@PUBLISH?get_service_topics"
    assert who(made, asked, service="wind") == ("wind", None)
    assert who(made, asked, service="rain") == ("rain", None)


def test_it_is_patient_with_services_that_have_not_said_hello() -> None:
    made, clock = directory("wind", "rain")
    assert made.patient_for == PATIENCE_WITH_SERVICES
    made.hello("wind", [])
    clock.seconds += 1.0
    assert made.patient_for == PATIENCE_WITH_SERVICES - 1.0
    made.hello("rain", [])
    assert made.patient_for == 0.0
    late, clock = directory("wind")
    clock.seconds += PATIENCE_WITH_SERVICES
    assert late.patient_for == 0.0
    late.use(ActionMapping({}), Owners(), ["wind"])
    assert late.patient_for == 0.0
    late.use(ActionMapping({}), Owners(), ["wind", "rain"])
    assert late.patient_for == PATIENCE_WITH_SERVICES, "one more was declared"
    none, _ = directory()
    assert none.patient_for == 0.0


def test_without_action_workers_nothing_is_carried_out_that_is_mapped() -> None:
    made, _ = directory(has_workers=False)
    assert who(made, "?Tides?predict") is None
    assert "`action workers: 0`" in made.nobody(key("?Tides?predict"))
    assert "does not map it" in made.nobody(key("?Rain?fall"))
    assert who(made, "?Wind?blow") == ("wind", None)
