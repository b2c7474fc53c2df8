"""One order carried out in this process: values in, a result out, whatever the component does."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from nowcast_cli.actions.components import Callee, Unusable, said, traceback_of
from nowcast_cli.actions.context import ACTION_WORKERS, ActionContext, Desk
from nowcast_cli.config.limits import Limits
from nowcast_cli.config.sizes import size_words
from nowcast_cli.messages.performing import Order, Result, result_text
from nowcast_cli.messages.wire import WireError, refuse_much

_ROOM_AROUND = 4096  # bytes of a message that are not what an action gave
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Callees(Protocol):
    """The components of a process, or the handlers of a service."""

    def get(self, name: str) -> Callee:
        """Give the one of that name. Raises Unusable."""


class Performer:
    """Carries out orders by the components of this process, one after the other.

    Parameters
    ----------
    components
        Those of this process.
    limits
        What a result may be at most.
    logger
        What the loggers of calls are called.
    """

    def __init__(self, components: Callees, limits: Limits, logger: str = ACTION_WORKERS) -> None:
        self._components = components
        self._limits = limits
        self._logger = logger

    def perform(self, order: Order, desk: Desk) -> bytes:
        """Call the component of an order; gives the JSON text of the result, and never raises."""
        began = time.monotonic()
        try:
            gave = self.call(order, desk)
        except Unusable as error:
            return _failed(order, str(error), error.traceback, began)
        except BaseException as error:  # SystemExit as well: it ends the call and no process
            reason = f"{order.component} raised {said(error)}"
            return _failed(order, reason, traceback_of(error), began)
        try:
            text = "null" if gave is None or order.asynchronous else self._text(gave)
        except _NotGiven as error:
            return _failed(order, f"what {order.component} gave {error}", None, began)
        return (
            f'{{"id":{_encode(order.id)},"state":"done","gave":{text},"seconds":{_since(began)}}}'
        ).encode()

    def call(self, order: Order, desk: Desk) -> Any:
        """Call the component of an order, and give what it gives. Raises Unusable, or anything."""
        callee = self._components.get(order.component or "")
        arguments = callee.arguments(order.values, order.implied)
        if callee.takes_context:
            arguments["context"] = ActionContext(order, desk, logger=self._logger)
        return callee.function(**arguments)

    def call_within(self, component: str, values: Mapping[str, Any], inner: ActionContext) -> Any:
        """Call a component in the middle of another's call. Raises Unusable, or anything."""
        callee = self._components.get(component)
        arguments = callee.arguments(values, False)
        if callee.takes_context:
            arguments["context"] = inner
        return callee.function(**arguments)

    def _text(self, gave: Any) -> str:
        """Give a value as JSON. Raises _NotGiven, in words to put after its name."""
        try:
            text = _encode(gave)
            size = len(text.encode())
            refuse_much(gave, text, self._limits)
        except RecursionError:
            deepest = self._limits.payload_depth
            raise _NotGiven(f"is nested deeper than {deepest} (limits.payload depth)") from None
        except WireError as error:
            raise _NotGiven(f"is too much: {error}") from None
        except (TypeError, ValueError) as error:
            raise _NotGiven(f"cannot be written as JSON: {_place(gave) or error}") from None
        if size > self._limits.message_size - _ROOM_AROUND:
            most = size_words(self._limits.message_size)
            raise _NotGiven(
                f"is too large: {size_words(size)}, and a message has at most {most} "
                "(limits.message size); write it to a file and give its name"
            )
        return text


class _NotGiven(Exception):
    """A value cannot be sent."""


def _failed(order: Order, reason: str, traceback: str | None, began: float) -> bytes:
    reason = reason.encode(errors="backslashreplace").decode()
    return result_text(Result(order.id, "failed", None, reason, traceback, _since(began)))


def _since(began: float) -> float:
    return round(time.monotonic() - began, 6)


def _place(value: Any, path: str = "") -> str | None:
    """Name the first place in a value that JSON cannot hold."""
    where = f"at {path}, " if path else ""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float | bool | None):
                return f"{where}a key is of type {type(key).__name__}: {key!r}"
            if (found := _place(item, f"{path}.{key}" if path else str(key))) is not None:
                return found
        return None
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            if (found := _place(item, f"{path}[{number}]")) is not None:
                return found
        return None
    if isinstance(value, float):
        return f"{where}{value} is no number of JSON" if value - value != 0 else None
    if isinstance(value, str):
        halves = any("\ud800" <= letter <= "\udfff" for letter in value)
        return f"{where}a text is not UTF-8: {value[:40]!r}" if halves else None
    if value is None or isinstance(value, int):
        return None
    return f"{where}a value of type {type(value).__name__}; give text, numbers, lists and mappings"
