"""``nowcast tell`` and ``nowcast publish`` in the command of a job, also where nowcast is not.

On a host without nowcast, the archive that runs jobs there stands in for it: the job finds it as
``nowcast`` on its PATH. Standard library only: it is shipped to other hosts.
"""

# Strings for paths, as in the runner.
# ruff: noqa: PTH100, PTH118, PTH123
from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nowcast_cli import publishing
from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.command_end import PUBLISHED, TOLD
from nowcast_cli.executors.command_child import MESSAGES, tools_beside_the_interpreter
from nowcast_cli.publishing import NotPublished, Output

_WRONG_USE = 2


class ToolError(Exception):
    """What was asked for cannot be done: a sentence, and the remedy."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def is_in_a_step(environment: Mapping[str, str]) -> bool:
    """Whether this process belongs to the command of a job."""
    return MESSAGES in environment


def tell(
    message_type: str,
    pairs: Sequence[str],
    file: str | None,
    environment: Mapping[str, str],
) -> None:
    """Say by which message the job is to end; of several, the last one counts. Raises ToolError.

    ``pairs`` are ``key=value``, and ``file`` holds JSON: together the payload.
    """
    if not is_in_a_step(environment):
        raise ToolError(
            "nowcast tell is for the command of a job, and there is none around it",
            "give the worker a `command` in the message registry, then nowcast run-worker WORKER",
        )
    known = json.loads(environment[MESSAGES])
    if message_type not in known:
        import difflib

        close = difflib.get_close_matches(message_type, known, 1)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        raise ToolError(
            f"there is no message type {message_type!r}{guess}",
            f"the message registry gives this worker: {', '.join(known)}",
        )
    told = {"type": message_type, "payload": _payload(pairs, file)}
    path = Path(environment["NOWCAST_JOB_FOLDER"], TOLD)
    try:
        write_atomically(path, json.dumps(told).encode())
    except OSError as error:
        raise ToolError(f"{path} cannot be written: {error.strerror}") from None


def publish(file: str, destination: str, symlink: bool, environment: Mapping[str, str]) -> bool:
    """Put a file or folder in place; in the command of a job, when that has succeeded.

    Says whether it is there by now. Raises ToolError.
    """
    goal = os.path.abspath(destination)
    output = Output(os.path.abspath(file), goal, goal if symlink else None)
    if not os.path.lexists(output.source):
        raise ToolError(f"there is no file {file}")
    if not is_in_a_step(environment):
        _publish_now(output)
        return True
    line = json.dumps(output.to_json()) + "\n"
    path = os.path.join(environment["NOWCAST_JOB_FOLDER"], PUBLISHED)
    try:
        with open(path, "a", encoding="utf-8") as noted:
            noted.write(line)
    except OSError as error:
        raise ToolError(f"{path} cannot be written: {error.strerror}") from None
    return False


def _publish_now(output: Output) -> None:
    import tempfile
    import uuid

    with tempfile.TemporaryDirectory(prefix="nowcast-publish-") as folder:
        try:
            trouble = publishing.publish(folder, [output], None, uuid.uuid4().hex[:12], None)
        except NotPublished as error:
            trouble = str(error)
        if trouble is not None:
            raise ToolError(trouble)
        publishing.forget(folder)


def _payload(pairs: Sequence[str], file: str | None) -> Any:
    payload: Any = None
    if file is not None:
        try:
            with open(file, "rb") as opened:
                payload = json.loads(opened.read())
        except OSError as error:
            raise ToolError(f"{file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ToolError(f"{file} is no JSON: {error}") from None
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ToolError(f"{pair!r} is no key=value", "--payload forecast=ssh.nc")
        payload = {} if payload is None else payload
        if not isinstance(payload, dict):
            raise ToolError(f"the payload in {file} has no keys, so {key} cannot be added to it")
        payload[key] = _value(text)
    return payload


def _value(text: str) -> Any:
    """Read a value as JSON where it is JSON, else as the text that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def keep_in(folder: str) -> str:
    """Give the folder in which a job finds ``nowcast``; made in its own, where we are an archive.

    Raises OSError.
    """
    archive = Path(__file__).parents[2]
    if not archive.is_file():
        return tools_beside_the_interpreter()
    tools = Path(folder, "tools")
    tools.mkdir(exist_ok=True)
    script = tools / "nowcast"
    script.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(archive))} "$@"\n'
    )
    script.chmod(0o755)
    return str(tools)


def main() -> NoReturn:
    """Be the ``nowcast`` of a host that has none."""
    import argparse

    parser = argparse.ArgumentParser(
        "nowcast", description="The part of nowcast that the command of a job needs."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser("tell", help="say by which message the job is to end")
    told.add_argument("type")
    told.add_argument("--payload", action="append", default=[], metavar="KEY=VALUE")
    told.add_argument("--payload-file", metavar="FILE")
    put = commands.add_parser("publish", help="put a file in place when the job has succeeded")
    put.add_argument("file")
    put.add_argument("destination")
    put.add_argument("--as", dest="kind", choices=["symlink"])
    given = parser.parse_args()
    try:
        if given.command == "tell":
            tell(given.type, given.payload, given.payload_file, os.environ)
        else:
            publish(given.file, given.destination, given.kind is not None, os.environ)
    except ToolError as error:
        sys.stderr.write(f"error: {error.what}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        sys.exit(_WRONG_USE)
    sys.exit(0)
