"""What the launcher does once, so that none of its children has to.

First use costs as much as import: parsers compile expressions, logging fills its tables, the
import system lists folders. All of it is done here, and put back so that a child finds the
process as a new interpreter would be.
"""

from __future__ import annotations

import argparse
import gc
import logging
import logging.config
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.abc import InspectLoader
from importlib.util import find_spec

import yaml

from nowcast_cli.config import Config
from nowcast_cli.identifiers import new_id
from nowcast_cli.messages.message import Message
from nowcast_cli.process_identity import boot_id

# What workers import; by name, since this room stands beside theirs. arrow takes 4 MB and spares
# each worker that has a date option 25 ms.
_MODULES = (
    "nowcast_cli",
    "nowcast_cli.config.logging_section",
    "nowcast_cli.messages.client",
    "nowcast_cli.messages.message",
    "nowcast_cli.messages.outbox",
    "nowcast_cli.worker",
    "nowcast_cli.worker.nowcast_worker",
    "nowcast_cli.worker.next_worker",
    "nowcast_cli.worker.command_line",
    "nowcast_cli.worker.publish",
    "arrow",
    "zmq",
)


def warm_up(config: Config) -> None:
    """Import and use what a worker will, then keep the memory as it is for the children."""
    for name in _MODULES:
        with suppress(ImportError):
            import_module(name)
    boot_id()
    for use in first_uses(config):
        use()
    _list_import_folders()
    gc.collect()
    gc.freeze()
    gc.disable()


def first_uses(config: Config) -> tuple[Callable[[], None], ...]:
    """Give what costs more the first time, in a process that has been forked as in a new one.

    There it is the memory: each page that is written to is copied first, for some 5 microseconds,
    which is most of a start. A worker that was forked ahead of its job does it while it waits.
    """
    return (
        _use_logging,
        _use_argparse,
        _use_import,
        lambda: Config().load(config.file),
        _use_messages,
        _use_yaml,
        lambda: _use_keys(config),
    )


def _use_argparse() -> None:
    parser = argparse.ArgumentParser("warm", description="A parser as a worker has one.")
    parser.add_argument("config_file", help="name")
    parser.add_argument("--debug", action="store_true", help="less")
    parser.parse_args(["nowcast.yaml", "--debug"])


def _use_logging() -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"f": {"format": "%(asctime)s %(levelname)s [%(name)s] %(message)s"}},
            "handlers": {
                "h": {
                    "class": "logging.handlers.WatchedFileHandler",
                    "formatter": "f",
                    "filename": os.devnull,
                }
            },
            "root": {"level": "INFO", "handlers": ["h"]},
        }
    )
    root.info("warm")
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def _use_import() -> None:
    """Find a worker's module and read its code, without running it."""
    spec = find_spec("nowcast_cli.workers.sleep")
    assert spec is not None, "it belongs to the package"
    assert isinstance(spec.loader, InspectLoader), "it is a file"
    spec.loader.get_code(spec.name)


def _use_messages() -> None:
    message = Message("warm", "success", {"a": [1, 2.5, None]}, id=new_id(), outcome="success")
    Message.deserialize(message.encode())


def _use_yaml() -> None:
    message = {"source": "warm", "type": "success", "payload": {"a": [1, 2.5, None]}}
    yaml.load(yaml.dump(message, Dumper=yaml.CSafeDumper), Loader=yaml.CSafeLoader)


def _use_keys(config: Config) -> None:
    """Read the key that workers connect with, where they need one; what ails it they tell."""
    if config.get("security") is None:
        return
    from nowcast_cli.errors import NowcastError
    from nowcast_cli.security import curve  # noqa: F401
    from nowcast_cli.security.source import key_source

    with suppress(NowcastError):
        if (source := key_source(config, "worker")) is not None:
            source.read()


def _list_import_folders() -> None:
    """Make every finder read its folder: a search that fails asks all of them."""
    with suppress(ImportError):
        find_spec("no_module_has_this_name")
    assert "no_module_has_this_name" not in sys.modules
