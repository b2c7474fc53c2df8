"""Asking the manager, by way of the message broker, until it answers or the deadline passes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import zmq

from nowcast_cli.config.limits import DEFAULTS, Limits, limits
from nowcast_cli.config.settings import endpoints, message_settings
from nowcast_cli.config.sizes import size_words
from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NotRunning
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.message import Message, MessageError

if TYPE_CHECKING:
    from nowcast_cli.messages.handshake import Handshakes, Refusal
    from nowcast_cli.security.source import KeySource

_WAITS = (0.5, 1.0, 2.0)  # seconds before the request is repeated; then each 4 s
_LAST_WAIT = 4.0
# A large message takes its time: asked again too soon, its copies would fill the broker.
_BYTES_A_SECOND = 2_000_000
_RECONNECT_INTERVAL = 20  # milliseconds
_PROBE = 0.5  # seconds to find out whether anybody listens, once all else is lost


class NoAnswer(NotRunning):
    """Nobody has answered a request within its deadline."""


class NotAdmitted(NoAnswer):
    """The broker refuses the key that was shown, or there is none to show."""

    exit_code = 1


@dataclass
class Client:
    """Sends requests to the manager; each is repeated, with the same id, until it is answered.

    Parameters
    ----------
    host, port
        Where the message broker listens to workers.
    deadline
        Seconds to wait for an answer.
    repeat
        False where the peer would take a repeated request for news (NEMO_Nowcast's manager).
    limits
        What is too large, deep or much to be sent.
    context
        A ZeroMQ context to use; by default the client makes its own at its first request.
    key
        Where the key to connect with is; None for a broker without keys.
    """

    host: str
    port: int
    deadline: float = field(default=60.0, kw_only=True)
    repeat: bool = field(default=True, kw_only=True)
    limits: Limits = field(default=DEFAULTS, kw_only=True)
    context: zmq.Context[zmq.Socket[bytes]] | None = field(default=None, kw_only=True)
    key: KeySource | None = field(default=None, kw_only=True)
    _own_context: zmq.Context[zmq.Socket[bytes]] | None = field(default=None, init=False)
    # sockets that have got their reply; a thread takes one out while it asks
    _idle: list[zmq.Socket[bytes]] = field(default_factory=list, init=False)

    @classmethod
    def of(cls, config: Mapping[str, Any], key: str = "worker") -> Client:
        """Make a client by ``zmq``, ``messages`` and ``security`` of a configuration.

        It connects with the key of that name. Raises ConfigError when a value cannot be used.
        """
        broker, settings = endpoints(config), message_settings(config)
        return cls(
            broker.host,
            broker.workers,
            deadline=settings.deadline,
            repeat=settings.repeat,
            limits=limits(config),
            key=_key_source(config, key),
        )

    def ask(self, message: Message, *, deadline: float | None = None) -> Message:
        """Send ``message`` and return the reply.

        A message without an id is given one. ``deadline``, in seconds, stands in for the
        client's own. Raises NoAnswer when it has passed, NotAdmitted as soon as it is known
        that the broker lets nobody in with this key, and MessageError when the message cannot
        be sent.
        """
        asked = message if message.id is not None else replace(message, id=new_id())
        body = asked.encode(self.limits)
        patience = self.deadline if deadline is None else deadline
        give_up = time.monotonic() + patience
        strange: str | None = None
        doubt = _Doubt(self.key)
        longer = len(body) / _BYTES_A_SECOND
        for number, wait in enumerate(self._waits(patience)):
            left = give_up - time.monotonic()
            if left <= 0:
                break
            # The first attempt nearly always succeeds, and is spared the cost of being watched.
            watched = doubt if number or not self.repeat else None
            answer = self._attempt(body, min(wait + longer, left), watched)
            if answer is None:
                strange = strange or _may_be_too_large(len(body))
                continue
            try:
                reply = Message.deserialize(answer)
            except MessageError as error:
                strange = f"what listens there answered, but {error.what}"
                continue
            if reply.type == "busy":  # not kept: it is asked again when there may be room
                strange = str(reply.payload)
                time.sleep(max(0.0, min(wait, give_up - time.monotonic())))
            elif reply.id in (None, asked.id):
                return reply
        # The error holds this client: where both are left to the garbage collector, the context
        # may go first, and would wait for its sockets for ever.
        self._hang_up()
        if strange is None and doubt.last is not None and not self.repeat:
            strange = doubt.last.text  # of the one attempt, which ended with it
        raise self._no_answer(asked, patience, strange)

    def _hang_up(self) -> None:
        while self._idle:
            self._idle.pop().close(linger=0)

    def close(self) -> None:
        """Let go of the sockets; the client may still be asked afterwards."""
        self._hang_up()
        if self._own_context is not None:
            self._own_context.destroy(linger=0)
            self._own_context = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _waits(self, patience: float) -> Iterator[float]:
        return chain(_WAITS, repeat(_LAST_WAIT)) if self.repeat else iter([patience])

    def _attempt(self, body: bytes, wait: float, doubt: _Doubt | None) -> bytes | None:
        """Send once and wait for a reply; a socket without one is in no state to be used again."""
        watch = None
        if self._idle:
            request = self._idle.pop()
        else:
            request, watch = self._connect(watched=doubt is not None)
        answered = False
        try:
            reached("client.before_send")
            request.send(body, zmq.NOBLOCK)
            reached("client.sent")
            answered = _is_answered(request, wait, watch, doubt)
            answer = b"".join(request.recv_multipart()) if answered else None
            reached("client.answered" if answered else "client.waited_in_vain")
            return answer
        except zmq.Again:  # a socket that was used before and has lost its connection
            return None
        finally:
            if watch is not None:
                watch.close()
            if answered:
                self._idle.append(request)
            else:
                request.close(linger=0)

    def _connect(self, watched: bool) -> tuple[zmq.Socket[bytes], Handshakes | None]:
        request = self._usable_context().socket(zmq.REQ)
        request.linger = 0
        request.reconnect_ivl = _RECONNECT_INTERVAL
        if self.key is not None:
            self._show_key(request)
        watch = None
        if watched:
            from nowcast_cli.messages.handshake import Handshakes

            watch = Handshakes(request, f"{self.host} port {self.port}", self.key)
        request.connect(f"tcp://{self.host}:{self.port}")
        return request, watch

    def _show_key(self, request: zmq.Socket[bytes]) -> None:
        """Put the key on a socket; read anew each time, for it may have been replaced."""
        from nowcast_cli.security.curve import present
        from nowcast_cli.security.key import KeyTrouble

        assert self.key is not None
        try:
            present(request, self.key.read())
        except KeyTrouble as error:
            request.close(linger=0)
            raise NotAdmitted(error.what, cause=error.cause, hint=error.hint) from None

    def _usable_context(self) -> zmq.Context[zmq.Socket[bytes]]:
        if self.context is not None:
            return self.context
        if self._own_context is None:
            self._own_context = zmq.Context()
        return self._own_context

    def _no_answer(self, message: Message, patience: float, strange: str | None) -> NoAnswer:
        return NoAnswer(
            f"nobody answered the {message.type!r} request of {message.source} at "
            f"{self.host} port {self.port} within {patience:g} s",
            cause=strange or _why_silent(self.host, self.port),
            hint="`nowcast status` shows which daemon is missing; `nowcast start` starts it",
        )


class _Doubt:
    """Whether it is worth to go on, while the broker does not let this client in."""

    def __init__(self, key: KeySource | None) -> None:
        self._patience = 0.0 if key is None else key.patience
        self._since: float | None = None
        self.last: Refusal | None = None

    def judge(self, refusal: Refusal) -> None:
        """Raise NotAdmitted for a refusal that is final, or has lasted."""
        now = time.monotonic()
        self.last = refusal
        self._since = self._since or now
        if refusal.final or now - self._since > self._patience:
            raise NotAdmitted(refusal.what, cause=refusal.cause, hint=refusal.hint)


def _is_answered(
    request: zmq.Socket[bytes], wait: float, watch: Handshakes | None, doubt: _Doubt | None
) -> bool:
    """Wait for a reply, and where the connection is watched, for a refusal too."""
    if watch is None or doubt is None:
        return bool(request.poll(round(wait * 1000)))
    poller = zmq.Poller()
    poller.register(request, zmq.POLLIN)
    poller.register(watch.monitor, zmq.POLLIN)
    give_up = time.monotonic() + wait
    while (left := give_up - time.monotonic()) > 0:
        ready = dict(poller.poll(max(1, round(left * 1000))))
        if request in ready:
            return True
        refusal = watch.refusal() if ready else None
        if refusal is not None:
            doubt.judge(refusal)
    return False


def _key_source(config: Mapping[str, Any], key: str) -> KeySource | None:
    if "security" not in config and "NOWCAST_KEY" not in os.environ:
        return None  # and nothing of keys is loaded
    from nowcast_cli.security.source import own_key_source

    return own_key_source(config, key)


def _may_be_too_large(size: int) -> str | None:
    """Say that a broker with another configuration hangs up on what is much too large."""
    if size <= DEFAULTS.message_size:
        return None
    return (
        f"the message has {size_words(size)}: a broker whose limits.message size is much smaller "
        "hangs up without a word"
    )


def _why_silent(host: str, port: int) -> str:
    """Look whether anybody listens at all."""
    try:
        socket.create_connection((host, port), timeout=_PROBE).close()
    except socket.gaierror:
        return f"there is no host of the name {host}: see zmq.host in nowcast.yaml"
    except ConnectionRefusedError:
        return f"nothing listens at {host} port {port}: the message broker does not run there"
    except OSError as error:
        return f"there is no way to {host} port {port}: {error.strerror or error}"
    return "the message broker listens there, but no manager has answered"
