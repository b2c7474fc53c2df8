"""What is too much, from the worker to the checklist, with real daemons."""

from __future__ import annotations

from nowcast_cli.messages.message import Message


def test_a_worker_is_told_which_limit_its_payload_passes_and_the_system_goes_on(make_system):
    system = make_system(settings={"limits": {"message size": "20 kB", "payload depth": 4}}).start()
    thirty_times = f"[&text {'x' * 1000}{', *text' * 29}]"
    too_large = system.launch("first", "--payload", thirty_times)
    too_deep = system.launch("second", "--payload", "[[[[[1]]]]]")
    for job in (too_large, too_deep):
        system.wait_for_process_end(job, timeout=20)

    assert {system.job(job).state for job in (too_large, too_deep)} == {"crashed"}
    assert "write the data to a file and send its path" in str(system.job(too_large).reason)
    assert "is too large: limits.message size allows 20 kB" in system.log()
    assert "nested more than 4 deep (limits.payload depth)" in system.log()
    assert system.finish("third", [[[1]]]).type == "ack"
    assert system.checklist() == {"third": [[[1]]]}


def test_who_sends_too_much_without_checking_is_refused_in_a_sentence(make_system):
    system = make_system(settings={"limits": {"message size": "20 kB", "payload depth": 4}}).start()
    for payload, said in (("x" * 20_000, "message size"), ([[[[[1]]]]], "payload depth")):
        answer = system.send_raw(Message("first", "success", payload).encode())
        assert answer is not None
        refusal = Message.deserialize(answer)
        assert (refusal.type, f"limits.{said}" in refusal.payload["what"]) == ("refused", True)
    assert system.checklist() == {}
