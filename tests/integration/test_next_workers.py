"""User code decides: slow, late, raising, exiting, nonsense; mended, edited, reloaded."""

import os
import signal
import threading
import time

import pytest

from helpers import wait_until
from nowcast_cli import Message
from nowcast_command import nowcast
from systems import System, next_workers_text

WORKERS = ("first", "second", "third", "clear_checklist")
MENDED = {"first": "[NextWorker('workers.second')]"}


def with_first(body: str) -> str:
    """Give a next_workers module whose after_first has this body."""
    text = next_workers_text({}, [name for name in WORKERS if name != "first"])
    return f"{text}\n\ndef after_first(msg, config, checklist):\n    {body}\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('tide')", "KeyError: 'tide'"),
        ("raise ValueError('\\udce9 of a file name')", "of a file name"),
        ("sys.exit(0)", "SystemExit"),
        ("os._exit(3)", "exited with code 3"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9 (SIGKILL)"),
        ("os.kill(os.getpid(), 40)", "killed by signal 40"),
        ("return None", "returned None: it must return a list"),
        ("return 'workers.second'", "returned 'workers.second': it must return a list"),
        ("return {}", "it must return a list"),
        ("return [], {1}", "something else than names of workers"),
        ("return len(msg)", "TypeError"),
    ],
)
def test_a_decision_that_fails_makes_its_message_stuck_until_the_module_is_mended(
    shared, body, said
):
    _fail_then_mend(shared, with_first(body), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def after_first(:\n", "SyntaxError"),
        ("import there_is_no_such_module\n", "ModuleNotFoundError"),
        ("import sys\nsys.exit(4)\n", "SystemExit"),
        ("import os\nos._exit(4)\n", "exited with code 4"),
        ("import os\nos.kill(os.getpid(), 9)\n", "killed by signal 9 (SIGKILL)"),
        (next_workers_text({}, ["second"]), "could not find after_first"),
    ],
)
def test_a_module_that_cannot_be_used_makes_messages_stuck_until_it_is_mended(shared, text, said):
    _fail_then_mend(shared, text, said)


def test_a_decider_that_is_killed_while_it_loads_is_started_again(make_system):
    killed_twice = (
        "import os\nfrom pathlib import Path\n"
        "loads = Path('loads.txt')\n"
        "loads.write_text(loads.read_text() + '.' if loads.exists() else '.')\n"
        "if len(loads.read_text()) < 3:\n    os.kill(os.getpid(), 9)\n"
    )
    system = make_system()
    text = (system.folder / "next_workers.py").read_text()
    system.write("next_workers.py", f"{killed_twice}{text}")
    system.start()
    assert system.finish("first").type == "ack"
    system.wait_for_message(system.messages("first")[-1].number, "decided")
    assert system.log().count("next_workers is loaded again") == 2


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    system = System(tmp_path_factory.mktemp("shared") / "system")
    yield system.start()
    system.end()


def _fail_then_mend(system, text, said):
    _let_it_look_again()
    system.write("next_workers.py", text)
    before = len(system.jobs("second"))
    assert system.finish("first", {"n": before}).type in ("ack", "no after_worker function")
    number = system.messages("first")[-1].number
    assert said in system.wait_for_message(number, "stuck").error
    assert system.health()["stuck"] == 1
    assert system.checklist()["first"]["n"] == before

    _let_it_look_again()
    system.write_after(MENDED)
    system.finish("second")
    system.wait_for_message(number, "decided")
    system.wait_for_message(number + 1, "decided")
    assert system.health()["stuck"] == 0
    assert len(system.jobs("second")) == before + 1
    system.wait_for_chain(system.jobs("second")[-1].chain)


def test_who_mends_the_module_need_not_do_anything_more(make_system):
    system = make_system(next_workers="def after_first(:\n").start()
    system.finish("first")
    system.wait_for_message(1, "stuck")
    assert "SyntaxError" in system.health()["next workers"]

    system.write_after(MENDED)
    system.wait_for_message(1, "decided")
    wait_until(lambda: system.ran() == ["second"], what="the second worker")
    assert system.health()["next workers"] == "ok"


