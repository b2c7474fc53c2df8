"""Actions that hang, leak, exit, fork, print rubbish or kill: their steps end, others go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from action_runs import ActionSystem
from helpers import wait_until
from nowcast_cli.store.flow_records import FlowRunRecord

PARTS = '''

def hangs(context):
    leave_line(context)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


HOARD = []


def leaks(context):
    leave_line(context)
    HOARD.append(b"x" * 40_000_000)
    return os.getpid()


def exits(context):
    leave_line(context)
    raise SystemExit(3)


def dies(context):
    leave_line(context)
    os._exit(5)


def closes(context):
    """Close all descriptors, that of the connection to the host, too."""
    leave_line(context)
    os.closerange(0, 1000)
    time.sleep(600)


def prints(context):
    leave_line(context)
    for descriptor in (1, 2):
        os.write(descriptor, b"\\xff\\x00{}\\n" * 1000 + b"x" * 200_000)
    print("done?" * 10_000, end="")
    return "printed"


def forks(context):
    leave_line(context)
    return "child" if os.fork() == 0 else "parent"


def multiplies(context):
    leave_line(context)
    for _ in range(20):
        if os.fork() == 0:
            time.sleep(600)
    return "multiplied"


def kills_its_host(context):
    leave_line(context)
    if context.attempt == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    return "went on"
'''
NAMES = (
    "hangs", "leaks", "exits", "dies", "closes", "prints", "forks", "multiplies", "kills_its_host",
)  # fmt: skip
TWICE = {"retry": {"tries": 2, "on": ["lost"]}}
MORE: dict[str, dict[str, Any]] = {
    "hangs": {"timeout": 1},
    "dies": TWICE,
    "closes": TWICE,
}


def one_step(name: str) -> dict[str, Any]:
    return {"steps": {"it": {"action": f"?Lab?{name}", **MORE.get(name, {})}}}


FLOWS: dict[str, Any] = {name: one_step(name) for name in NAMES}
FLOWS["good"] = {
    "steps": {
        "get": {"action": "?Lab?work"},
        "make": {"action": "?Lab?work", "after": "get"},
    }
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActionSystem]:
    system = ActionSystem(
        tmp_path_factory.mktemp("bad") / "lab",
        FLOWS,
        parts=PARTS,
        mapping={f"?Lab?{name}": f"parts.{name}" for name in NAMES},
        settings={"action memory": "60 MB"},
    )
    system.begin().supervise()
    yield system
    system.end()


def ended(system: ActionSystem, flow: str) -> FlowRunRecord:
    """Run a flow, with good ones before and after it, which have to end well."""
    before, run, after = system.run_many(["good", flow, "good"])
    found = system.wait_for_run(run)
    for good in (before, after):
        assert system.wait_for_run(good).state == "done"
    (record,) = found.steps.values()
    begun = {attempt for each, _, attempt in system.lines() if each == run}
    assert begun == set(range(1, record.attempt + 1))
    return found


@pytest.mark.parametrize(
    ("flow", "state", "attempts", "words"),
    [
        ("hangs", "timed out", 1, "and its action worker was killed"),
        ("exits", "failed", 1, "parts.exits raised SystemExit: 3"),
        ("dies", "failed", 2, "its action worker ended in the middle of it: it exited with code 5"),
        ("closes", "failed", 2, "its action worker ended in the middle of it"),
    ],
)
def test_an_action_that_cannot_end_well_ends_its_step_in_a_sentence(
    bad: ActionSystem, flow: str, state: str, attempts: int, words: str
) -> None:
    run = ended(bad, flow)
    (record,) = run.steps.values()
    assert (record.state, record.attempt) == (state, attempts), record
    assert record.reason is not None
    assert words in record.reason
    assert run.state == state


@pytest.mark.parametrize(
    ("flow", "gave"), [("prints", "printed"), ("forks", "parent"), ("multiplies", "multiplied")]
)
def test_an_action_that_misbehaves_and_returns_is_done_once(
    bad: ActionSystem, flow: str, gave: str
) -> None:
    run = ended(bad, flow)
    assert (run.state, [each.gave for each in run.steps.values()]) == ("done", [gave])


def test_an_action_worker_that_grows_is_replaced_and_its_orders_are_done(bad: ActionSystem) -> None:
    def process() -> int:
        return int(ended(bad, "leaks").steps["it", None].gave)

    pids = {process() for _ in range(6)}
    wait_until(lambda: "has grown by" in bad.log(), what="somebody to look at the memory")
    wait_until(lambda: process() not in pids, timeout=60, what="another action worker")


def test_an_action_that_kills_its_host_is_tried_again_by_the_next_one(bad: ActionSystem) -> None:
    host = bad.pid("action_workers")
    run = ended(bad, "kills_its_host")
    assert bad.pid("action_workers") != host
    (record,) = run.steps.values()
    assert (record.state, record.attempt, record.gave) == ("done", 2, "went on")


KILLED_TWICE = """

with open(HERE / "imports", "a") as file:
    file.write("x")
if (HERE / "imports").stat().st_size <= 2:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_component_is_not_blamed_for_who_kills_the_workers_that_import_it(tmp_path: Path) -> None:
    """As the kernel does that has no memory; the third in a row would be."""
    system = ActionSystem(tmp_path / "lab", {"good": FLOWS["good"]}, parts=KILLED_TWICE)
    try:
        run = system.begin().run_flow("good")
        assert system.wait_for_run(run).state == "done"
        assert "it was killed by signal 9 (SIGKILL); the next one starts" in system.log()
        assert "cannot be used" not in system.log()
    finally:
        system.end()
