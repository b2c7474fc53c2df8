"""What a client says of a broker that has not answered."""

import errno
import os
import socket

import pytest

from nowcast_cli.messages.client import _why_silent


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "the message broker does not run"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "there is no host of the name tide"),
        (OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH)),
         "there is no way to tide port 1: Network is unreachable"),
        (TimeoutError("timed out"), "there is no way to tide port 1: timed out"),
    ],
)  # fmt: skip
def test_a_network_that_is_cut_is_not_taken_for_a_broker_that_is_down(monkeypatch, error, said):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert said in _why_silent("tide", 1)