def test_a_module_that_is_missing_is_found_once_it_is_there(make_system):
    system = make_system()
    (system.folder / "next_workers.py").unlink()
    system.start()
    system.finish("first")
    assert "No module named 'next_workers'" in system.wait_for_message(1, "stuck").error

    system.write_after(MENDED)
    wait_until(lambda: system.ran() == ["second"], what="the second worker")


def test_what_is_stuck_is_decided_again_on_request_and_launches_once(make_system):
    flag = "os.path.exists(os.path.join(os.path.dirname(__file__), 'flag'))"
    body = f"return [NextWorker('workers.second')] if {flag} else None"
    system = make_system(next_workers=with_first(body)).start()
    system.finish("first")
    system.finish("first")
    system.wait_for_message(1, "stuck")
    system.wait_for_message(2, "stuck")

    system.touch("flag")
    assert system.request("retry", {"message": 1}).payload == {"messages": [1]}
    system.wait_for_message(1, "decided")
    assert system.job(system.jobs("second")[0].id).cause == 1
    assert system.request("retry", {"message": "all"}).payload == {"messages": [2]}
    system.wait_for_message(2, "decided")
    assert len(system.jobs("second")) == 2


def test_a_retry_right_after_the_module_was_mended_launches_once(make_system):
    """The request and the look at the changed file both take the message again."""
    system = make_system(next_workers=with_first("return None")).start()
    for number in range(1, 4):
        system.write("next_workers.py", with_first("return None"))
        system.finish("first")
        system.wait_for_message(system.messages("first")[-1].number, "stuck")
        system.write_after(MENDED)
        system.request("retry", {"message": "all"})
        wait_until(lambda: system.health()["stuck"] == 0, what="nothing to be stuck")
        wait_until(lambda: system.health()["undecided"] == 0, what="the decision")
        assert len(system.jobs("second")) == number


def test_wrong_items_are_left_out_with_a_word_and_the_rest_is_launched(make_system):
    items = (
        "[3, NextWorker('workers.second'), None, NextWorker('not a module'), 'workers.third', "
        "NextWorker('workers.third', args='--x'), NextWorker('workers.third')]"
    )
    system = make_system(after={"first": items}).start()
    system.wait_for_chain(system.launch("first"))

    assert sorted(system.ran()) == ["first", "second", "third"]
    words = "item 0 of what after_first returned is left out: 3 is not a NextWorker"
    assert words in system.log()
    (message,) = [each for each in system.messages("first") if each.outcome == "success"]
    assert words in (message.error or "")
    assert "decided in part" in nowcast(system.folder, "message", "list").out
    assert "'not a module' is not the dotted name of a module" in system.log()


def test_a_slow_decision_does_not_hold_up_other_workers(make_system):
    system = make_system(
        after={
            "first": "[list(iter(lambda: os.path.exists('go on') or time.sleep(0.02), True)), "
            "NextWorker('workers.third')][1:]",
            "second": "[]",
        },
        settings={"next workers": {"deadline": 60}},
    ).start()
    system.finish("first")
    for number in (2, 3, 4):
        assert system.finish("second").type == "ack"
        system.wait_for_message(number, "decided")

    assert system.messages("first")[0].state == "received"
    system.touch("go on")
    wait_until(lambda: system.ran() == ["third"], what="what follows the slow decision")
    assert len(system.jobs("third")) == 1


def test_messages_of_one_worker_are_decided_in_their_order_also_behind_a_slow_one(make_system):
    body = (
        "time.sleep(1.3 if msg.payload == 1 else 0)\n"
        "    return [NextWorker('workers.second', args=['--payload', str(msg.payload)])]"
    )
    system = make_system(next_workers=with_first(body)).start()
    for number in range(1, 5):
        system.finish("first", number)
    wait_until(lambda: len(system.jobs("second")) == 4, what="four jobs")

    assert [job.arguments[1] for job in system.jobs("second")] == ["1", "2", "3", "4"]


