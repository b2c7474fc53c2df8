"""Services as real processes: their orders, and what kills, stops or doubles them."""

from __future__ import annotations

import re
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.bus.requesting import RequestFailed, request
from nowcast_command import nowcast
from service_lab import SETTINGS, ServiceLab
from systems import MakeSystem

TOPICS_FLOW = "ServiceManagement_GetServiceTopics"


@pytest.fixture
def lab(make_system: MakeSystem) -> ServiceLab:
    return ServiceLab(make_system(settings=SETTINGS).start())


def ask(lab: ServiceLab, key: str, **values: Any) -> Any:
    return request(key, values, config=lab.system.config_file, timeout=40)


def test_each_asker_gets_its_own_answer_from_the_service_that_owns_the_action(
    lab: ServiceLab,
) -> None:
    processes = {name: lab.start(name, takes=2).pid for name in ("ingest", "post")}
    wanted = [(name, number) for number in range(6) for name in processes]
    with ThreadPoolExecutor(len(wanted)) as pool:
        answers = list(pool.map(lambda each: ask(lab, f"?{each[0]}?do", value=each[1]), wanted))
    assert [(answer["by"], answer["value"]) for answer in answers] == wanted
    assert {(name, pid) for name, pid, _, _ in lab.effects()} == set(processes.items())
    assert len(lab.effects()) == len(wanted)
    asked = ask(lab, "?ingest?do", value=5, ask="?post?do")
    assert asked["asked"] == {"value": 5, "by": "post", "pid": processes["post"]}


def test_a_function_that_fails_fails_its_order_and_the_service_lives_on(lab: ServiceLab) -> None:
    service = lab.start()
    found = lab.wait_for_end(lab.run("one", fail="no luck today"))
    (step,) = found.steps.values()
    assert (found.state, step.state, step.attempt) == ("failed", "failed", 1)
    assert "ValueError: no luck today" in str(step.reason)
    assert "raise ValueError(fail)" in str(step.traceback)
    with pytest.raises(RequestFailed, match="takes no value 'vlaue'; did you mean 'value'"):
        ask(lab, "?ingest?do", vlaue=1)
    with pytest.raises(RequestFailed, match=r"no service owns \?nobody\?else"):
        ask(lab, "?ingest?do", ask="?nobody?else")
    assert ask(lab, "?ingest?do", value=1)["pid"] == service.pid


def test_an_order_of_a_service_that_was_killed_is_tried_by_its_next_incarnation(
    lab: ServiceLab,
) -> None:
    first = lab.start()
    run = lab.run("one", until="go")
    lab.wait_for_effects(1)
    lab.end(first, signal.SIGKILL)
    second = lab.start()
    lab.wait_for_effects(2)
    lab.system.touch("go")
    found = lab.wait_for_end(run)
    assert (found.state, lab.step(run).gave["pid"]) == ("done", second.pid)
    assert lab.effects() == [("ingest", first.pid, 1, "x"), ("ingest", second.pid, 2, "x")]


def test_a_service_that_was_frozen_begins_nothing_of_before_and_takes_its_next_orders(
    lab: ServiceLab,
) -> None:
    service = lab.start()
    run = lab.run("one", until="go")
    lab.wait_for_effects(1)
    service.send_signal(signal.SIGSTOP)
    lab.wait_for("ingest", service.pid, "silent")
    lab.system.touch("go")
    service.send_signal(signal.SIGCONT)
    found = lab.wait_for_end(run)
    assert (found.state, lab.step(run).attempt) == ("done", 2)
    assert lab.effects() == [("ingest", service.pid, number, "x") for number in (1, 2)]
    lab.wait_for("ingest", service.pid)


def test_of_two_incarnations_the_later_one_has_the_orders(lab: ServiceLab) -> None:
    first = lab.start()
    run = lab.run("one", until="go")
    lab.wait_for_effects(1)
    second = lab.start()
    lab.wait_for_effects(2)
    lab.system.touch("go")
    assert lab.wait_for_end(run).state == "done"
    assert lab.step(run).gave["pid"] == second.pid
    assert ask(lab, "?ingest?do", value=3)["pid"] == second.pid
    assert [pid for _, pid, _, _ in lab.effects()] == [first.pid, second.pid, second.pid]
    assert lab.end(first) == 0
    assert ask(lab, "?ingest?do", value=4)["pid"] == second.pid


def test_deadlines_count_for_a_service_that_is_absent_and_for_calls_that_do_not_end(
    lab: ServiceLab,
) -> None:
    run = lab.run("absent")
    found = lab.wait_for_end(run)
    assert found.state == "failed"
    assert "no-consumer" in str(lab.step(run).reason)
    service = lab.start()
    assert lab.wait_for_end(lab.run("told")).state == "done"
    assert [(pid, value) for _, pid, _, value in lab.effects()] == [(service.pid, "1")]

    run = lab.run("short")
    assert lab.wait_for_end(run).state == "timed out"
    wait_until(lambda: lab.performer().get("takes") == 0, what="the service to take no more")
    lab.system.touch("go")
    wait_until(lambda: lab.performer().get("takes") == 1, what="the service to take orders again")
    assert ask(lab, "?ingest?do", value=2)["pid"] == service.pid
    assert lab.step(run).state == "timed out"


