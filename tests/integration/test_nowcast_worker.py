"""A worker process tells the manager how it went, and its exit code says the same."""

import re

import pytest

from nowcast_cli.messages.message import Message
from peer import Peer, Toy, acknowledge


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def test_success_is_told_with_what_stands_in_the_checklist(toy):
    with Peer(toy.port) as peer:
        ended = toy.run("return {'played': 3}")

    assert (ended.returncode, ended.stdout) == (0, "run returned\n")
    [message] = peer.messages
    assert (message.source, message.type, message.payload) == ("toy", "success", {"played": 3})
    assert message.outcome == "success"
    assert message.job is None


def test_a_job_says_which_one_it_is(toy):
    with Peer(toy.port) as peer:
        toy.run("return None", environment={"NOWCAST_JOB_ID": "0193-abc"})

    assert peer.messages[0].job == "0193-abc"


def test_a_worker_that_a_job_starts_by_itself_does_not_speak_for_the_job(toy):
    with Peer(toy.port) as peer:
        toy.run("return None", environment={"NOWCAST_JOB_ID": "0193-abc", "NOWCAST_JOB_PID": "1"})

    assert peer.messages[0].job is None


def test_a_worker_error_becomes_the_failure_message(toy):
    with Peer(toy.port) as peer:
        ended = toy.run("raise WorkerError('the toy has no battery')")

    assert ended.returncode == 1
    [message] = peer.messages
    assert (message.type, message.payload, message.outcome) == ("failure", None, "failure")
    assert message.reason == "the toy has no battery"
    assert "ERROR toy the toy has no battery" in toy.log()


def test_a_bare_worker_error_is_enough(toy):
    with Peer(toy.port) as peer:
        ended = toy.run("raise WorkerError")

    assert (ended.returncode, peer.types()) == (1, ["failure"])


def test_the_reason_of_a_bare_worker_error_is_what_was_logged_last(toy):
    with Peer(toy.port) as peer:
        toy.run(
            "import logging\n"
            "logging.getLogger('tides').error('no gauge %s\\nof two', 7)\n"
            "logging.getLogger('tides').info('so there is nothing to do')\n"
            "raise WorkerError"
        )

    assert peer.messages[0].reason == "no gauge 7"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("sys.exit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
    ],
)
def test_anything_else_becomes_the_crash_message_with_a_traceback_in_the_log(toy, body, reason):
    with Peer(toy.port) as peer:
        ended = toy.run(body)

    assert ended.returncode == 70
    [message] = peer.messages
    assert (message.type, message.outcome) == ("crash", "crash")
    assert message.reason == reason.strip()
    assert "CRITICAL toy unhandled exception:" in toy.log()
    assert "Traceback" in toy.log()


def test_a_message_in_between_is_told_and_its_reply_given_back(toy):
    def answer(message):
        payload = {"height": 2} if message.type == "need" else None
        return Message("manager", "ack", payload, id=message.id)

    with Peer(toy.port, answer) as peer:
        ended = toy.run(
            "height = tell_manager('need', 'tide').payload['height']\n"
            "tell_manager('progress', {'height': height})\n"
        )

    assert ended.returncode == 0
    need, progress, success = peer.messages
    assert (need.payload, progress.payload) == ("tide", {"height": 2})
    assert (need.outcome, progress.outcome, success.outcome) == (None, None, "success")


def test_the_log_tells_the_story(toy):
    with Peer(toy.port):
        toy.run("return None")

    story = re.sub(r"process \d+", "process N", toy.log()).splitlines()
    assert story == [
        "INFO toy running in process N",
        f"INFO toy read config from {toy.config_file}",
        "INFO toy writing log messages to local file system",
        f"INFO toy connected to localhost port {toy.port}",
        "DEBUG toy sent message: (success) toy has played",
        "DEBUG toy received message from manager: (ack) message acknowledged",
        "DEBUG toy shutting down",
    ]


def test_debug_talks_to_nobody(toy):
    with Peer(toy.port) as peer:
        ended = toy.run("assert tell_manager('need', 'tide').payload is None", "--debug")

    assert ended.returncode == 0
    assert peer.messages == []
    assert "**debug mode** no connection to manager" in ended.stderr
    assert "**debug mode** message that would have been sent to manager: (success)" in ended.stderr
    assert toy.log() == ""


def test_debug_finds_a_payload_that_could_not_be_sent(toy):
    ended = toy.run("return {'file': Path('x')}", "--debug")

    assert ended.returncode == 70
    assert 'payload["file"]: PosixPath cannot be sent' in ended.stderr
    assert "would have been sent to manager: (success)" not in ended.stderr


def test_debug_needs_no_zeromq(toy):
    ended = toy.run("assert 'zmq' not in sys.modules", "--debug")

    assert ended.returncode == 0


def test_a_type_that_is_not_registered_is_a_worker_error_in_the_worker(toy):
    with Peer(toy.port) as peer:
        ended = toy.run(
            "try:\n    tell_manager('dance')\nexcept WorkerError as error:\n    return str(error)\n"
        )

    assert ended.returncode == 0
    assert "the message type 'dance' of the worker toy is not in the message registry" in (
        peer.messages[0].payload
    )


def test_a_worker_that_is_not_registered_says_so_and_tells_nothing(toy):
    toy.config_file.write_text(toy.config_file.read_text().replace("    toy:\n", "    doll:\n"))
    with Peer(toy.port) as peer:
        ended = toy.run("return None")

    assert ended.returncode == 70
    assert peer.messages == []
    assert ended.stderr.count("the worker toy is not in the message registry") == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Message("manager", "refused", {"what": "No.", "hint": "ask later"}), "No."),
        (Message("manager", "no checklist key", {"what": "There is no key 'x'."}), "no key 'x'"),
        (Message("manager", "unregistered worker"), "it answered 'unregistered worker'"),
        (Message("manager", "unregistered message type"), "it answered 'unregistered message"),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_a_refusal_is_a_worker_error_with_the_managers_sentence(toy, reply, sentence):
    def answer(message):
        return reply if message.type == "need" else acknowledge(message)

    with Peer(toy.port, answer) as peer:
        ended = toy.run("tell_manager('need', 'x')")

    assert (ended.returncode, peer.types()) == (1, ["need", "failure"])
    assert sentence in ended.stderr


def test_a_payload_that_cannot_be_sent_is_a_crash_that_names_the_place(toy):
    with Peer(toy.port) as peer:
        ended = toy.run("return {'files': [Path('/x')]}")

    assert (ended.returncode, peer.types()) == (70, ["crash"])
    assert 'payload["files"][0]: PosixPath cannot be sent; send str(...)' in ended.stderr


def test_a_configuration_that_is_missing_is_one_sentence(toy):
    toy.config_file.unlink()
    ended = toy.run("return None")

    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_missing_is_one_sentence(toy):
    toy.config_file.write_text(toy.config_file.read_text().replace(f"workers: {toy.port}, ", "", 1))
    ended = toy.run("return None")

    assert ended.returncode == 2
    assert "zmq.ports.workers: is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_is_published_stands_in_place_before_the_message_is_sent(toy, tmp_path):
    product = tmp_path / "products" / "levels.csv"
    seen = []

    def answer(message):
        seen.append(product.read_text())
        return acknowledge(message)

    with Peer(toy.port, answer):
        ended = toy.run(
            f"with publish({str(product)!r}) as path:\n"
            "    path.write_text('1,2')\n"
            f"    assert not Path({str(product)!r}).exists()\n"
        )

    assert ended.returncode == 0
    assert seen == ["1,2"]