def test_a_decision_past_its_deadline_is_ended_and_its_message_stuck(make_system):
    system = make_system(
        after={"first": "time.sleep(60)"}, settings={"next workers": {"deadline": 2.5}}
    ).start()
    system.finish("first")
    assert "longer than 2.5 s" in system.wait_for_message(1, "stuck").error
    assert system.finish("second").type == "ack"
    system.wait_for_message(2, "decided")

    system.write_after(MENDED)
    wait_until(lambda: system.ran() == ["second"], what="the second worker")


def test_threads_and_children_of_user_code_do_not_keep_a_decider(make_system):
    body = "import threading; threading.Thread(target=time.sleep, args=(60,)).start(); return []"
    system = make_system(next_workers=with_first(body)).start()
    system.finish("first")
    system.wait_for_message(1, "decided")

    assert system.stop("manager") == 0
    wait_until(
        lambda: not any("decider" in command for command in _commands(system)),
        what="the deciders to end",
    )


def test_user_code_sees_the_checklist_as_it_was_with_the_message(make_system):
    body = "return [NextWorker('workers.second', args=['--payload', repr(checklist['first'])])]"
    system = make_system(next_workers=with_first(body)).start()
    system.finish("first", {"a": 1})
    system.finish("first", {"b": [2]})
    system.finish("first", "text")
    wait_until(lambda: len(system.jobs("second")) == 3, what="three jobs")

    seen = [job.arguments[1] for job in system.jobs("second")]
    assert seen == ["{'a': 1}", "{'a': 1, 'b': [2]}", "'text'"]


def test_an_edited_module_is_taken_at_the_next_message(make_system):
    system = make_system().start()
    system.finish("first")
    system.wait_for_message(1, "decided")
    _let_it_look_again()
    system.write_after(MENDED)
    system.finish("first")

    wait_until(lambda: system.ran() == ["second"], what="the second worker")
    assert "next_workers has changed" in system.log()


def test_an_edited_module_that_next_workers_imports_counts_too(make_system):
    system = make_system()
    system.write("plan.py", "MODULES = []\n")
    system.write(
        "next_workers.py",
        "import plan\n" + with_first("return [NextWorker(module) for module in plan.MODULES]"),
    )
    system.start()
    system.finish("first")
    system.wait_for_message(1, "decided")
    _let_it_look_again()
    system.write("plan.py", "MODULES = ['workers.second']\n")
    system.finish("first")

    wait_until(lambda: system.ran() == ["second"], what="the second worker")


def test_a_reload_takes_in_a_changed_registry(system):
    assert system.finish("newcomer", 1).type == "unregistered worker"
    system.registry["newcomer"] = {"checklist key": "news", "success": "is new here"}
    system.write("next_workers.py", next_workers_text({}, [*WORKERS, "newcomer"]))
    system.write_config()

    assert system.request("reload", {}).type == "ack"
    assert system.finish("newcomer", 1).type == "ack"
    assert system.checklist() == {"news": 1}


def test_a_hup_takes_in_a_changed_registry_too(system):
    system.registry["newcomer"] = {"checklist key": "news", "success": "is new here"}
    system.write_config()
    os.kill(system.pid("manager"), signal.SIGHUP)

    wait_until(
        lambda: system.finish("newcomer", 1).type != "unregistered worker", what="the reload"
    )


def test_what_a_torn_configuration_makes_stuck_is_decided_once_it_is_whole(system):
    whole = system.config_file.read_text()
    with system.client() as client:
        system.write("nowcast.yaml", "zmq: [1, 2\n")
        _let_it_look_again()
        system.write("next_workers.py", next_workers_text(MENDED, WORKERS))
        client.ask(Message("first", "success", 1, outcome="success"))
    number = system.messages("first")[-1].number

    assert "this is not YAML" in system.wait_for_message(number, "stuck").error
    assert "Traceback" not in system.log("manager.out")
    _let_it_look_again()
    system.write("nowcast.yaml", whole)
    system.wait_for_message(number, "decided")


