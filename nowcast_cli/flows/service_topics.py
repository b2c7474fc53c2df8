"""Which topics a service listens to: they follow from the flows in which its keys occur. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nowcast_cli.flows.action_key import DELIMITER, subscription
from nowcast_cli.flows.definition import Action, Flow
from nowcast_cli.flows.owners import Owners


def topics_of(
    service: str, flows: Iterable[Flow], owners: Owners, wanted: Iterable[str] = ()
) -> tuple[str, ...]:
    """Give the topics of a service, each once; they end in the delimiter, as subscriptions do.

    Those of the steps that it owns, flow by flow, then those that it has asked for by name.
    """
    found = [
        subscription(step.does.key.topic(flow.name))
        for flow in flows
        for step in flow.steps
        if isinstance(step.does, Action) and owners.find(step.does.key, {}) == service
    ]
    found += (topic if topic.endswith(DELIMITER) else topic + DELIMITER for topic in wanted)
    return tuple(dict.fromkeys(found))
