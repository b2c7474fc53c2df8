"""The flow that asks a service which topics it listens to; built in where there are services.

In the form of ``flows.ini``::

    [ServiceManagement_GetServiceTopics]
    ?ServiceManagement_GetServiceTopics?Push
    Subject?ServiceManagement__GetServiceTopics@PUBLISH?get_service_topics
    ?ServiceManagement__GetServiceTopics@ASYNC?get_service_topics_response
    ??done

Its parameter ``service`` says whom both orders go to: the one that it answers, and the one that it
ends by a word of its own.
"""

from __future__ import annotations

from dataclasses import replace

from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.definition import Action, Flow, Parameter, Step

FLOW = "ServiceManagement_GetServiceTopics"
CONTEXT = "ServiceManagement__GetServiceTopics"
CHOSEN_BY = "service"  # the value that names the owner

_KEYS = (
    f"?{FLOW}?Push",
    f"Subject?{CONTEXT}@PUBLISH?get_service_topics",
    f"?{CONTEXT}@ASYNC?get_service_topics_response",
)
_LONGEST = 15.0  # s: a service that is there answers at once; one that starts anew, soon


def is_management(key: ActionKey) -> bool:
    """Say whether a key is one that each service answers for itself."""
    return key.context == CONTEXT


def service_topics_flow() -> Flow:
    """Give the flow ``ServiceManagement_GetServiceTopics``."""
    steps: list[Step] = []
    for text in _KEYS:
        after = (steps[-1].name,) if steps else ()
        steps.append(Step(text, Action(ActionKey.parse(text)), after, timeout=_LONGEST))
    steps[0] = replace(steps[0], timeout=None)  # it stands for the request
    return Flow(
        FLOW,
        tuple(steps),
        parameters=(Parameter(CHOSEN_BY),),
        description="Asks a service for the topics that it listens to.",
    )
