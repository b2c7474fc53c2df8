"""Who answers an action key: a component of ``actions.ini``, or a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nowcast_cli.actions.context import ActionFailed
from nowcast_cli.config import Config
from nowcast_cli.config.services import services_of
from nowcast_cli.flows.action_key import ActionKey, BadActionKey
from nowcast_cli.flows.action_mapping import ActionMapping, read_mapping
from nowcast_cli.flows.loading import ACTIONS_FILE
from nowcast_cli.flows.owners import Owners, owners_of


@dataclass(frozen=True, slots=True)
class Directory:
    """The components and the owners of a system, by their keys."""

    mapping: ActionMapping
    owners: Owners

    def component_for(self, key: str, values: Mapping[str, Any]) -> str | None:
        """Give the component that answers a key; None where a service has to be asked.

        Raises ActionFailed for what is no key, and values that are not by name.
        """
        try:
            parsed = ActionKey.parse(key)
        except (BadActionKey, AttributeError) as error:
            raise ActionFailed(f"{key!r} {error}") from None
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise ActionFailed(f"{key} is asked with values by name, not with {values!r:.60}")
        if self.owners.find(parsed, values) is not None:
            return None
        found = self.mapping.find(parsed)
        return None if found is None else found[1].name


def directory_of(config: Config) -> Directory:
    """Read ``actions.ini`` and ``services``; what is wrong in them is left out."""
    file = config.file.parent / ACTIONS_FILE
    mapping = read_mapping(file)[0] if file.exists() else ActionMapping({})
    return Directory(mapping, owners_of(services_of(config))[0])
