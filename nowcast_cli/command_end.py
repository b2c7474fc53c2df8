"""The end of a job that is a command: what it has told, and its outputs, which go to their places.

``told`` in the job's folder is what ``nowcast tell`` left, ``published`` what ``nowcast publish``
did; both take effect when the command has ended. Standard library only: this file is shipped to
other hosts together with the runner.
"""

# Strings for paths, as in the runner, of which this is a part.
# ruff: noqa: PTH118, PTH120, PTH123
from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from nowcast_cli import publishing
from nowcast_cli.publishing import NotPublished, Output

TOLD = "told"
PUBLISHED = "published"


def outcome_of(message_type: str) -> str:
    """Give how a job ended that ends with a message of this type, by the word that begins it."""
    for outcome in ("failure", "crash"):
        if message_type.startswith(outcome):
            return outcome
    return "success"


def told_in(folder: str) -> dict[str, Any] | None:
    """Give what a command has told last, its ``type`` and ``payload``; None where it told nothing.

    Raises OSError when it cannot be read, ValueError when it is nothing that a command may tell:
    the file is in the hands of the command.
    """
    try:
        with open(f"{folder}/{TOLD}", "rb") as file:
            told: dict[str, Any] = json.loads(file.read())
    except FileNotFoundError:
        return None
    except RecursionError:
        raise ValueError(f"{folder}/{TOLD} is nested too deeply") from None
    if not isinstance(told, dict) or not isinstance(told.get("type"), str) or "payload" not in told:
        raise ValueError(f"{folder}/{TOLD} was not written by nowcast tell")
    return told


def outputs_of(job: Mapping[str, Any]) -> list[Output]:
    """Give what is to be published of a job, by its ``job.json``, and where; all paths absolute."""
    folder, deployment = job["folder"], os.path.dirname(job["config_file"])
    outputs = [
        Output(
            f"{folder}/scratch/{source}",
            put_in(destination, folder, deployment),
            None if link is None else put_in(link, folder, deployment),
        )
        for source, destination, link in job["command"]["outputs"]
    ]
    outputs += published_in(folder)
    return outputs


def put_in(path: str, folder: str, deployment: str) -> str:
    """Give a path of a command: absolute, with what only the host of the job knows."""
    return os.path.normpath(os.path.join(deployment, filled(path, folder, deployment)))


def filled(text: str, folder: str, deployment: str) -> str:
    """Put in what only the host of the job knows: see ``config.placeholders``."""
    if "\0" not in text:
        return text
    import shlex

    for name, value in (("scratch", f"{folder}/scratch"), ("deployment", deployment)):
        text = text.replace(f"\0{name}'\0", shlex.quote(value)).replace(f"\0{name}\0", value)
    return text


def has_succeeded(job: Mapping[str, Any], ending: Mapping[str, Any]) -> bool:
    """Say whether a command has ended well, by its ``exit`` and by what it has told.

    Raises OSError and ValueError when that cannot be read.
    """
    if ending["code"] not in job["command"]["success_codes"] or ending["reason"] is not None:
        return False
    told = told_in(job["folder"])
    return told is None or outcome_of(told["type"]) == "success"


def publish_outputs(job: Mapping[str, Any], ending: Mapping[str, Any]) -> str | None:
    """Put the outputs of a command that has succeeded in place; a sentence where that failed.

    ``ending`` is the content of its ``exit``, which is to be written next, then
    :func:`publishing.forget` to be called. Nothing is published of one that did not succeed.
    """
    try:
        if not has_succeeded(job, ending):
            return None
        outputs = outputs_of(job)
        if not outputs:
            return None
        marker = job["command"]["marker"]
        if marker is not None:
            marker = put_in(marker, job["folder"], os.path.dirname(job["config_file"]))
        return publishing.publish(job["folder"], outputs, marker, job["id"], dict(ending))
    except NotPublished as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"the outputs could not be put in place: {error}"


def published_in(folder: str) -> list[Output]:
    """Give what ``nowcast publish`` was told; of two with one destination, the later.

    Raises OSError and ValueError when it cannot be read.
    """
    try:
        with open(f"{folder}/{PUBLISHED}", encoding="utf-8") as file:
            lines = [Output.from_json(json.loads(line)) for line in file]
    except FileNotFoundError:
        return []
    return list({output.destination: output for output in lines}.values())
