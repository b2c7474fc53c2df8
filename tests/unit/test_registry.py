"""The message registry, and single settings."""

from __future__ import annotations

import pytest

from nowcast_cli.config.registry import MANAGER_WORDS, registry_of
from nowcast_cli.config.settings import (
    Endpoints,
    MessageSettings,
    endpoints,
    message_settings,
    next_workers_deadline,
)
from nowcast_cli.errors import ConfigError


def test_a_worker_has_its_key_its_module_and_its_messages() -> None:
    registry = registry_of(
        {
            "message registry": {
                "manager": {"ack": "got it"},
                "next workers module": "my.next_workers",
                "workers": {
                    "sleep": {
                        "checklist key": "sleepyhead",
                        "module": "my.sleep",
                        "success 12": "slept",
                        "need": None,
                    }
                },
            }
        }
    )
    sleep = registry.workers["sleep"]
    assert (sleep.name, sleep.checklist_key, sleep.module) == ("sleep", "sleepyhead", "my.sleep")
    assert sleep.messages == {"success 12": "slept", "need": ""}
    assert registry.next_workers_module == "my.next_workers"
    assert registry.manager["ack"] == "got it"


def test_a_missing_checklist_key_is_told_from_a_null_one() -> None:
    workers = {"a": {"checklist key": None}, "b": {}, "c": None}
    registry = registry_of({"message registry": {"workers": workers}})
    has_key = {name: entry.has_checklist_key for name, entry in registry.workers.items()}
    assert has_key == {"a": True, "b": False, "c": False}


def test_an_empty_configuration_has_default_words_and_no_workers() -> None:
    registry = registry_of({})
    assert registry.manager == MANAGER_WORDS
    assert registry.next_workers_module == "next_workers"
    assert registry.workers == {}


def test_a_worker_whose_messages_the_manager_answers_needs_no_after_function() -> None:
    workers = {
        "clear_checklist": {"clear checklist": "x"},
        "asker": {"need": "x"},
        "sleep": {"need": "x", "success": "y"},
    }
    registry = registry_of({"message registry": {"workers": workers}})
    needs = [name for name, entry in registry.workers.items() if entry.needs_after_function]
    assert needs == ["sleep"]


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ([], "message registry"),
        ({"workers": ["sleep"]}, "message registry.workers"),
        ({"workers": {"sleep": 5}}, "message registry.workers.sleep"),
    ],
)
def test_a_registry_of_another_form_is_refused(section: object, path: str) -> None:
    with pytest.raises(ConfigError, match=f"^{path}: must hold keys with values"):
        registry_of({"message registry": section})


def test_the_endpoints_are_read_with_loopback_as_the_default() -> None:
    ports = {"workers": 5555, "manager": "5556"}
    assert endpoints({"zmq": {"ports": ports}}) == Endpoints("localhost", 5555, 5556)
    assert endpoints({"zmq": {"host": "east", "ports": ports}}).host == "east"


@pytest.mark.parametrize("port", [0, 65536, "x", None, [1]])
def test_a_port_that_is_none_is_refused(port: object) -> None:
    with pytest.raises(ConfigError, match=r"zmq\.ports\.workers: must be a port"):
        endpoints({"zmq": {"ports": {"workers": port, "manager": 1}}})


def test_a_missing_port_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"zmq\.ports\.workers: is missing"):
        endpoints({})


def test_messages_are_repeated_for_a_minute_unless_said_otherwise() -> None:
    assert message_settings({}) == MessageSettings(repeat=True, deadline=60.0)
    settings = {"messages": {"repeat": "never", "deadline": 5}}
    assert message_settings(settings) == MessageSettings(repeat=False, deadline=5.0)
    assert next_workers_deadline({}) == 30.0
    assert next_workers_deadline({"next workers": {"deadline": 2.5}}) == 2.5


@pytest.mark.parametrize("deadline", [0, -1, "5", True, None])
def test_a_deadline_that_is_no_time_is_refused(deadline: object) -> None:
    with pytest.raises(ConfigError, match="must be a number of seconds above 0"):
        message_settings({"messages": {"deadline": deadline}})
