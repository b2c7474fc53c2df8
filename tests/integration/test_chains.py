"""A message goes in, the checklist changes, what follows is launched: with real daemons."""

import signal

import pytest

from helpers import wait_until
from nowcast_cli.messages.message import Message


def test_a_worker_is_followed_by_the_next_and_both_leave_their_payloads(make_system):
    system = make_system(
        after={"first": "[NextWorker('workers.second', args=['--payload', 'done'])]"}
    ).start()
    job = system.launch("first", "--payload", "{tide: 3}")
    system.wait_for_chain(job)

    first, second = system.jobs()
    assert system.effects() == [(first.id, "first"), (second.id, "second")]
    assert system.checklist() == {"first": {"tide": 3}, "second": "done"}
    assert [each.state for each in (first, second)] == ["succeeded", "succeeded"]
    assert (second.chain, second.arguments) == (first.id, ("--payload", "done"))
    [cause] = system.messages("first")
    assert (second.cause, cause.state, cause.outcome) == (cause.number, "decided", "success")


def test_how_the_process_of_a_job_ended_is_on_record(system):
    job = system.launch("first")
    ended = system.wait_for_process_end(job)

    assert (ended.exit["code"], ended.exit["signal"]) == (0, None)
    assert ended.exit["peak_memory"] > 0
    assert ended.pid is not None
    assert ended.created <= ended.started <= ended.ended


def test_the_reason_of_a_bad_end_that_the_worker_gives_is_on_record(system):
    failed, crashed, succeeded = (
        system.wait_for_process_end(system.launch("first", *arguments))
        for arguments in (["--fail"], ["--raise"], [])
    )
    assert (failed.state, failed.reason) == ("failed", "it was told to fail")
    assert (crashed.state, crashed.reason) == ("crashed", "ValueError: as it was told to")
    assert (succeeded.state, succeeded.reason) == ("succeeded", None)


