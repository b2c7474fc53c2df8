"""Which service owns an action, which topics follow from it, and the flow that asks for them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.config import Config
from nowcast_cli.config.services import ServiceSettings, services_of
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.definition import Action, Flow, Step
from nowcast_cli.flows.loading import declared, has_flows
from nowcast_cli.flows.owners import Owners, owners_of
from nowcast_cli.flows.service_management import FLOW, service_topics_flow
from nowcast_cli.flows.service_topics import topics_of

CONFIG = """\
checklist file: checklist.yaml
zmq: {ports: {workers: 5555, manager: 5556}}
message registry: {workers: {}}
"""
ASKED = "Subject?ServiceManagement__GetServiceTopics@PUBLISH?get_service_topics"
SERVICES = """\
services:
  ingest: {command: x, actions: ["?Ingest?latest", "?Ingest?"]}
  post: {command: y, actions: ["?Post@PUBLISH?map", "Desk??"]}
"""


def owners(**actions):
    services = {
        name: ServiceSettings(name, ("x",), actions=tuple(k)) for name, k in actions.items()
    }
    return owners_of(services)


def find(text, values=None, **actions):
    return owners(**actions)[0].find(ActionKey.parse(text), values or {})


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("?Ingest?latest", "ingest"),
        ("?Ingest@PUBLISH?latest", "ingest"),
        ("?Ingest?other", "broad"),
        ("Desk?Ingest?latest", "desk"),
        ("Desk?Other?latest", "desk"),
        ("?Other?latest", None),
    ],
)
def test_the_nearest_key_says_who_owns_an_action(key, owner):
    given_keys = {"ingest": ["?Ingest?latest"], "broad": ["?Ingest?"], "desk": ["Desk??"]}
    expected = {"Desk?Ingest?latest": "ingest"}.get(key, owner)
    assert find(key, **given_keys) == expected


def test_management_goes_to_the_service_that_is_named():
    assert find(ASKED, {"service": "post"}) == "post"
    assert find(ASKED) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ingest", "has no question mark"),
        ("??", "would answer everything"),
        ("??done", "ends a flow"),
        (ASKED, "is answered by every service"),
    ],
)
def test_what_no_service_can_own_is_refused(text, words):
    found, (finding,) = owners(ingest=[text])
    assert words in finding.message
    assert found == Owners({})


def test_two_services_cannot_own_one_action():
    found, (finding,) = owners(one=["?A?b"], other=["?A?b"])
    assert "is an action of the service one already" in finding.message
    assert found.find(ActionKey.parse("?A?b"), {}) == "one"


def test_what_a_service_says_that_it_serves_takes_nothing_from_others():
    key, new = ActionKey.parse("?A?b"), ActionKey.parse("?A?c")
    served = owners(one=["?A?b"])[0].with_served("other", [key, new])
    assert (served.find(key, {}), served.find(new, {})) == ("one", "other")


def flow(name, *keys):
    steps = tuple(Step(f"s{n}", Action(ActionKey.parse(key))) for n, key in enumerate(keys))
    return Flow(name, steps)


def test_topics_follow_from_the_flows_in_which_its_keys_occur():
    found, _ = owners(ingest=["?Ingest?latest"], post=["?Post?"])
    flows = [
        flow("night", "?Ingest@PUBLISH?latest", "?Post?map", "?Ingest?latest"),
        flow("day", "?Ingest@PUBLISH?latest", "?Other?thing"),
        service_topics_flow(),
    ]
    assert topics_of("ingest", flows, found, ["jobs", "night~PUBLISH~~Ingest~latest~"]) == (
        "night~PUBLISH~~Ingest~latest~",
        "night~~~Ingest~latest~",
        "day~PUBLISH~~Ingest~latest~",
        "jobs~",
    )
    assert topics_of("post", flows, found) == ("night~~~Post~map~",)
    assert topics_of("nobody", flows, found) == ()


KEYS = st.builds(
    ActionKey, *(st.sampled_from(["", "a", "b"]) for _ in range(3)), st.sampled_from(["x", "y"])
)


@given(st.lists(KEYS, max_size=4), st.lists(KEYS, max_size=4))
def test_a_service_hears_of_exactly_what_it_owns(owned, steps):
    found = Owners(dict.fromkeys(owned, "it"))
    named = flow("f", *map(str, steps))
    expected = {
        f"{key.topic('f')}~" for key in steps if any(each in owned for each in key.lookups())
    }
    assert set(topics_of("it", [named], found)) == expected


@pytest.fixture
def config(tmp_path: Path):
    def load(text):
        file = tmp_path / "nowcast.yaml"
        file.write_text(CONFIG + text)
        config = Config()
        config.load(file)
        return config

    return load


def test_the_flow_of_service_management_is_there_where_services_are(config):
    assert not has_flows(config(""))
    assert FLOW not in declared(config("")).flows
    with_services = config(SERVICES)
    assert has_flows(with_services)
    assert declared(with_services).usable[FLOW] == service_topics_flow()
    assert declared(with_services).problems == ()


def test_its_steps_are_those_of_the_line_form():
    assert [step.name for step in service_topics_flow().steps] == [
        "?ServiceManagement_GetServiceTopics?Push",
        ASKED,
        "?ServiceManagement__GetServiceTopics@ASYNC?get_service_topics_response",
    ]
    assert [parameter.name for parameter in service_topics_flow().parameters] == ["service"]


def test_a_flow_of_that_name_may_be_declared_anew(config):
    (config("").file.parent / "flows.ini").write_text(f"[{FLOW}]\n?Ingest?latest\n??done\n")
    found = declared(config(SERVICES))
    assert [step.name for step in found.flows[FLOW].steps] == ["?Ingest?latest"]
    assert found.problems == ()


def test_an_action_of_a_service_needs_no_mapping(config):
    flows = 'flows: {f: {steps: {a: {action: "?Ingest?latest"}, b: {action: "?Else?where"}}}}\n'
    (problem,) = declared(config(SERVICES + flows)).problems
    assert "no action is mapped to ?Else?where" in problem.message


def test_a_bad_key_is_told_with_its_place(config):
    text = 'services:\n  ingest:\n    command: x\n    actions: ["?A?b", "what"]\n'
    (problem,) = declared(config(text)).problems
    assert (problem.line, problem.column) == (7, 23)
    assert problem.path == "services.ingest.actions[1]"
    assert "has no question mark" in problem.message


def test_services_are_read_of_the_configuration_itself(config):
    assert list(services_of(config(SERVICES))) == ["ingest", "post"]
