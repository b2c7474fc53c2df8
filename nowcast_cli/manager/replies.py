"""Replies as they go over the wire: JSON text, which YAML readers read as well."""

from __future__ import annotations

import json
from typing import Any

from nowcast_cli.config.limits import DEEPEST
from nowcast_cli.manager.depth import depth_of
from nowcast_cli.manager.state import Reply, refused
from nowcast_cli.messages import wire


def encode_reply(reply: Reply, message_id: str | None) -> bytes:
    """Give a reply of the manager to the message of that id, where it had one."""
    if reply.payload is None:
        head = {"source": "manager", "type": reply.type, "payload": None}
        return json.dumps(head | ({"id": message_id} if message_id else {})).encode()
    body: dict[str, Any] = {"source": "manager", "type": reply.type, "payload": reply.payload}
    if message_id:
        body["id"] = message_id
    try:
        # What was kept may be as deep as what can be read, and the answer is around it.
        if depth_of(reply.payload) > DEEPEST:
            raise wire.WireError(f"it is nested more than {DEEPEST} deep")
        return wire.dump_fast(body).encode()
    except wire.WireError as error:
        return encode_reply(refused(f"the answer cannot be sent: {error}"), message_id)


def reply_text(reply: Reply) -> str | None:
    """Give a reply as the journal keeps it; None for the plain acknowledgement."""
    if reply == Reply("ack"):
        return None
    return wire.dump({"type": reply.type, "payload": reply.payload})


def reply_of_text(text: str | None) -> Reply:
    """Give back the reply of :func:`reply_text`."""
    if text is None:
        return Reply("ack")
    body = wire.load(text)
    return Reply(body["type"], body.get("payload"))