def test_a_broken_configuration_is_refused_and_the_old_one_goes_on(system):
    with system.client() as client:
        system.write("nowcast.yaml", "zmq: [1, 2\n")
        reply = client.ask(Message("nowcast", "reload", {}))
        os.kill(system.pid("manager"), signal.SIGHUP)
        wait_until(
            lambda: system.log().count("the old one goes on") == 2, what="the second refusal"
        )
        answer = client.ask(Message("first", "success", 1, outcome="success"))

    assert reply.type == "refused"
    assert "nowcast.yaml" in reply.payload["what"]
    assert answer.type == "ack"
    system.wait_for_message(system.messages("first")[-1].number, "decided")


def test_a_hup_refuses_a_broken_module_and_the_old_one_goes_on(make_system):
    system = make_system(next_workers=with_first("return [NextWorker('workers.second')]")).start()
    system.write("next_workers.py", "def (:\n")
    os.kill(system.pid("manager"), signal.SIGHUP)
    wait_until(lambda: "the old module goes on" in system.log(), what="the refusal")
    system.finish("first")

    wait_until(lambda: system.ran() == ["second"], what="the second worker")
    assert "SyntaxError" in system.health()["refused"]
    wait_until(lambda: len(system.messages("second")) == 1, what="the message of second")
    system.wait_for_message(system.messages("second")[0].number, "decided")
    _let_it_look_again()
    system.write("next_workers.py", with_first("return [NextWorker('workers.third')]"))
    system.finish("first")
    wait_until(lambda: system.ran() == ["second", "third"], what="the mended module")


def test_fifty_hups_under_load_lose_no_message(make_system):
    system = make_system(after={"first": "[]"}).start()
    acknowledged = [0, 0]
    over = threading.Event()

    def send(index):
        while not over.is_set():
            assert system.tell("first", "success", {f"{index}": acknowledged[index]}).type == "ack"
            acknowledged[index] += 1

    senders = [threading.Thread(target=send, args=(index,)) for index in range(2)]
    for sender in senders:
        sender.start()
    for _ in range(50):
        before = sum(acknowledged)
        os.kill(system.pid("manager"), signal.SIGHUP)
        wait_until(lambda before=before: sum(acknowledged) > before, what="an answer")
    over.set()
    for sender in senders:
        sender.join()

    wait_until(lambda: system.health()["undecided"] == 0, timeout=20, what="all decisions")
    states = [message.state for message in system.messages("first")]
    assert states == ["decided"] * sum(acknowledged)
    assert system.checklist()["first"] == {str(n): acknowledged[n] - 1 for n in range(2)}


def test_a_module_broken_and_mended_between_hups_leaves_nothing_stuck(make_system):
    """A decider that was set aside while it loaded a broken module gives its messages back."""
    system = make_system(next_workers=with_first("return []")).start()
    for _ in range(5):
        system.write("next_workers.py", "import time\ntime.sleep(0.3)\ndef (:\n")
        os.kill(system.pid("manager"), signal.SIGHUP)
        system.finish("first")
        system.write_after({})
        os.kill(system.pid("manager"), signal.SIGHUP)
        number = system.messages("first")[-1].number
        system.wait_for_message(number, "decided")
    assert " is stuck" not in system.log()


def _let_it_look_again():
    """Wait for as long as one look at the files counts; there is nothing to see meanwhile."""
    from nowcast_cli.manager.watched_files import CHECK_INTERVAL

    time.sleep(CHECK_INTERVAL)


def _commands(system):
    commands = []
    for pid in system.processes():
        try:
            commands.append((system.folder / f"/proc/{pid}/cmdline").read_bytes().decode())
        except OSError:
            continue
    return commands


def test_a_module_mended_while_the_broken_one_loads_leaves_nothing_stuck(make_system):
    system = make_system(next_workers=with_first("return []")).start()
    for number in range(1, 4):
        _let_it_look_again()
        system.write("next_workers.py", "import time\ntime.sleep(0.3)\ndef (:\n")
        system.finish("first")
        system.write_after({})
        os.kill(system.pid("manager"), signal.SIGHUP)
        system.wait_for_message(number, "decided")
    assert " is stuck" not in system.log()
