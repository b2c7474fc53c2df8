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
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from nowcast_cli.config import Config
from nowcast_cli.identifiers import new_id
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
    _use_argparse()
    _use_logging()
    _use_yaml()
    new_id()
    boot_id()
    Config().load(config.file)
    _list_import_folders()
    gc.collect()
    gc.freeze()
    gc.disable()


def _use_argparse() -> None:
    parser = argparse.ArgumentParser("warm", description="A parser as a worker has one.")
    parser.add_argument("config_file", help="name")
    parser.add_argument("--debug", action="store_true", help="less")
    parser.parse_args(["nowcast.yaml", "--debug"])


def _use_logging() -> None:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    with TemporaryDirectory() as folder:
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {"f": {"format": "%(asctime)s %(levelname)s [%(name)s] %(message)s"}},
                "handlers": {
                    "h": {
                        "class": "logging.handlers.WatchedFileHandler",
                        "formatter": "f",
                        "filename": str(Path(folder) / "log"),
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


def _use_yaml() -> None:
    message = {"source": "warm", "type": "success", "payload": {"a": [1, 2.5, None]}}
    yaml.load(yaml.dump(message, Dumper=yaml.CSafeDumper), Loader=yaml.CSafeLoader)


def _list_import_folders() -> None:
    """Make every finder read its folder: a search that fails asks all of them."""
    with suppress(ImportError):
        find_spec("no_module_has_this_name")
    assert "no_module_has_this_name" not in sys.modules
