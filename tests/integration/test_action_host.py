"""A real action host: what components do to it, and what becomes of their orders."""

import signal
import time
from pathlib import Path

import pytest

from action_hosts import ActionHostWorld, effects, order, write_deployment
from helpers import wait_until
from nowcast_cli.messages.performing import Answer, Ask, Progress, Renewed, Withdraw

COMPONENTS = """
import ctypes, os, signal, subprocess, sys, threading, time
from pathlib import Path

HERE = Path(__file__).parent

def mark(text):
    with open(HERE / "effects.txt", "a") as file:
        file.write(f"{text}\\n")

def add(a, b=2):
    return {"sum": a + b}

def note(text):
    mark(text)
    return text

class Counter:
    def __init__(self):
        self.count = 0
        mark("counter made")
    def up(self, by=1):
        self.count += by
        return {"count": self.count, "pid": os.getpid()}

class Broken:
    def __init__(self):
        raise RuntimeError("no tide tables")
    def call(self):
        pass

def anything(**values):
    return values

def seen(context):
    return {name: getattr(context, name) for name in
            ("key", "run", "flow", "step", "attempt", "correlation", "token")}

def raises(what):
    if what == "exit":
        sys.exit(3)
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "unprintable":
        class Odd(Exception):
            def __str__(self):
                raise ValueError
        raise Odd
    raise ValueError("the tide is out")

def gives(what):
    return {"nan": float("nan"), "set": {"a": {1}}, "large": "x" * 200_000,
            "deep": None, "half": "\\ud800", "none": None, "tuple": (1, 2)}[what]

def deep():
    value = []
    for _ in range(5000):
        value = [value]
    return value

def dies(how):
    mark(f"dies {how}")
    if how == "exit":
        os._exit(7)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)

def hangs(how, where=""):
    subprocess.Popen(["sleep", "600"])
    mark(f"hangs {os.getpid()}")
    if how == "gil":
        ctypes.PyDLL(None).sleep(600)
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

def sleeps(seconds, text=""):
    mark(f"begins {text}")
    time.sleep(seconds)
    mark(f"ends {text}")
    return text

def prints():
    print("rubbish \\x00 {}[]" * 3)
    os.write(1, b"\\xff\\xfe to fd 1\\n")
    os.write(2, b"to fd 2\\n")
    for number in range(100_000):
        print(number)
    return "printed"

def forks():
    child = os.fork()
    mark("forked" if child else "child")
    if child:
        os.waitpid(child, 0)
    return "parent" if child else "child"

def forks_and_stays():
    if os.fork() == 0:
        time.sleep(600)
    os._exit(5)

def leaves_behind():
    threading.Thread(target=time.sleep, args=(600,)).start()
    process = subprocess.Popen(["sleep", "600"])
    return process.pid

def leaks(size):
    HOARD.append(bytearray(os.urandom(1024) * (size // 1024)))
    return os.getpid()

HOARD = []

def reports(context):
    context.logger.info("about half of it")
    context.progress("half", 0.5)
    context.progress("left out")
    context.progress("all", 1)
    return context.deadline.isoformat()

def renews(context):
    for _ in range(8):
        context.renew(1.0)
        time.sleep(0.25)
    return context.seconds_left

def asks(context, key, values):
    return {"asked": context.request(key, values)}

def recurses(context):
    return context.request("?Test?recurses")

async def later():
    return 1
"""

NAMES = (
    "add", "note", "Counter.up", "Broken.call", "anything", "seen", "raises", "gives", "deep",
    "dies", "hangs", "sleeps", "prints", "forks", "leaves_behind", "leaks", "reports", "renews",
    "asks", "recurses", "later", "forks_and_stays",
)  # fmt: skip
MAPPING = {f"?Test?{name.replace('.', '_')}": f"parts.{name}" for name in NAMES}


def _world(folder: Path, mapping=MAPPING, components=COMPONENTS, **config):
    return ActionHostWorld(write_deployment(folder, components, mapping, **config))


