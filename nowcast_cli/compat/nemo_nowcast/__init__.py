"""The import name of NEMO_Nowcast: what its deployments import, provided by ``nowcast_cli``.

``from nemo_nowcast import NowcastWorker, NextWorker, …`` gives the very classes of
``nowcast_cli``; ``python -m nemo_nowcast.manager CONFIG`` runs the same manager.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's, without the time that its import takes
if TYPE_CHECKING:
    from typing import Any

    from nowcast_cli.config.config import Config
    from nowcast_cli.messages.message import Message
    from nowcast_cli.worker.command_line import CommandLineInterface
    from nowcast_cli.worker.errors import WorkerError
    from nowcast_cli.worker.next_worker import NextWorker
    from nowcast_cli.worker.nowcast_worker import NowcastWorker
    from nowcast_cli.worker.web_data import get_web_data

__all__ = [
    "CommandLineInterface",
    "Config",
    "Message",
    "NextWorker",
    "NowcastWorker",
    "WorkerError",
    "get_web_data",
]

_HOMES = {
    "CommandLineInterface": "nowcast_cli.worker.command_line",
    "Config": "nowcast_cli.config.config",
    "Message": "nowcast_cli.messages.message",
    "NextWorker": "nowcast_cli.worker.next_worker",
    "NowcastWorker": "nowcast_cli.worker.nowcast_worker",
    "WorkerError": "nowcast_cli.worker.errors",
    "get_web_data": "nowcast_cli.worker.web_data",
}
# Deployments write nemo_nowcast.cli.… after no more than `import nemo_nowcast`.
_MODULES = frozenset({"cli", "config", "fileutils", "message", "worker", "workers"})


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a ``next_workers`` module needs few of them."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
