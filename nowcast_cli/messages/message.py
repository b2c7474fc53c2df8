"""The message, and its form on the wire: a YAML mapping in UTF-8.

``source``, ``type`` and ``payload`` are what NEMO_Nowcast sends and reads; ``id``, ``job``,
``outcome`` and ``reason`` are ours, left out when they are not set, and ignored by peers that do
not know them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from nowcast_cli.config.limits import DEFAULTS, Limits
from nowcast_cli.config.sizes import size_words
from nowcast_cli.errors import NowcastError
from nowcast_cli.messages import wire

Outcome = Literal["success", "failure", "crash"]

_TOO_MUCH = (
    "write the data to a file and send its path, or give the limit another value below `limits` "
    "in nowcast.yaml"
)
_OUTCOMES = get_args(Outcome)
_NAME_OF_A_FILE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


class MessageError(NowcastError):
    """A message cannot be sent, or what has arrived is not a message."""


@dataclass
class Message:
    """A message between the parts of a nowcast system; two with the same content are equal.

    Parameters
    ----------
    source
        Name of the worker or process that sends it.
    type
        Type of the message, a key of the message registry.
    payload
        Any value that YAML can hold: mappings, lists, text, numbers, dates, bytes, None.
    id
        Made by the client; a repeated id takes effect once.
    job
        Id of the job that sends it.
    outcome
        How the job went; set on the last message of a job alone.
    reason
        Why it did not succeed, a line for people.
    """

    source: str
    type: str
    payload: Any = None
    id: str | None = field(default=None, kw_only=True)
    job: str | None = field(default=None, kw_only=True)
    outcome: Outcome | None = field(default=None, kw_only=True)
    reason: str | None = field(default=None, kw_only=True)

    def serialize(self) -> str:
        """Give the message as YAML that a person can read.

        Raises MessageError, naming the place in the payload, when a value cannot be sent.
        """
        return self._text(wire.dump)

    def _text(self, dump: Callable[[dict[str, Any]], str]) -> str:
        problem = _wrong_field(self.__dict__)
        if problem is not None:
            raise MessageError(f"the message cannot be sent: {problem}")
        body = {"source": self.source, "type": self.type, "payload": self.payload}
        extras = {name: getattr(self, name) for name in ("id", "job", "outcome", "reason")}
        body.update((key, value) for key, value in extras.items() if value is not None)
        try:
            return dump(body)
        except wire.WireError as error:
            raise MessageError(f"the message cannot be sent: {error}") from None

    def encode(self, limits: Limits = DEFAULTS) -> bytes:
        """Give the message as it goes over the wire: YAML that is quick to read.

        Raises MessageError, naming the place in the payload when a value cannot be sent, and the
        key of ``limits`` when there is too much.
        """
        text = self._text(wire.dump_fast)
        try:
            wire.refuse_much(self.payload, text, limits)
        except wire.WireError as error:
            raise MessageError(f"the message cannot be sent: {error}", hint=_TOO_MUCH) from None
        data = text.encode("utf-8")
        refuse_large(len(data), limits)
        return data

    @classmethod
    def deserialize(cls, text: str | bytes, limits: Limits = DEFAULTS) -> Message:
        """Read a message from YAML.

        Raises MessageError with a sentence that says what is wrong, whatever ``text`` holds. Its
        size is another matter: :func:`refuse_large`.
        """
        try:
            body = wire.load(text, limits)
        except wire.WireError as error:
            raise MessageError(f"the message cannot be read: {error}") from None
        if not isinstance(body, dict):
            kind = "nothing" if body is None else f"a {type(body).__name__}"
            raise MessageError(
                "the message cannot be read: it is not a mapping with the keys source, type and "
                f"payload, but {kind}"
            )
        missing = [key for key in ("source", "type", "payload") if key not in body]
        if missing:
            raise MessageError(f"the message cannot be read: it has no {' and no '.join(missing)}")
        problem = _wrong_field(body)
        if problem is not None:
            raise MessageError(f"the message cannot be read: {problem}")
        return cls(
            body["source"],
            body["type"],
            body["payload"],
            id=body.get("id"),
            job=body.get("job"),
            outcome=body.get("outcome"),
            reason=body.get("reason"),
        )


def refuse_large(size: int, limits: Limits) -> None:
    """Raise MessageError for a message of more bytes than ``limits`` allow."""
    if size > limits.message_size:
        raise MessageError(
            f"a message of {size_words(size)} is too large: limits.message size allows "
            f"{size_words(limits.message_size)}",
            hint=_TOO_MUCH,
        )


def _wrong_field(body: dict[str, Any]) -> str | None:
    """Name the first field, the payload apart, whose value cannot be."""
    for key in ("source", "type"):
        if not isinstance(body[key], str):
            return f"its {key} must be text, but is {_short(body[key])}"
    for key in ("id", "job"):
        # ids become names of files and folders
        value = body.get(key)
        if value is not None and not (isinstance(value, str) and _NAME_OF_A_FILE.fullmatch(value)):
            return f"its {key} must be made of letters, digits and '-', but is {_short(value)}"
    outcome = body.get("outcome")
    if outcome is not None and outcome not in _OUTCOMES:
        return f"its outcome must be one of {', '.join(_OUTCOMES)}, but is {_short(outcome)}"
    if not isinstance(body.get("reason"), str | None):
        return f"its reason must be text, but is {_short(body['reason'])}"
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
