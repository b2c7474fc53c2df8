"""The lines to agents: whoever asks is answered, once."""

from __future__ import annotations

from nowcast_cli.manager.agent_lines import Asked, Lines
from nowcast_cli.manager.inbox import Arrived
from nowcast_cli.messages.agent_messages import Acknowledge, from_text
from nowcast_cli.messages.message import Message


def pull(stamp: bytes) -> Asked:
    return Asked(Arrived((stamp,), stamp, b""), "i", None, until=60.0)


def test_an_agent_that_is_forgotten_while_it_waits_is_asked_who_it_is():
    sent = []
    lines = Lines(None, lambda arrived, reply: sent.append((arrived, reply)), lambda: 0.0)
    asked = pull(b"1")
    lines.ask("east", asked)
    assert lines.waits(asked.arrived)
    lines.drop("east")
    ((arrived, reply),) = sent
    said = from_text(Message.deserialize(reply).payload)
    assert arrived is asked.arrived
    assert isinstance(said, Acknowledge)
    assert said.talkback.register
    assert not lines.waits(asked.arrived)
    lines.drop("east")
    assert len(sent) == 1
