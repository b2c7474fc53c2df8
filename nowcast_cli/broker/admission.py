"""Who may ask what: the role of a sender held against what it sends.

The rights of a role, in full:

========  ==============================================================================
operator  everything
worker    messages of workers, and the requests to launch a worker of the message registry, to call
          an action, to wait for the end of a run, to end a step that waits for that, and to
          register files of a product; and what a reader may
reader    ``need``, which is answered with a value of the checklist, ``events`` and ``snapshot``:
          nothing of it changes anything
agent     what agents say (``messages.agent_messages``), in its own name alone
========  ==============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from nowcast_cli.config.limits import DEFAULTS, Limits
from nowcast_cli.messages import agent_messages
from nowcast_cli.messages.message import Message, MessageError
from nowcast_cli.security.key import Role

_REQUESTS = "nowcast"  # the source of what is a request, and no message of a worker
_QUESTIONS = frozenset({"events", "snapshot"})
_FOR_WORKERS = frozenset({"call action", "await run", "complete step", "register product"})
# How our workers' messages begin, as JSON and as YAML.
_PLAIN = re.compile(rb'\{"source": "([\w .-]+)", |source: ([\w.-]+)\n')


def refusal(
    role: Role,
    name: str,
    body: bytes,
    is_registered: Callable[[str], bool],
    limits: Limits = DEFAULTS,
) -> Message | None:
    """Give the answer to what a sender may not ask; None where it may.

    Parameters
    ----------
    role, name
        Those of the sender's key.
    body
        The request as it came.
    is_registered
        Tells whether a module is one of the workers of the registry.
    limits
        Those that the manager reads messages with.
    """
    if role == "operator" or (role == "worker" and is_plainly_of_a_worker(body)):
        return None
    try:
        message = Message.deserialize(body, limits)
    except MessageError as error:
        return _answer(error.what, None)
    why = (
        _refusal_of_agent(name, message)
        if role == "agent"
        else _refusal(role, message, is_registered)
    )
    if why is None:
        return None
    return _answer(f"the key {name} may not do that: {why}", message.id)


def is_plainly_of_a_worker(body: bytes) -> bool:
    """Say quickly whether a message cannot be but one of a worker.

    Its source stands at the beginning; nothing behind can be read as another source, since the
    word does not come again, and cannot be spelled otherwise without a backslash.
    """
    found = _PLAIN.match(body)
    if found is None or b"\\" in body or body.count(b"source") != 1:
        return False
    return (found[1] or found[2]) != _REQUESTS.encode()


def registered_modules(workers: Collection[tuple[str, str | None]]) -> Callable[[str], bool]:
    """Give the test of :func:`refusal` for workers, each with its name and its ``module``."""
    names = {name for name, _ in workers}
    modules = {module for _, module in workers if module is not None}
    return lambda module: module in modules or module.rpartition(".")[2] in names


def _refusal_of_agent(name: str, message: Message) -> str | None:
    if (message.source, message.type) != (_REQUESTS, agent_messages.TYPE):
        return "an agent may register, report, pull and answer, and nothing else"
    try:
        said = agent_messages.from_text(message.payload)
    except agent_messages.AgentMessageError as error:
        return str(error)
    if not isinstance(said, agent_messages.OfAgent):
        return "an agent may register, report, pull and answer, and nothing else"
    if said.agent != name:
        return f"it is for the agent {name}, and for no agent {said.agent}"
    return None


def _refusal(role: Role, message: Message, is_registered: Callable[[str], bool]) -> str | None:
    if message.source == _REQUESTS and message.type in _QUESTIONS:
        return None
    if role == "reader":
        if message.source != _REQUESTS and message.type == "need":
            return None
        return "a reader may ask for values of the checklist, by `need`, and for events, no more"
    if message.source != _REQUESTS or message.type in _FOR_WORKERS:
        return None
    if message.type != "launch" or (
        isinstance(message.payload, dict) and "schedule" in message.payload
    ):
        return f"a worker may launch workers and call actions, but may not ask for {message.type!r}"
    module: Any = message.payload.get("module") if isinstance(message.payload, dict) else None
    if isinstance(module, str) and not is_registered(module):
        return f"{module} is no worker of the message registry, and a worker may launch no other"
    return None


def _answer(what: str, message_id: str | None) -> Message:
    hint = "nowcast key list shows the roles; on the system's own machine an operator may do it"
    return Message("message_broker", "refused", {"what": what, "hint": hint}, id=message_id)
