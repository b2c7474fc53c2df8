"""Who carries out an action: by the configuration, and by what services have said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli.flows.action_key import ActionKey, BadActionKey
from nowcast_cli.flows.action_mapping import ActionMapping
from nowcast_cli.flows.owners import Owners, owned_key
from nowcast_cli.flows.service_management import is_management

ACTION_HOST = "action_workers"
# Services that were there before the manager was started anew say hello again well within this;
# most of those that are started just now, too.
PATIENCE_WITH_SERVICES = 5.0  # s
MOST_KNOWN = 10_000  # keys

_logger = logging.getLogger("manager")


@dataclass(frozen=True, slots=True)
class Doer:
    """Who performs an action; ``component`` is what the action host calls, None for a service."""

    name: str
    component: str | None


class Directory:
    """Finds the performer of an action key.

    Parameters
    ----------
    monotonic
        The clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._patient_until = monotonic()
        self._mapping = ActionMapping({})
        self._has_workers = True
        self._configured = Owners()
        self._owners = Owners()
        self._declared: frozenset[str] = frozenset()
        self._not_heard: set[str] = set()
        self._said: dict[str, tuple[ActionKey, ...]] = {}
        self._known: dict[ActionKey, Doer | None] = {}

    def use(
        self,
        mapping: ActionMapping,
        owners: Owners,
        services: Collection[str],
        has_workers: bool = True,
    ) -> None:
        """Go by this configuration; ``services`` are the names of those that are declared.

        Without action workers nothing that is mapped is carried out.
        """
        self._mapping, self._configured, self._has_workers = mapping, owners, has_workers
        self._declared = frozenset(services)
        unheard = set(services) - set(self._said)
        if unheard - self._not_heard:
            self._patient_until = self._monotonic() + PATIENCE_WITH_SERVICES
        self._not_heard = unheard
        self._put_together()

    def hello(self, name: str, serves: Collection[str]) -> None:
        """Take in which keys a service says that it owns; the configuration goes first."""
        self._not_heard.discard(name)
        keys = []
        for text in serves:
            try:
                keys.append(owned_key(text))
            except BadActionKey as error:
                _logger.error("service %s cannot own %r: the key %s", name, text, error)
        if self._said.get(name) != tuple(keys):
            self._said[name] = tuple(keys)
            self._put_together()

    def bye(self, name: str) -> None:
        """Take in that a service has ended in order; what it alone had said it owns is nobody's."""
        if self._said.pop(name, None):
            self._put_together()

    def _put_together(self) -> None:
        self._known.clear()
        self._owners = self._configured
        for name, keys in self._said.items():
            self._owners = self._owners.with_served(name, keys)

    def find(self, key: ActionKey, values: Mapping[str, Any]) -> Doer | None:
        """Give who carries out an action: its owner, else the action host where it is mapped."""
        if key in self._known:
            return self._known[key]
        owner = self._owners.find(key, values)
        if owner is not None:
            found: Doer | None = Doer(owner, None)
        else:
            mapped = self._mapping.find(key) if self._has_workers else None
            found = None if mapped is None else Doer(ACTION_HOST, mapped[1].name)
        if not is_management(key):  # whose it is depends on the values
            if len(self._known) >= MOST_KNOWN:  # whoever calls may make them up
                self._known.clear()
            self._known[key] = found
        return found

    def nobody(self, key: ActionKey) -> str:
        """Say why nobody carries out an action, where that is so."""
        if not self._has_workers and self._mapping.find(key) is not None:
            return f"nobody carries out {key}: nowcast.yaml says `action workers: 0`"
        return f"nobody carries out {key}: actions.ini does not map it, and no service owns it"

    @property
    def services(self) -> frozenset[str]:
        """The names of the services that are declared, or have said hello."""
        return self._declared.union(self._said)

    @property
    def patient_for(self) -> float:
        """For how many seconds a key that nobody owns may still be one of a service."""
        if not self._not_heard:
            return 0.0
        return max(0.0, self._patient_until - self._monotonic())
