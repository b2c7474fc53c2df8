"""Messages that could not be told, one file each, for the manager to take in when it is back."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.crash_points import reached
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.message import Message, MessageError

logger = logging.getLogger(__name__)


def put(folder: Path, message: Message) -> Path:
    """Write a message to ``<folder>/<id>.yaml``, whole or not at all, and return that path.

    The folder is made when it is missing. A message without an id is given one.
    """
    kept = message if message.id is not None else replace(message, id=new_id())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kept.id}.yaml"
    reached("outbox.before_put")
    write_atomically(path, kept.serialize().encode("utf-8"))
    reached("outbox.put")
    return path


def take(folder: Path) -> list[tuple[Path, Message]]:
    """Read the messages of an outbox, oldest first; who has taken one in removes its file.

    A file that is no message is set aside with ``.damaged`` at the end of its name.
    """
    taken = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            taken.append((path, Message.deserialize(path.read_bytes())))
        except FileNotFoundError:
            continue
        except MessageError as error:
            aside = path.with_name(f"{path.name}.damaged")
            path.rename(aside)
            logger.warning("%s: %s; it is kept as %s", path, error.what, aside.name)
    return taken