@pytest.mark.parametrize(
    "payload",
    ["text: 1", 7, 1.5, True, "Käse ❄", [1, [2]], {"a": {1: "x", "1": "y"}}, {}, [], 0, ""],
    ids=repr,
)
def test_any_value_of_yaml_comes_into_the_checklist_as_it_was_sent(running, payload):
    running.finish("first", [])  # a list, so that a mapping replaces and is not merged
    assert running.finish("first", payload).type == "ack"
    assert running.checklist()["first"] == payload


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Give one system for tests that leave nothing behind that others would see."""
    from systems import System

    system = System(tmp_path_factory.mktemp("shared") / "system")
    system.start()
    yield system
    system.end()


def test_a_mapping_is_merged_into_the_mapping_that_is_there(running):
    running.finish("second", {"a": 1, "b": {"c": 2}})
    running.finish("second", {"b": {"d": 3}, "e": 4})

    assert running.checklist()["second"] == {"a": 1, "b": {"d": 3}, "e": 4}


def test_anything_else_replaces_and_nothing_changes_nothing(running):
    running.finish("third", {"a": 1})
    running.finish("third", None)
    assert running.checklist()["third"] == {"a": 1}
    running.finish("third", ["b"])
    assert running.checklist()["third"] == ["b"]


def test_a_worker_gets_the_value_that_it_needs(running):
    running.finish("first", {"tide": [1, {"high": 2}]})
    job = running.launch("second", "--need", "first")
    running.wait_for_job(job, "succeeded")

    assert running.checklist()["second"]["needed"] == {"tide": [1, {"high": 2}]}


@pytest.mark.parametrize("key", ["nobody", ["a list"], {"a": "mapping"}, None])
def test_the_need_of_a_key_that_is_not_there_is_answered_so(running, key):
    reply = running.tell("first", "need", key)

    assert reply.type == "no checklist key"
    assert "There is no key" in reply.payload["what"]


def test_a_worker_that_needs_an_unknown_key_fails(running):
    job = running.launch("second", "--need", "nobody")

    assert running.wait_for_job(job, "failed", "crashed", "succeeded").state == "failed"


def test_an_unregistered_worker_or_type_is_told_so_and_nothing_changes(running):
    before = len(running.messages())

    assert running.finish("stranger", 1).type == "unregistered worker"
    assert running.tell("first", "strange", 1).type == "unregistered message type"
    # keys of the registry that are settings are no message types
    assert running.tell("first", "checklist key", 1).type == "unregistered message type"
    assert len(running.messages()) == before
    assert "message received from unregistered worker: stranger" in running.log()


def test_a_repeated_message_gets_its_first_answer_and_changes_nothing(running):
    message = Message("third", "success", {"n": 1}, id="01-repeated", outcome="success")
    replies = [running.send(message) for _ in range(3)]

    assert [reply.type for reply in replies] == ["ack"] * 3
    assert len([each for each in running.messages() if each.id == "01-repeated"]) == 1


def test_the_clear_checklist_worker_logs_the_checklist_and_empties_it(make_system):
    system = make_system().start()
    system.finish("first", {"tide": "was high"})
    job = system.launch("nowcast_cli.workers.clear_checklist")
    system.wait_for_chain(job)

    assert system.checklist() == {}
    assert "'was high'" in system.log("checklist.log")
    system.finish("second", 2)
    assert system.checklist() == {"second": 2}


def test_the_request_to_clear_the_checklist_does_the_same(system):
    system.finish("first", {"tide": "was high"})

    assert system.request("clear checklist", {}).type == "checklist cleared"
    assert system.checklist() == {}
    assert "'was high'" in system.log("checklist.log")
    assert system.tell("first", "need", "first").type == "no checklist key"


def test_a_message_in_between_updates_the_checklist_and_its_job_goes_on(system):
    job = system.launch("first", "--tell", "progress", "{step: 1}", "--until", "go")
    wait_until(lambda: system.messages("first"), what="the message in between")

    assert system.checklist() == {"first": {"step": 1}}
    assert system.wait_for_job(job, "running").state == "running"
    system.touch("go")
    system.wait_for_job(job, "succeeded")


def test_a_message_after_the_end_of_its_job_is_recorded_without_effect(make_system):
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    job = system.launch("first", "--payload", "{n: 1}")
    system.wait_for_chain(job)
    reply = system.tell("first", "success", {"n": 2}, job=job, outcome="success")

    assert reply.type == "ack"
    assert system.messages()[-1].state == "late"
    assert system.checklist()["first"] == {"n": 1}
    assert system.ran() == ["first", "second"]


def test_upstreams_messages_without_an_id_are_answered_and_followed(make_system):
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    answer = system.send_raw(b"{source: first, type: success, payload: {n: 1}}")
    wait_until(lambda: system.ran() == ["second"], what="the second worker")

    assert Message.deserialize(answer).type == "ack"
    assert system.checklist()["first"] == {"n": 1}


def test_a_worker_on_a_host_that_cannot_be_reached_crashes_with_the_reason(make_system):
    system = make_system(
        after={"first": "[NextWorker('workers.second', [], 'far'), NextWorker('workers.third')]"}
    ).start()
    system.wait_for_chain(system.launch("first"))

    [second] = system.jobs("second")
    assert second.state == "crashed"
    assert "'far'" in second.reason
    assert [each.type for each in system.messages("second")] == ["crash"]
    assert system.ran() == ["first", "third"]


def test_a_checklist_of_a_megabyte_changes_in_time_and_comes_whole_to_the_file(system):
    large = {f"key {number}": "x" * 5000 for number in range(200)}
    system.finish("first", large)
    for number in range(50):
        assert system.finish("first", {f"key {number}": number}).type == "ack"

    expected = {**large, **{f"key {number}": number for number in range(50)}}
    assert system.checklist() == {"first": expected}
    system.restart("manager")
    assert system.tell("second", "need", "first").payload == expected


def test_a_second_manager_says_who_holds_the_system(system):
    second = system.popen("manager")

    assert second.wait(20) == 1
    said = system.log("manager.out")
    assert f"already runs as process {system.pid('manager')}" in said
    assert system.finish("first", 1).type == "ack"


def test_a_clean_stop_writes_the_checklist_first_and_a_start_goes_on_from_the_store(system):
    for number in range(20):
        system.finish("first", {"n": number})
    assert system.stop("manager") == 0
    assert system.checklist_file_is_current()

    system.paths.checklist_file.unlink()
    system.start("manager")
    assert system.checklist() == {"first": {"n": 19}}


def test_the_first_manager_of_a_deployment_takes_over_the_checklist_file(make_system):
    system = make_system()
    system.paths.checklist_file.parent.mkdir(parents=True)
    system.paths.checklist_file.write_text("weather: {12: ready}\n3: list\n")
    system.start()

    assert system.tell("first", "need", "weather").payload == {12: "ready"}
    assert system.checklist() == {"weather": {12: "ready"}, 3: "list"}
    system.restart("manager")
    assert system.tell("first", "need", "weather").payload == {12: "ready"}


@pytest.mark.parametrize(
    "damaged", [b"a: [1, 2", b"- a list\n", b"a: \xff", b"a: !!python/tuple [1]"]
)
def test_a_damaged_checklist_file_is_set_aside_with_a_word(make_system, damaged):
    system = make_system()
    file = system.paths.checklist_file
    file.parent.mkdir(parents=True)
    file.write_bytes(damaged)
    system.start()

    assert system.finish("first", 1).type == "ack"
    assert system.checklist() == {"first": 1}
    assert file.with_name(file.name + ".damaged").read_bytes() == damaged
    assert "is kept as" in system.log()


def test_sigint_ends_the_manager_cleanly_too(system):
    system.kill("manager", signal.SIGINT)
    assert "shutting down" in system.log()


def test_a_request_that_was_refused_stays_refused_when_it_is_repeated(system):
    job = system.launch("first", "--until", "let-it-end")
    system.wait_for_job(job, "running")
    asked = Message("nowcast", "rerun", {"job": job}, id="0193-again")
    first = system.send(asked)
    system.write("let-it-end", "")
    system.wait_for_job(job, "succeeded")

    assert first.type == "refused"
    assert system.send(asked) == first
    assert system.ran() == ["first"]
