"""Sending one notice to servers that do not behave."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nowcast_cli.errors import NowcastError
from nowcast_cli.notify import sending
from nowcast_cli.notify.channels import ALL_KINDS, Channel
from nowcast_cli.notify.mailbox import Notice
from nowcast_cli.notify.sending import SendError, send
from webhook import Webhook

NOTICE = Notice("first failed", "message 1: failure", 0.0)


def slack(url: str) -> Channel:
    return Channel("SLACK_TEST", "slack", url, frozenset({"message"}), None, 60.0)


def by_apprise(url: str) -> Channel:
    return Channel("operators", "apprise", url, ALL_KINDS, None, 900.0)


@pytest.fixture
def dripping_server() -> Iterator[str]:
    """Give the address of a server that never stops answering, a byte at a time."""
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(0.01):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/secret"
    over.set()
    thread.join()
    server.close()


def test_a_server_that_never_ends_its_answer_is_left_at_the_deadline(
    dripping_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DEADLINE", 0.3)
    began = time.monotonic()
    with pytest.raises(SendError, match=r"longer than 0\.3 s"):
        send(slack(dripping_server), NOTICE, "toy")
    assert time.monotonic() - began < 5


def test_a_silent_server_is_left_after_the_timeout(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook.open.clear()
    monkeypatch.setattr(sending, "TIMEOUT", 0.2)
    with pytest.raises(SendError, match="timed out"):
        send(slack(webhook.url), NOTICE, "toy")


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_is_told_with_its_status_and_without_the_address(
    webhook: Webhook, status: int
) -> None:
    webhook.statuses = [status]
    with pytest.raises(SendError, match=f"it was answered {status}") as error:
        send(slack(webhook.url), NOTICE, "toy")
    assert "hook" not in str(error.value)


@pytest.mark.parametrize("form", [slack, by_apprise], ids=["slack", "apprise"])
def test_a_server_that_is_not_there_is_an_error(form: object) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    scheme = "http" if form is slack else "json"
    with pytest.raises(SendError) as error:
        send(form(f"{scheme}://127.0.0.1:{port}/secret"), NOTICE, "toy")  # type: ignore[operator]
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["pigeon://me:secret@loft", "mailtoo-secret", "json://[secret"])
def test_an_address_that_apprise_does_not_know_is_an_error_that_keeps_it_secret(url: str) -> None:
    with pytest.raises(SendError, match="none that apprise can use") as error:
        send(by_apprise(url), NOTICE, "toy")
    assert "secret" not in str(error.value)


def test_a_notice_goes_out_in_the_name_of_its_system(webhook: Webhook) -> None:
    send(by_apprise(f"json://{webhook.address}/hook"), NOTICE, "toy")
    (body,) = webhook.accepted
    assert (body["title"], body["message"]) == ("toy: first failed", "message 1: failure")
    assert body["type"] == "failure"


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NowcastError) as error:
        sending.require_apprise()
    assert "nowcast-cli[notify]" in (error.value.hint or "")


def test_the_notifier_loads_apprise_only_to_send_by_it() -> None:
    package = Path(sending.__file__).parent
    lines = [line for file in package.glob("*.py") for line in file.read_text().splitlines()]
    assert not any(line.startswith(("import apprise", "from apprise")) for line in lines)
