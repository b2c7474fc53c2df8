"""What a service refuses before it has said hello, and which function is called for an order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nowcast_cli import Service
from nowcast_cli.actions.service_functions import ServiceFunctions
from nowcast_cli.config.limits import DEFAULTS
from nowcast_cli.errors import UsageError
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.messages.performing import Order

CONFIG = """\
zmq: {ports: {workers: 5555, manager: 5556}}
message registry: {workers: {}}
services: {ingest: {command: x, actions: ["?Ingest?latest"], topics: [jobs]}}
flows: {night: {steps: {a: {action: "?Ingest@PUBLISH?latest"}, b: {action: "?Ingest?all"}}}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "nowcast.yaml"
    file.write_text(CONFIG)
    monkeypatch.setenv("NOWCAST_YAML", str(file))
    monkeypatch.delenv("NOWCAST_SERVICE", raising=False)
    return file


def test_its_name_is_given_or_that_by_which_it_was_started(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Service("ingest").config.file == config
    with pytest.raises(UsageError, match="a service has a name"):
        Service()
    monkeypatch.setenv("NOWCAST_SERVICE", "post")
    assert Service().name == "post"
    with pytest.raises(UsageError, match="at least one action at once, not 0"):
        Service("ingest", takes=0)
    with pytest.raises(UsageError, match="'action_workers' is the name of a part of nowcast"):
        Service("action_workers")
    with pytest.raises(UsageError, match="'in gest' is no name of a service"):
        Service("in gest")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("latest", "has no question mark"),
        ("??", "would answer everything"),
        ("?Ingest?latest", "two functions are to carry out"),
    ],
)
def test_keys_that_cannot_be_are_refused(config: Path, key: str, words: str) -> None:
    service = Service("ingest", config=config)
    service.action("?Ingest?latest")(print)
    with pytest.raises(UsageError, match=words):
        service.action(key)(print)


def test_its_topics_follow_from_the_flows_of_its_keys(config: Path) -> None:
    service = Service("ingest", config=config)
    assert service.topics() == ("night~PUBLISH~~Ingest~latest~", "jobs~")
    service.action("?Ingest?all")(print)
    assert service.topics() == (
        "night~PUBLISH~~Ingest~latest~", "night~~~Ingest~all~", "jobs~",
    )  # fmt: skip


def performed(functions: ServiceFunctions, key: str, **values: Any) -> Any:
    order = Order("o1", key, None, values, implied=True, seconds=1.0)
    result = json.loads(functions.perform(order))
    assert result["id"] == "o1"
    return result


def test_the_nearest_function_is_called_with_the_values_that_it_takes() -> None:
    functions = ServiceFunctions(
        "ingest", DEFAULTS, {ActionKey.parse("?Own?a"): lambda: "built in"}
    )
    functions.add("?Ingest?latest", lambda region, context: [region, context.key])
    functions.add("?Ingest?", lambda: "any")
    result = performed(functions, "?Ingest@PUBLISH?latest", region="north", more=1)
    assert result["gave"] == ["north", "?Ingest@PUBLISH?latest"]
    assert performed(functions, "Desk?Ingest?other")["gave"] == "any"
    assert performed(functions, "?Own?a")["gave"] == "built in"
    assert functions.keys == (ActionKey.parse("?Ingest?latest"), ActionKey.parse("?Ingest?"))
    refused = performed(functions, "?Else?where")
    assert (refused["state"], refused["reason"]) == (
        "failed", "service ingest has no function for ?Else?where",
    )  # fmt: skip


def test_whatever_a_function_does_its_service_lives_on() -> None:
    def leaves() -> None:
        raise SystemExit(3)

    functions = ServiceFunctions("ingest", DEFAULTS, {})
    functions.add("?A?leaves", leaves)
    functions.add("?A?strange", object)
    functions.add("?A?asks", lambda context: context.request("?A?gives", {"value": 3}))
    functions.add("?A?gives", lambda value: value)
    assert "SystemExit: 3" in performed(functions, "?A?leaves")["reason"]
    assert "cannot be written as JSON" in performed(functions, "?A?strange")["reason"]
    assert performed(functions, "?A?asks")["gave"] == 3
