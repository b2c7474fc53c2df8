"""Which service owns an action: by ``services:``, or by a value of the order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.positions import Index, KeyPath
from nowcast_cli.config.services import SECTION, ServiceSettings
from nowcast_cli.flows.action_key import END, ActionKey, BadActionKey
from nowcast_cli.flows.service_management import CHOSEN_BY, is_management


@dataclass(frozen=True, slots=True)
class Owners:
    """The names of services by the keys that they own; ``paths`` are theirs in the configuration.

    A key that a service has said itself has no path.
    """

    by_key: Mapping[ActionKey, str] = field(default_factory=dict)
    paths: Mapping[ActionKey, KeyPath] = field(default_factory=dict, compare=False)

    def find(self, key: ActionKey, values: Mapping[str, Any]) -> str | None:
        """Give the service that an order of these values goes to; None where none owns the key.

        The nearest key counts, as in ``actions.ini``. Management goes to the service that the
        values name, be there one of that name or not.
        """
        if is_management(key):
            return str(values.get(CHOSEN_BY, ""))
        return next((self.by_key[each] for each in key.lookups() if each in self.by_key), None)

    def with_served(self, name: str, keys: Iterable[ActionKey]) -> Owners:
        """Give these and the keys that a service has said that it serves; what is owned stays."""
        return Owners({**dict.fromkeys(keys, name), **self.by_key}, self.paths)


def owners_of(services: Mapping[str, ServiceSettings]) -> tuple[Owners, list[Finding]]:
    """Read the keys of the services; gives what is wrong with them beside the owners."""
    by_key: dict[ActionKey, str] = {}
    paths: dict[ActionKey, KeyPath] = {}
    findings: list[Finding] = []
    for service in services.values():
        for position, text in enumerate(service.actions):
            path = (SECTION, service.name, "actions", Index(position))
            try:
                key = owned_key(text)
            except BadActionKey as error:
                findings.append(Finding(path, f"the action key {text!r} {error}"))
                continue
            first = by_key.setdefault(key, service.name)
            paths.setdefault(key, path)
            if first != service.name:
                words = f"{key} is an action of the service {first} already"
                findings.append(Finding(path, words, hint="one service owns an action"))
    return Owners(by_key, paths), findings


def owned_key(text: str) -> ActionKey:
    """Read the key of an action that a service owns. Raises BadActionKey."""
    key = ActionKey.parse(text)
    if key.undecorated == ActionKey():
        raise BadActionKey("would answer everything; name a field of it")
    if key == END:
        raise BadActionKey("ends a flow; nobody carries it out")
    if is_management(key):
        raise BadActionKey("is answered by every service, and owned by none")
    return key
