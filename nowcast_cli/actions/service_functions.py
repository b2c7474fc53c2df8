"""The functions of a service by their keys, and how one is called for an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nowcast_cli.actions.components import Callee, callee_of
from nowcast_cli.actions.context import ActionContext
from nowcast_cli.actions.performing import Performer
from nowcast_cli.config.limits import Limits
from nowcast_cli.errors import UsageError
from nowcast_cli.flows.action_key import ActionKey, BadActionKey
from nowcast_cli.flows.owners import owned_key
from nowcast_cli.messages.performing import Order, Progress, Renewed, Result, result_text


class Talk(Protocol):
    """Whom a call turns to, beyond its own process."""

    def say(self, word: Progress | Renewed) -> None:
        """Pass on a word; it need not arrive."""

    def ask(self, key: str, values: Mapping[str, Any], seconds: float) -> Any:
        """Have an action of another performer done."""


class ServiceFunctions:
    """What a service does. It is the desk of the calls, too.

    Parameters
    ----------
    service
        The name of the service.
    limits
        What a result may be at most.
    built_in
        Functions that every service has; it does not say that it serves them.
    """

    def __init__(
        self, service: str, limits: Limits, built_in: Mapping[ActionKey, Callable[..., Any]]
    ) -> None:
        self._service = service
        self._built_in = {key: callee_of(str(key), each) for key, each in built_in.items()}
        self._own: dict[ActionKey, Callee] = {}
        self._performer = Performer(self, limits, service)
        self.talk: Talk | None = None

    @property
    def keys(self) -> tuple[ActionKey, ...]:
        """The keys of the service's own actions."""
        return tuple(self._own)

    def add(self, text: str, function: Callable[..., Any]) -> None:
        """Have a function carry out an action. Raises UsageError."""
        try:
            key = owned_key(text)
        except BadActionKey as error:
            raise UsageError(
                f"the action key {text!r} {error}", hint='such as @service.action("?Ingest?latest")'
            ) from None
        if key in self._own:
            raise UsageError(f"two functions are to carry out {key}")
        name = f"{function.__module__}.{getattr(function, '__qualname__', function)}"
        self._own[key] = callee_of(name, function)

    def perform(self, order: Order) -> bytes:
        """Carry out an order; gives the JSON text of its result, and never raises."""
        key = self._key_for(order.key)
        if key is None:
            reason = f"service {self._service} has no function for {order.key}"
            return result_text(Result(order.id, "failed", reason=reason))
        return self._performer.perform(order._replace(component=key), self)

    def get(self, name: str) -> Callee:
        """Give the function for a key that there is one for."""
        key = ActionKey.parse(name)
        return self._built_in.get(key) or self._own[key]

    def say(self, word: Progress | Renewed) -> None:
        """Pass on a word of a call."""
        if self.talk is not None:
            self.talk.say(word)

    def ask(self, call: ActionContext, key: str, values: Mapping[str, Any]) -> Any:
        """Have another action done in the middle of a call: here, or by another performer."""
        own = self._key_for(key)
        if own is not None:
            return self._performer.call_within(own, values, call.called_for(key))
        assert self.talk is not None
        return self.talk.ask(key, values, call.seconds_left)

    def _key_for(self, text: str) -> str | None:
        """Give the nearest key that there is a function for."""
        known = self._own.keys() | self._built_in.keys()
        return next((str(key) for key in ActionKey.parse(text).lookups() if key in known), None)