@pytest.fixture
def world(tmp_path):
    made = _world(tmp_path).start()
    yield made
    made.close()


@pytest.fixture
def single(tmp_path):
    """Give a host with one action worker."""
    made = _world(tmp_path, **{"action workers": 1}).start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Give a host with one action worker for several tests that leave it as it was."""
    made = _world(tmp_path_factory.mktemp("shared"), **{"action workers": 1}).start()
    yield made
    made.close()


def _marks(world):
    return effects(world.config_file.parent)


def _sleeps(name, seconds):
    """Give an order that marks its begin and its end by its name."""
    return order(name, "sleeps")._replace(values={"seconds": seconds, "text": name})


def _is_dead(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_values_go_by_name_and_what_is_given_comes_back(faults):
    assert faults.call("add", a=1).gave == {"sum": 3}
    assert faults.call("anything", b=[1], c={"d": None}).gave == {"b": [1], "c": {"d": None}}
    assert faults.call("gives", what="tuple").gave == [1, 2]
    none = faults.call("gives", what="none")
    assert (none.state, none.gave) == ("done", None)
    implied = order("implied", "add", a=4, b=5, of_another_step=6)._replace(implied=True)
    faults.orders([implied])
    assert faults.result("implied").gave == {"sum": 9}


@pytest.mark.parametrize(
    ("component", "values", "sentence"),
    [
        ("add", {"a": 1, "bb": 1}, "parts.add takes no value 'bb': it takes a, b"),
        ("add", {}, "parts.add needs a value 'a', and is given none"),
        ("seen", {"context": 1}, "that is the call's own context"),
        ("nothing", {}, "parts.nothing: module parts has no nothing"),
        ("Counter.upp", {}, "class Counter has no upp; did you mean 'up'?"),
        ("Broken.call", {}, "parts.Broken cannot be instantiated: RuntimeError: no tide tables"),
        ("gives", {"what": "nan"}, "what parts.gives gave cannot be written as JSON: nan is no"),
        (
            "gives",
            {"what": "set"},
            "at a, a value of type set; give text, numbers, lists and mappings",
        ),
        ("gives", {"what": "half"}, "a text is not UTF-8"),
        ("gives", {"what": "large"}, "is too large: 200 kB, and a message has at most 100 kB"),
        ("deep", {}, "is nested deeper than 100"),
        ("later", {}, "a value of type coroutine"),
        ("recurses", {}, "RecursionError"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(faults, component, values, sentence):
    result = faults.call(component, **values)
    assert result.state == "failed"
    assert sentence in result.reason


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """Give a host with two workers for several tests that leave it as it was."""
    made = _world(tmp_path_factory.mktemp("faults"), limits={"message size": "100 kB"}).start()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("error", "parts.raises raised ValueError: the tide is out"),
        ("exit", "parts.raises raised SystemExit: 3"),
        ("interrupt", "parts.raises raised KeyboardInterrupt"),
        ("unprintable", "raised Odd: (its text cannot be had)"),
    ],
)
def test_whatever_is_raised_fails_the_call_and_the_worker_lives_on(faults, what, words):
    before = {each["pid"] for each in _pids(faults)}
    result = faults.call("raises", what=what)
    assert result.state == "failed"
    assert words in result.reason
    assert "parts.py" in result.traceback
    assert "nowcast_cli" not in result.traceback
    assert {each["pid"] for each in _pids(faults)} == before


def _pids(world):
    """Give the counters of the two workers, which tell their processes apart."""
    found = {}

    def both():
        world.orders([order(f"pid-{time.monotonic_ns()}-{at}", "Counter.up") for at in range(4)])
        world.until(lambda: not world.health()["in hand"])
        world.turn()
        for result in list(world.results.values()):
            if isinstance(result.gave, dict) and "pid" in result.gave:
                found[result.gave["pid"]] = result.gave
        alive = [each for each in found.values() if not _is_dead(each["pid"])]
        return alive if len(alive) == 2 else None

    return wait_until(both, timeout=60)


def test_a_class_is_made_once_in_each_worker(single):
    first, second = single.call("Counter.up").gave, single.call("Counter.up", by=5).gave
    assert (first["count"], second["count"]) == (1, 6)
    assert _marks(single) == ["counter made"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("exit", "it exited with code 7"),
        ("segfault", "killed by signal 11 (SIGSEGV)"),
        ("kill", "killed by signal 9 (SIGKILL)"),
    ],
)
def test_the_order_under_which_a_worker_dies_is_lost_and_those_behind_it_are_not(
    single, how, words
):
    warm = [order(f"warm-{number}", "note", text="warm") for number in range(30)]
    single.orders(warm)
    single.until(lambda: len(single.results) == 30)
    orders = [order(f"before-{n}", "note", text=f"before-{n}") for n in range(20)]
    orders += [order("dies", "dies", how=how)]
    orders += [order(f"after-{n}", "note", text=f"after-{n}") for n in range(20)]
    single.orders(orders)
    single.until(lambda: len(single.results) == 71)
    lost = single.results.pop("dies")
    assert (lost.state, lost.gave) == ("lost", None)
    assert words in lost.reason
    assert {result.state for result in single.results.values()} == {"done"}
    marks = [mark for mark in _marks(single) if mark != "warm"]
    told = {each.id for each in orders} - {"dies"}
    assert sorted(marks) == sorted([*told, f"dies {how}"])


@pytest.mark.parametrize("how", ["sleep", "gil", "deaf"])
def test_one_that_hangs_past_its_deadline_is_killed_with_all_that_it_has_started(single, how):
    single.order("hangs", "hangs", 1.0, how=how)
    single.order("waits", "note", text="waits")
    late = single.result("hangs")
    assert late.state == "timed out"
    assert "it took longer than 1" in late.reason
    assert "parts.py" in late.traceback
    assert single.result("waits").state == "done"
    pid = next(mark.split()[1] for mark in _marks(single) if mark.startswith("hangs"))
    wait_until(lambda: _is_dead(pid), timeout=30)
    wait_until(lambda: not _group(int(pid)), timeout=30)


def _group(number):
    """Give the processes of a group that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == number and fields[0] not in "ZX":
            found.append(int(folder.name))
    return found


