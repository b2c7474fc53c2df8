"""Sending one notice. Whatever the other side does, it is over after ``DEADLINE`` seconds."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from types import FrameType

from nowcast_cli.errors import NowcastError
from nowcast_cli.notify.channels import Channel
from nowcast_cli.notify.mailbox import Notice

TIMEOUT = 10.0  # seconds without a sign of life of the other side
DEADLINE = 20.0  # seconds for all of it: a server may give a sign now and then for ever


class SendError(Exception):
    """A notice was not sent, and why. Never holds the address, which may be a secret."""


def send(channel: Channel, notice: Notice, system: str) -> None:
    """Send a notice in the name of a system. Main thread only. Raises SendError."""
    with _deadline(DEADLINE):
        if channel.form == "slack":
            _post_to_slack(channel.url, notice.text)
        else:
            _send_by_apprise(channel.url, f"{system}: {notice.title}", notice.text)


def require_apprise() -> None:
    """Raise NowcastError where the package that ``notify`` needs is not installed."""
    try:
        import apprise  # noqa: F401
    except ImportError as error:
        raise NowcastError(
            "`notify` in nowcast.yaml needs the package apprise, which is not installed",
            cause=str(error),
            hint="pip install 'nowcast-cli[notify]', then nowcast restart",
        ) from None


def _post_to_slack(url: str, text: str) -> None:
    request = urllib.request.Request(
        url,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "nowcast"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            pass  # an error status was raised; the words of a success say nothing
    except urllib.error.HTTPError as error:
        raise SendError(f"it was answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise SendError(str(error.reason)) from None
    except (OSError, HTTPException, ValueError) as error:
        raise SendError(f"{type(error).__name__}: {error}") from None


def _send_by_apprise(url: str, title: str, text: str) -> None:
    import apprise

    if not is_an_address(url):
        raise SendError("its address is none that apprise can use: nowcast doctor")
    target = apprise.Apprise()
    with _said_by_apprise() as said:
        accepted = target.add(url) and target.notify(
            title=title, body=text, notify_type=apprise.NotifyType.FAILURE
        )
    if not accepted:
        raise SendError(said[-1] if said else "apprise could not send it, and did not say why")


def is_an_address(url: str) -> bool:
    """Whether apprise, which must be installed, can make something of an address."""
    import apprise

    with _said_by_apprise():  # that may be the address, which may be a secret
        return apprise.Apprise.instantiate(url) is not None


@contextlib.contextmanager
def _said_by_apprise() -> Iterator[list[str]]:
    said: list[str] = []
    log = logging.getLogger("apprise")
    log.propagate = False

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Keep(logging.WARNING)
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise SendError(f"it took longer than {seconds:g} s")

    former = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
