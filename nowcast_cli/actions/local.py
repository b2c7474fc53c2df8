"""An action called in this very process, with no daemon: for tests of components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nowcast_cli.actions.components import Components, look_in
from nowcast_cli.actions.context import ActionContext, ActionFailed
from nowcast_cli.actions.directory import Directory, directory_of
from nowcast_cli.actions.performing import Performer
from nowcast_cli.config import Config
from nowcast_cli.config.limits import limits
from nowcast_cli.errors import NotFound, UsageError
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.messages.performing import Order, Progress, Renewed, Result, read_result

ID = "local"


def call_here(
    config: Config,
    key: str,
    values: Mapping[str, Any],
    seconds: float,
    told: Callable[[str], None],
) -> Result:
    """Call the component that answers an action key, as an action worker would.

    Parameters
    ----------
    config
        Of the system: its ``actions.ini`` says which component that is.
    key, values
        The action, and what it is called with, by name.
    seconds
        How long the context says that it has; nobody ends it.
    told
        Is given what the component says of its progress.

    Raises UsageError for what is no key, NotFound where no component answers it.
    """
    directory = directory_of(config)
    try:
        component = directory.component_for(key, values)
    except ActionFailed as error:
        raise UsageError(str(error), hint="nowcast action list") from None
    if component is None:
        raise _no_component(directory, key, values)
    look_in(config.file.parent)
    desk = _LocalDesk(directory, Performer(Components(), limits(config)), told)
    return read_result(
        desk.performer.perform(Order(ID, key, component, dict(values), False, seconds), desk)
    )


class _LocalDesk:
    """Lets a call ask other components; services are out of reach."""

    def __init__(
        self, directory: Directory, performer: Performer, told: Callable[[str], None]
    ) -> None:
        self._directory, self.performer, self._told = directory, performer, told

    def say(self, word: Progress | Renewed) -> None:
        if isinstance(word, Progress):
            part = "" if word.fraction is None else f"{word.fraction:.0%} "
            self._told(f"{part}{word.text or ''}".rstrip())

    def ask(self, call: ActionContext, key: str, values: Mapping[str, Any]) -> Any:
        component = self._directory.component_for(key, values)
        if component is None:
            raise ActionFailed(f"{key} is mapped to no component: a service is not asked from here")
        return self.performer.call_within(component, values, call.called_for(key))


def _no_component(directory: Directory, key: str, values: Mapping[str, Any]) -> NotFound:
    owner = directory.owners.find(ActionKey.parse(key), values)
    if owner is not None:
        return NotFound(
            f"{key} is an action of the service {owner}, which is another process",
            hint=f"nowcast action call '{key}'",
        )
    return NotFound(
        f"no component is mapped to {key}", hint="nowcast action list shows what actions.ini maps"
    )