def test_what_is_printed_goes_to_the_log_and_never_to_the_protocol(faults):
    assert faults.call("prints").gave == "printed"
    assert faults.call("add", a=1).gave == {"sum": 3}
    wait_until(lambda: "printed: to fd 2" in faults.log(), timeout=30)
    assert "rubbish" in faults.log()
    assert faults.log().count("printed:") < 50_000


def test_the_child_of_a_fork_does_not_answer(single):
    assert single.call("forks").gave == "parent"
    assert single.call("add", a=1).gave == {"sum": 3}
    assert sorted(_marks(single)) == ["child", "forked"]
    assert single.repeated == 0


def test_a_child_of_a_fork_that_stays_does_not_hide_that_its_parent_has_died(single):
    assert single.call("forks_and_stays").state == "lost"
    assert single.call("add", a=1).gave == {"sum": 3}


def test_threads_and_processes_left_behind_keep_nobody_from_ending(world):
    left = world.call("leaves_behind").gave
    assert world.call("add", a=1).state == "done"
    assert world.stop() == 0
    wait_until(lambda: _is_dead(left), timeout=30)


def test_one_that_leaks_memory_is_replaced_between_two_orders(tmp_path):
    world = _world(tmp_path, **{"action workers": 1, "action memory": "60 MB"}).start()
    try:
        pids = set()

        def another():
            pids.add(world.call("leaks", size=20_000_000).gave)
            return len(pids) > 1

        wait_until(another, timeout=60)
        assert {result.state for result in world.results.values()} == {"done"}
        assert "is replaced when what it has in hand is done (action memory: 60 MB)" in world.log()
    finally:
        world.close()


