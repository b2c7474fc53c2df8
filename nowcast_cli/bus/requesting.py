"""Asking for an action from a program of one's own: ``request("?Tides?predict", {...})``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.bus.kept import NotThere, ask
from nowcast_cli.bus.subscribing import loaded
from nowcast_cli.errors import NowcastError, WaitTimedOut
from nowcast_cli.identifiers import new_id

if TYPE_CHECKING:
    from nowcast_cli.config.config import Config

LONGEST_WAY = 2.0  # s from the manager to here, for an answer that comes at the last moment
SHORTEST = 60.0  # s that an action may take whose asker waits for less
LONGEST_WAIT = 20.0  # s that the manager keeps one question whether a run has ended


class RequestFailed(NowcastError):
    """What was asked for has ended, and not with ``done``: ``state`` says how, ``run`` of what."""

    def __init__(self, what: str, run: str, state: str, hint: str) -> None:
        super().__init__(what, hint=hint)
        self.run = run
        self.state = state
        if state == "timed out":
            self.exit_code = WaitTimedOut.exit_code


class NotInTime(WaitTimedOut):
    """What was asked for has not ended in time; ``id`` asks for it again without doing it twice.

    ``run`` is the run that goes on, None where nobody has answered so much.
    """

    def __init__(
        self, what: str, request_id: str, run: str | None = None, cause: str | None = None
    ) -> None:
        known = "it goes on" if run is not None else "it may have begun"
        hint = f"{known}; request(…, id={request_id!r}) waits for the same, and does nothing twice"
        super().__init__(what, cause=cause, hint=hint)
        self.id = request_id
        self.run = run


def request(
    action: str,
    values: Mapping[str, Any] | None = None,
    *,
    timeout: float = 60.0,
    config: Config | Path | str | None = None,
    id: str | None = None,  # noqa: A002
    key: str = "worker",
    seconds: float | None = None,
) -> Any:
    """Have an action done, once, and give what it gives.

    Parameters
    ----------
    action
        Its key, such as ``"?Tides?predict"``: what ``nowcast action list`` shows, or a key that a
        service owns.
    values
        Its arguments by name, of what JSON can hold.
    timeout
        Seconds to wait for its end.
    config
        The configuration of the system, or its file. By default it is found as by ``nowcast``.
    id
        Names the request: to ask again with the same one, from whichever process, does nothing
        twice, and waits for the same end. By default a new one.
    key
        Name of the key to show to a broker with keys, where NOWCAST_KEY names no file.
    seconds
        Seconds that the action may take from its begin; then it is ended. By default ``timeout``,
        and 60 at least. A key with ``@ASYNC`` waits for a word from outside as long as ever.

    Raises RequestFailed when the action fails, NotInTime (it may go on), and NowcastError with
    the manager's words when it is refused.
    """
    from nowcast_cli.messages.client import Client

    give_up = time.monotonic() + timeout
    request_id = id or new_id()
    run: str | None = None
    with Client.of(loaded(config), key) as client:
        try:
            client.deadline = timeout
            payload = {
                "key": action,
                "values": dict(values or {}),
                "origin": "request",
                "seconds": max(timeout, SHORTEST) if seconds is None else seconds,
            }
            run = str(ask(client, "call action", payload, request_id)["run"])
            while True:
                left = give_up - time.monotonic()
                if left <= 0:
                    raise NotInTime(_late(action, timeout), request_id, run)
                client.deadline = left + LONGEST_WAY
                wait = min(left, LONGEST_WAIT)
                told = ask(client, "await run", {"run": run, "seconds": wait})
                if told["state"] != "running":
                    return _result(action, run, told)
        except NotThere as error:
            what = error.what if run is None else _late(action, timeout)
            raise NotInTime(what, request_id, run, error.cause) from None


def _late(action: str, timeout: float) -> str:
    return f"{action} has not ended after {timeout:g} s"


def _result(action: str, run: str, told: Mapping[str, Any]) -> Any:
    if told["state"] == "done":
        return told.get("gave")
    why = f": {told['reason']}" if told.get("reason") else ""
    raise RequestFailed(
        f"{action} {told['state']}{why}", run, str(told["state"]), f"nowcast flow show {run[-8:]}"
    )
