"""A decider: the process in which the deployment's after_ functions run.

``python -m nowcast_cli.manager.decider CONFIG SOCKET STOP`` (descriptors of a socket pair and of a
pipe). It holds its own copy of the checklist, which follows the messages, so that a checklist of a
megabyte is sent once. Whatever an after_ function does (raise, hang, exit, kill the interpreter),
the manager takes messages in.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from nowcast_cli.config import Config
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.config.registry import registry_of
from nowcast_cli.crash_points import reached
from nowcast_cli.errors import NowcastError
from nowcast_cli.manager.decider_wire import (
    FrameReader,
    pack_answer,
    unpack_entry,
    unpack_value,
)
from nowcast_cli.manager.decision import NonsenseError, decision_of, decision_to_json
from nowcast_cli.manager.state import Entry
from nowcast_cli.messages.message import Message
from nowcast_cli.store.merging import merged

PR_SET_PDEATHSIG = 1
# A call that took this long may have been given to another decider: the pipe says so.
SLOW_CALL = 0.5


def main(arguments: list[str]) -> int:
    """Load the module, then decide on what comes in, until the manager goes."""
    config_file, connection_fd, stop_fd = arguments[0], int(arguments[1]), int(arguments[2])
    _end_with_parent()
    connection = socket.socket(fileno=connection_fd)
    config = Config()
    try:
        config.load(config_file)
        module_name = registry_of(config).next_workers_module
    except NowcastError as mistake:  # it was changed since the manager read it
        said = f"{mistake.what}; {mistake.hint}" if mistake.hint else mistake.what
        connection.sendall(pack_answer({"after": [], "files": [config_file], "broken": said}))
        return 1
    _log_where_possible(config)
    module, error = _load(module_name, config.file.parent)
    if module is not None:
        logging.getLogger("manager").info("next workers module loaded from %s", module_name)
    reached("decider.loaded")
    connection.sendall(pack_answer(_first_answer(module, error, config.file.parent)))
    if module is None:
        return 1
    _serve(connection, stop_fd, config, module)
    return 0


def _log_where_possible(config: Config) -> None:
    """Set up logging; without it decisions are made all the same, or messages would be stuck."""
    try:
        configure_logging(config, "manager")
    except NowcastError as error:
        print(f"a decider logs to here: {error.what}: {error.cause}", file=sys.stderr, flush=True)


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A function that hangs would outlive a manager that is killed.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _load(name: str, deployment: Path) -> tuple[ModuleType | None, str]:
    # Compiled files are told from their source by whole seconds and size, which is too coarse
    # for a file that was just edited.
    sys.dont_write_bytecode = True
    if str(deployment) not in sys.path:
        sys.path.insert(0, str(deployment))
    try:
        return importlib.import_module(name), ""
    except BaseException:
        return None, _traceback()


def _first_answer(module: ModuleType | None, error: str, deployment: Path) -> dict[str, Any]:
    after = [name for name in vars(module) if name.startswith("after_")] if module else []
    return {"after": after, "files": _own_files(deployment), "broken": error or None}


def _own_files(deployment: Path) -> list[str]:
    """Give the files of the deployment that were imported: a change to one means a reload."""
    files = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(deployment) and ".venv" not in file:
            files.append(file)
    return files


def _serve(connection: socket.socket, stop_fd: int, config: Config, module: ModuleType) -> None:
    reader = FrameReader()
    checklist: dict[Any, Any] | None = None
    while data := connection.recv(1 << 16):
        for content in reader.feed(data):
            if checklist is None:
                checklist = unpack_value(("yaml", content))
                continue
            entry = unpack_entry(content)
            apply_effect(checklist, entry)
            if not entry.decide:
                continue
            started = time.monotonic()
            reached("decider.received")
            answer = pack_answer(_answer(entry, module, config, checklist))
            reached("decider.decided")
            connection.sendall(answer)
            reached("decider.answered")
            if time.monotonic() - started > SLOW_CALL and _told_to_stop(stop_fd):
                return


def _told_to_stop(stop_fd: int) -> bool:
    return bool(select.select([stop_fd], [], [], 0)[0])


def apply_effect(checklist: dict[Any, Any], entry: Entry) -> None:
    """Do to the copy of the checklist what the message did to the manager's."""
    if entry.effect == "put":
        checklist[entry.key], _ = merged(checklist, entry.key, entry.payload)
    elif entry.effect == "clear":
        checklist.clear()


def _answer(
    entry: Entry, module: ModuleType, config: Config, checklist: Mapping[Any, Any]
) -> dict[str, Any]:
    name = f"after_{entry.source}"
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None:
        return {"number": entry.number, "error": f"could not find {name} in {module.__name__}"}
    try:
        returned = function(Message(entry.source, entry.type, entry.payload), config, checklist)
        return {"number": entry.number, **decision_to_json(decision_of(returned, name))}
    except NonsenseError as error:
        return {"number": entry.number, "error": str(error)}
    except BaseException:
        # sys.exit in user code as well: it must not end more than the decision.
        return {"number": entry.number, "error": _traceback()}


def _traceback() -> str:
    """Give the traceback as text for a log: without the halves of bytes in names of files."""
    return traceback.format_exc().encode(errors="backslashreplace").decode()


if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except (BrokenPipeError, ConnectionResetError):
        code = 0
    # Threads that user code has started must not keep a decider alive.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
