"""``nowcast action``: what answers action keys, and calling it, with daemons and without."""

import json

import pytest

from action_hosts import write_deployment
from nowcast_command import nowcast

COMPONENTS = """
import time

def predict(place, days=1, context=None):
    if context:
        context.progress("looking", 0.5)
        context.logger.info("for %s", place)
    return {"place": place, "heights": [1.5] * days}

def words(text):
    return text

def fails(why):
    raise ValueError(why)

def asks(context):
    return context.request("?Tides?predict", {"place": "Tofino"})

def stops():
    raise SystemExit(4)

def hangs():
    while True:
        time.sleep(1)
"""

MAPPING = {
    "?Tides?predict": "parts.predict",
    "?Words?": "parts.words",
    "?Fails?": "parts.fails",
    "?Asks?": "parts.asks",
    "?Stops?": "parts.stops",
    "?Hangs?": "parts.hangs",
    "?Gone?": "parts.gone",
}
FLOWS = {
    "tides": {
        "steps": {
            "look": {"action": "?Tides?predict", "values": {"place": "Tofino"}},
            "tell": {"action": "?Words?say", "after": "look"},
        }
    }
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actions")
    services = {"ingest": {"command": "python3 ingest.py", "actions": ["Ingest?Files?count"]}}
    write_deployment(folder, COMPONENTS, MAPPING, flows=FLOWS, services=services)
    return folder


def test_the_list_says_what_answers_each_key_and_who_uses_it(deployment):
    found = nowcast(deployment, "action", "list", "--json").json["actions"]
    by_key = {each["key"]: each for each in found}
    assert by_key["?Tides?predict"] == {
        "key": "?Tides?predict",
        "component": "parts.predict",
        "service": None,
        "declared at": "actions.ini:2",
        "trouble": None,
        "flows": ["tides.look"],
    }
    assert by_key["?Words?"]["flows"] == ["tides.tell"]
    assert "module parts has no gone" in by_key["?Gone?"]["trouble"]
    assert by_key["Ingest?Files?count"]["service"] == "ingest"
    file, _, line = by_key["Ingest?Files?count"]["declared at"].partition(":")
    assert "Ingest?Files?count" in (deployment / file).read_text().splitlines()[int(line) - 1]
    shown = nowcast(deployment, "action", "list")
    assert "service ingest" in shown.out
    assert "?Gone?: module parts has no gone" in shown.err


def test_an_action_is_called_in_this_process_without_any_daemon(deployment):
    done = nowcast(
        deployment, "action", "call", "?Tides?predict", "--local", "-v", "place=Tofino", "-v",
        "days=2",
    )  # fmt: skip
    assert (done.code, json.loads(done.out)) == (0, {"place": "Tofino", "heights": [1.5, 1.5]})
    assert "50% looking" in done.err
    assert "for Tofino" in done.err
    text = nowcast(deployment, "action", "call", "?Words?x", "--local", "--values", '{"text": "a"}')
    assert text.out == "a\n"
    asked = nowcast(deployment, "action", "call", "?Asks?x", "--local", "--json").json
    assert (asked["state"], asked["gave"]["place"]) == ("done", "Tofino")


def test_values_come_from_a_file_and_single_ones_go_over_them(deployment, tmp_path):
    file = tmp_path / "values.json"
    file.write_text('{"place": "Tofino", "days": 3}')
    arguments = ("action", "call", "?Tides?predict", "--local", "--values", f"@{file}")
    done = nowcast(deployment, *arguments, "-v", "days=1")
    assert json.loads(done.out) == {"place": "Tofino", "heights": [1.5]}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["?Fails?x", "-v", "why=rain"], 1, "parts.fails raised ValueError: rain"),
        (["?Stops?x"], 1, "parts.stops raised SystemExit: 4"),
        (["?Tides?predict"], 1, "parts.predict needs a value 'place', and is given none"),
        (["?Tides?predict", "-v", "plce=1"], 1, "takes no value 'plce'; did you mean 'place'?"),
        (["?Gone?x"], 1, "module parts has no gone"),
        (["?No?thing"], 4, "no component is mapped to ?No?thing"),
        (["nothing"], 2, "'nothing' has no question mark"),
        (["Ingest?Files?count"], 4, "is an action of the service ingest"),
        (["?Words?x", "--values", "[1]"], 2, "is no mapping"),
        (["?Words?x", "--deadline", "soon"], 2, "--deadline must be a length of time"),
    ],
)
def test_what_goes_wrong_has_an_exit_code_and_a_sentence(deployment, arguments, code, sentence):
    done = nowcast(deployment, "action", "call", *arguments, "--local")
    assert (done.code, done.out) == (code, "")
    assert sentence in done.err


def test_a_component_that_fails_shows_where(deployment):
    done = nowcast(deployment, "action", "call", "?Fails?x", "-v", "why=rain", "--local")
    assert "Traceback" in done.err
    assert "parts.py" in done.err
    as_json = nowcast(
        deployment, "action", "call", "?Fails?x", "-v", "why=rain", "--local", "--json"
    )
    assert (as_json.code, as_json.json["state"]) == (1, "failed")
    assert "raise ValueError(why)" in as_json.json["traceback"]


def test_without_daemons_a_call_says_so(deployment):
    done = nowcast(deployment, "action", "call", "?Words?x", "-v", "text=a")
    assert done.code == 3
    assert "does not run" in done.err
    assert "--local" in done.err


def test_a_call_goes_through_broker_manager_and_an_action_worker(make_system):
    system = make_system()
    (system.folder / "parts.py").write_text(COMPONENTS)
    lines = [f"{key} = {component}" for key, component in MAPPING.items()]
    (system.folder / "actions.ini").write_text("\n".join(["[actionmapping]", *lines, ""]))
    system.start("message_broker", "manager", "action_workers")
    done = nowcast(
        system.folder, "action", "call", "?Tides?predict", "-v", "place=Tofino", "--json"
    )
    assert (done.code, done.err) == (0, "")
    assert done.json["gave"] == {"place": "Tofino", "heights": [1.5]}
    failed = nowcast(system.folder, "action", "call", "?Fails?x", "-v", "why=rain")
    assert failed.code == 1
    assert "parts.fails raised ValueError: rain" in failed.err
    refused = nowcast(system.folder, "action", "call", "?No?thing")
    assert refused.code == 1
    assert "?No?thing" in refused.err
    late = nowcast(system.folder, "action", "call", "?Hangs?x", "--deadline", "1s")
    assert late.code == 124
    assert "?Hangs?x timed out: it took longer than 1 s" in late.err
    waits = nowcast(
        system.folder, "action", "call", "?Words@ASYNC?x", "-v", "text=a", "--deadline", "1s"
    )
    assert waits.code == 124
    assert "?Words@ASYNC?x has not ended within 1s" in waits.err
    assert "it goes on: nowcast flow show " in waits.err
    status = nowcast(system.folder, "status")
    assert "action_workers" in status.out
    assert "nothing in hand" in status.out
    assert "a component of an action cannot be used: parts.gone" in status.out
