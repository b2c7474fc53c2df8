"""Nobody there, nobody answers, told to stop: a worker ends in time and its message is kept."""

import signal
import time

import pytest

from helpers import wait_until
from nowcast_cli.messages import outbox
from peer import Peer, Toy, acknowledge, silent


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path, deadline=0.6)


@pytest.fixture
def patient_toy(tmp_path):
    return Toy(tmp_path, deadline=60)


def kept(folder):
    return [message for _, message in outbox.take(folder)]


def test_without_a_broker_the_message_is_kept_and_the_worker_ends_with_75(toy):
    ended = toy.run("return {'played': 1}")

    assert ended.returncode == 75
    [message] = kept(toy.outbox)
    assert (message.type, message.payload, message.outcome) == (
        "success",
        {"played": 1},
        "success",
    )
    assert "nothing listens at localhost" in ended.stderr
    assert str(toy.outbox) in ended.stderr


def test_without_a_manager_the_message_is_kept_with_the_id_that_was_sent(toy):
    with Peer(toy.port, silent) as peer:
        ended = toy.run("return None")

    assert ended.returncode == 75
    assert [message.id for message in kept(toy.outbox)] == [peer.messages[0].id]


def test_a_job_keeps_its_message_in_its_own_folder(toy, tmp_path):
    job = tmp_path / "jobs" / "1-toy"
    toy.run("return None", environment={"NOWCAST_JOB_FOLDER": str(job), "NOWCAST_JOB_ID": "0193"})

    [message] = kept(job / "outbox")
    assert message.job == "0193"
    assert kept(toy.outbox) == []


def test_a_need_that_nobody_answers_is_a_worker_error(toy):
    ended = toy.run("tell_manager('need', 'tide')")

    assert ended.returncode == 75
    assert [message.type for message in kept(toy.outbox)] == ["failure"]


def test_work_goes_on_when_a_message_in_between_is_kept_and_order_stays(toy):
    ended = toy.run("tell_manager('progress', 1)\ntell_manager('progress', 2)\nreturn 3")

    assert ended.returncode == 75
    assert [message.payload for message in kept(toy.outbox)] == [1, 2, 3]


def test_when_the_manager_is_back_what_was_kept_is_told_first(toy, tmp_path):
    go_on = tmp_path / "go on"
    process = toy.start(
        "tell_manager('progress', 1)\n"
        f"while not Path({str(go_on)!r}).exists(): time.sleep(0.01)\n"
        "tell_manager('need', 'tide')\n"
    )
    wait_until(lambda: kept(toy.outbox), what="the message in the outbox")
    with Peer(toy.port) as peer:
        go_on.touch()
        process.communicate(timeout=20)

    assert process.returncode == 0
    assert peer.types() == ["progress", "need", "success"]
    assert kept(toy.outbox) == []


def test_a_broker_that_dies_with_the_message_and_comes_back_gets_it(patient_toy):
    with Peer(patient_toy.port, silent) as first:
        process = patient_toy.start("return None")
        wait_until(lambda: first.messages, what="the message")
    with Peer(patient_toy.port) as second:
        process.communicate(timeout=20)

    assert process.returncode == 0
    assert second.messages[0].id == first.messages[0].id


def test_an_outbox_that_cannot_be_written_does_not_hold_the_worker_up(toy):
    toy.outbox.parent.mkdir(exist_ok=True)
    toy.outbox.write_text("a file in the way")
    ended = toy.run("return None")

    assert ended.returncode == 75
    assert "is lost: it cannot be kept" in ended.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 70), (signal.SIGINT, 130)])
def test_a_worker_that_is_told_to_stop_tells_the_manager(patient_toy, tmp_path, number, code):
    with Peer(patient_toy.port) as peer:
        process = patient_toy.start("Path('working').touch()\ntime.sleep(60)")
        wait_until((tmp_path / "working").exists, what="the work")
        process.send_signal(number)
        process.communicate(timeout=20)

    assert process.returncode == code
    assert [(message.type, message.outcome) for message in peer.messages] == [("crash", "crash")]
    assert "received; shutting down" in patient_toy.log()


def test_a_worker_told_to_stop_without_a_manager_keeps_its_message_and_does_not_dawdle(
    patient_toy, tmp_path
):
    process = patient_toy.start("Path('working').touch()\ntime.sleep(60)")
    wait_until((tmp_path / "working").exists, what="the work")
    began = time.monotonic()
    process.terminate()
    process.communicate(timeout=20)

    assert time.monotonic() - began < 15
    assert process.returncode == 75
    assert [message.type for message in kept(patient_toy.outbox)] == ["crash"]


def test_a_worker_told_to_stop_while_it_tells_of_its_success_keeps_that(patient_toy):
    with Peer(patient_toy.port, silent) as peer:
        process = patient_toy.start("return 3")
        wait_until(lambda: peer.messages, what="the message")
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=20)

    assert time.monotonic() - began < 10
    assert process.returncode == 75
    assert [(m.type, m.payload) for m in kept(patient_toy.outbox)] == [("success", 3)]


def test_a_second_signal_ends_a_worker_at_once(patient_toy, tmp_path):
    with Peer(patient_toy.port, silent) as peer:
        process = patient_toy.start("Path('working').touch()\ntime.sleep(60)")
        wait_until((tmp_path / "working").exists, what="the work")
        process.terminate()
        wait_until(lambda: "crash" in peer.types(), what="the crash message")
        process.terminate()

        assert process.wait(timeout=20) == -signal.SIGTERM
        process.communicate()


def test_a_worker_that_may_not_repeat_asks_once(tmp_path):
    toy = Toy(tmp_path, deadline=1.5, repeat="never")
    with Peer(toy.port, silent) as peer:
        ended = toy.run("return None")

    assert (ended.returncode, len(peer.bodies)) == (75, 1)


def test_acknowledged_messages_leave_nothing_in_the_outbox(toy):
    with Peer(toy.port, acknowledge):
        toy.run("return None")

    assert not toy.outbox.exists()
