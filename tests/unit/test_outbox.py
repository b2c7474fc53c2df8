"""The outbox keeps messages whole and in order."""

from nowcast_cli.messages import outbox
from nowcast_cli.messages.message import Message


def test_messages_are_taken_in_the_order_in_which_they_were_put(tmp_path):
    folder = tmp_path / "jobs" / "outbox"
    for number in range(20):
        outbox.put(folder, Message("sleep", "success", number))

    assert [message.payload for _, message in outbox.take(folder)] == list(range(20))


def test_a_message_keeps_its_id_and_its_file_bears_it(tmp_path):
    path = outbox.put(tmp_path, Message("sleep", "success", id="0193-a"))

    assert path.name == "0193-a.yaml"
    assert outbox.take(tmp_path) == [(path, Message("sleep", "success", id="0193-a"))]


def test_an_outbox_that_is_not_there_is_empty(tmp_path):
    assert outbox.take(tmp_path / "none") == []


def test_a_damaged_file_is_set_aside_and_the_rest_is_taken(tmp_path, caplog):
    outbox.put(tmp_path, Message("sleep", "success", id="b"))
    (tmp_path / "a.yaml").write_bytes(b"source: [\xff")

    assert [message.id for _, message in outbox.take(tmp_path)] == ["b"]
    assert (tmp_path / "a.yaml.damaged").read_bytes() == b"source: [\xff"
    assert "it is kept as a.yaml.damaged" in caplog.text
    assert [message.id for _, message in outbox.take(tmp_path)] == ["b"]