def test_what_cannot_be_imported_is_said_with_file_and_line_and_others_go_on(tmp_path):
    (tmp_path / "crooked.py").write_text("x = 1\nimport nowhere_to_be_found\n")
    (tmp_path / "deadly.py").write_text("import os\nos._exit(9)\n")
    mapping = {"?a?b": "crooked.call", "?a?c": "deadly.call", "?a?d": "parts.add"}
    world = _world(tmp_path, mapping).start()
    try:
        one = order("one", "x")._replace(component="crooked.call")
        two = order("two", "x")._replace(component="deadly.call")
        world.orders([one, two])
        assert "No module named 'nowhere_to_be_found'" in world.result("one").reason
        assert "crooked.py:2" in world.result("one").reason
        assert "importing it ended its process: it exited with code 9" in world.result("two").reason
        assert world.call("add", a=1).gave == {"sum": 3}
        assert set(world.health()["unusable"]) == {"crooked.call", "deadly.call"}
    finally:
        world.close()


def test_a_reload_takes_in_changed_modules_and_lets_what_runs_end(world):
    world.orders([order("slow", "sleeps")._replace(values={"seconds": 1.5, "text": "slow"})])
    world.until(lambda: "begins slow" in _marks(world))
    file = world.config_file.parent / "parts.py"
    file.write_text(file.read_text().replace('{"sum": a + b}', '{"sum": a * b}'))
    assert world.call("add", a=5).gave == {"sum": 7}
    hellos = len(world.hellos)
    world.signal(signal.SIGHUP)
    world.until(lambda: "are replaced by 2 new ones" in world.log())
    world.until(lambda: len(world.hellos) > hellos)  # what was given before is of no account
    assert world.call("add", a=5).gave == {"sum": 10}
    assert world.result("slow").state == "done"


def test_the_context_tells_whose_call_it_is(shared):
    shared.orders([order("t", "seen")._replace(asynchronous=True), order("u", "seen")])
    assert shared.result("t").gave is None
    seen = shared.result("u").gave
    assert seen == {
        "key": "?Test?seen",
        "run": "run-12345678",
        "flow": "flow",
        "step": "step",
        "attempt": 1,
        "correlation": "run-12345678",
        "token": None,
    }


def test_progress_and_renewals_are_passed_on(shared):
    assert shared.call("reports").state == "done"
    words = [word for word in shared.words if isinstance(word, Progress)]
    assert [(word.text, word.fraction) for word in words] == [("half", 0.5), ("all", 1.0)]
    wait_until(lambda: "flow.step (12345678): about half of it" in shared.log(), timeout=30)
    shared.order("renews", "renews", 1.0)
    assert shared.result("renews").state == "done"
    assert sum(isinstance(word, Renewed) for word in shared.words) == 8


def test_a_component_asks_another_in_the_same_process(shared):
    asked = shared.call("asks", key="?Test?add", values={"a": 2})
    assert asked.gave == {"asked": {"sum": 4}}
    failed = shared.call("asks", key="?Test?raises", values={"what": "error"})
    assert "the tide is out" in failed.reason
    wrong = shared.call("asks", key="a key", values={})
    assert "has no question mark" in wrong.reason


def test_a_component_asks_a_service_by_way_of_the_manager(shared):
    shared.order("asks", "asks", key="Elsewhere?x?y", values={"a": 2})
    ask = shared.until(lambda: next((w for w in shared.words if isinstance(w, Ask)), None))
    assert (ask.key, ask.values) == ("Elsewhere?x?y", {"a": 2})
    shared.say(Answer("another", "done", 1))
    shared.say(Answer(ask.id, "done", {"wind": 3}))
    assert shared.result("asks").gave == {"asked": {"wind": 3}}
    shared.words.clear()
    shared.order("again", "asks", key="Elsewhere?x?y", values={})
    ask = shared.until(lambda: next((w for w in shared.words if isinstance(w, Ask)), None))
    shared.say(Answer(ask.id, "failed", None, "nobody owns it"))
    assert "ActionFailed: Elsewhere?x?y: nobody owns it" in shared.result("again").reason