def test_a_service_that_is_told_to_end_ends_what_it_has_in_hand_and_leaves_the_rest(
    lab: ServiceLab,
) -> None:
    first = lab.start()
    runs = [lab.run("one", value=value, until="go") for value in ("a", "b")]
    lab.wait_for_effects(1)
    first.send_signal(signal.SIGTERM)
    wait_until(lambda: lab.performer().get("takes") == 0, what="the service to take no more")
    lab.system.touch("go")
    assert first.wait(30) == 0
    assert lab.wait_for_end(runs[0]).state == "done"
    wait_until(lambda: lab.performer().get("state") == "absent", what="the service to be gone")
    second = lab.start()
    assert lab.wait_for_end(runs[1]).state == "done"
    assert lab.effects() == [("ingest", first.pid, 1, "a"), ("ingest", second.pid, 1, "b")]
    assert "it ends" in lab.system.log("ingest.out")


def test_a_result_is_kept_until_a_manager_takes_it(lab: ServiceLab) -> None:
    service = lab.start()
    run = lab.run("one", until="go")
    lab.wait_for_effects(1)
    lab.system.kill("manager")
    lab.system.kill("message_broker")
    lab.system.touch("go")
    lab.system.start()
    found = lab.wait_for_end(run)
    assert (found.state, lab.step(run).attempt) == ("done", 1)
    assert lab.effects() == [("ingest", service.pid, 1, "x")]


def test_a_service_ends_async_steps_and_gives_its_topics_also_where_keys_are_needed(
    make_system: MakeSystem,
) -> None:
    lab = ServiceLab(make_system(settings={**SETTINGS, "security": "curve"}).start())
    service = lab.start()
    assert ask(lab, "?ingest?do", value=1)["pid"] == service.pid
    run = lab.run("later")
    assert lab.wait_for_end(run).state == "done"
    assert lab.step(run).gave == {"later": 7}
    folder = lab.system.folder
    refused = nowcast(folder, "flow", "run", TOPICS_FLOW, "--param", "service=ingets", "--follow")
    assert refused.code == 1
    assert "there is no service 'ingets'; did you mean 'ingest'?" in refused.err
    done = nowcast(folder, "flow", "run", TOPICS_FLOW, "--param", "service=ingest", "--follow")
    assert done.code == 0, done.out + done.err
    topics = [line.split()[1] for line in done.out.splitlines() if line.startswith("  topics ")]
    assert topics == [
        "one~~~ingest~do~",
        "told~PUBLISH~~ingest~do~",
        "absent~PUBLISH~~ingest~do~",
        "short~~~ingest~do~",
        "later~ASYNC~~ingest~later~",
    ]
    listed = nowcast(folder, "flow", "list", "--json").json["flows"]
    assert {each["flow"]: each["declared at"] for each in listed}[TOPICS_FLOW] == "built in"
    other = lab.start("post")
    assert ("?post?do", "post") in listed_actions(lab), "it has said so itself"
    assert lab.end(other) == 0
    wait_until(lambda: "post" not in dict(listed_actions(lab)).values(), what="it to be forgotten")
    assert lab.end(service) == 0
    assert "ingest gives 1" in lab.system.log()


def listed_actions(lab: ServiceLab) -> list[tuple[str, str]]:
    found = nowcast(lab.system.folder, "action", "list", "--json").json["actions"]
    return [(each["key"], each["service"]) for each in found]


BESIDE = """\
import sys, threading
from pathlib import Path
from nowcast_cli import Service

service = Service()

@service.action("?ingest?do")
def do(value):
    return {"value": value, "thread": threading.current_thread().name}

with service:
    while True:
        threading.Event().wait(0.05)
        Path("beats").touch()
"""


def test_a_program_may_be_a_service_beside_its_own_work(lab: ServiceLab) -> None:
    lab.system.write("beside.py", BESIDE)
    service = lab.begin([sys.executable, "beside.py"], "ingest")
    lab.wait_for("ingest", service.pid)
    assert ask(lab, "?ingest?do", value=1) == {"value": 1, "thread": "ingest-0"}
    wait_until((lab.system.folder / "beats").exists, what="the program's own work")
    assert lab.end(service) == 0
    wait_until(lambda: not lab.performer(), what="the manager to hear its bye")


def program_of_the_documentation() -> str:
    text = (Path(__file__).parents[2] / "docs/reference/wire.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return str(program)


def test_a_program_that_speaks_the_wire_by_itself_is_a_service(lab: ServiceLab) -> None:
    lab.system.write("tides.py", program_of_the_documentation())
    service = lab.begin([sys.executable, "tides.py"], "tides")
    lab.wait_for("tides", service.pid)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda hour: ask(lab, "?Tides?predict", hour=hour), range(4)))
    assert answers == [{"height": 2 * hour} for hour in range(4)]
    lab.system.restart("message_broker")
    assert ask(lab, "?Tides?predict", hour=7) == {"height": 14}
    lab.end(service, signal.SIGKILL)