def test_what_is_withdrawn_ends_or_never_begins(single):
    single.orders([order("runs", "sleeps")._replace(values={"seconds": 600, "text": "runs"})])
    single.order("waits", "note", text="waits")
    single.until(lambda: "begins runs" in _marks(single))
    single.say(Withdraw(("runs", "waits")))
    assert single.call("add", a=1).gave == {"sum": 3}
    assert not {"runs", "waits"} & set(single.results)
    assert _marks(single) == ["begins runs"]


def test_what_waits_behind_a_call_that_is_suddenly_slow_goes_to_another_worker(world):
    for number in range(20):  # fast, so that several are given at once
        world.orders([_sleeps(f"warm-{number}", 0), order(f"note-{number}", "note", text="")])
    world.until(lambda: len(world.results) == 40)
    slow = _sleeps("slow", 600)
    behind = [order(f"behind-{number}", "note", text=f"behind-{number}") for number in range(30)]
    world.orders([slow, *behind])
    world.until(lambda: len(world.results) == 70)
    assert "slow" not in world.results
    marks = [mark for mark in _marks(world) if "behind" in mark]
    assert sorted(marks) == sorted(each.id for each in behind)
    assert world.health()["in hand"] == 1


def test_sigterm_lets_what_runs_end_and_begins_nothing_more(single):
    for number in range(3):  # fast, so that several are given at once
        single.orders([_sleeps(f"warm-{number}", 0), order(f"note-{number}", "note", text="")])
        single.until(lambda number=number: len(single.results) == 2 * number + 2)
    runs = _sleeps("runs", 1)
    single.orders([runs, *(order(f"waits-{each}", "note", text="waits") for each in range(20))])
    single.until(lambda: "begins runs" in _marks(single))
    assert single.stop() == 0
    single.turn()
    assert single.result("runs").state == "done"
    assert [each for each in single.results if each.startswith("waits")] == []
    assert _marks(single)[-2:] == ["begins runs", "ends runs"]
    assert (single.hellos[-1].takes, single.hellos[-1].has) == (0, ("runs",))


def test_action_workers_end_with_their_host_however_it_ends(single):
    single.orders([order("hangs", "hangs", how="sleep")])
    pid = single.until(lambda: next((m.split()[1] for m in _marks(single)), None))
    single.signal(signal.SIGKILL)
    wait_until(lambda: _is_dead(pid), timeout=30)


def test_a_host_that_was_frozen_begins_nothing_before_it_is_heard_again(single):
    single.call("add", a=1)
    single.signal(signal.SIGSTOP)
    single.order("late", "note", text="late")
    frozen = time.monotonic()
    wait_until(lambda: time.monotonic() - frozen > 3.5, timeout=30)
    single.answers_alive = single.welcomes = False
    single.signal(signal.SIGCONT)
    number = len(single.hellos)
    single.say_hello()
    single.until(lambda: len(single.hellos) > number)
    assert _marks(single) == []
    single.answers_alive = single.welcomes = True
    assert single.result("late").state == "done"


def test_results_are_said_again_to_a_manager_that_did_not_take_them(single):
    single.acknowledges = False
    single.call("note", text="once")
    single.acknowledges = True
    single.say_hello()
    single.until(lambda: single.repeated == 1)
    single.until(lambda: single.health()["unacknowledged"] == 0)
    assert _marks(single) == ["once"]


def test_the_texts_of_results_are_json_for_any_reader(shared):
    result = shared.call("anything", place="Cap d’Espoir ☔", number=10**30)
    assert result.gave == {"place": "Cap d’Espoir ☔", "number": 10**30}


def test_large_values_go_there_and_back(shared):
    text = "y" * 5_000_000
    shared.order("large", "anything", text=text)
    shared.order("small", "add", a=1)
    assert shared.result("large").gave == {"text": text}
    assert shared.result("small").gave == {"sum": 3}
