"""A command-line toolkit to build, run and watch automated forecast systems.

The names here are what workers, ``next_workers`` modules and programs beside them use.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's, without the time that its import takes
if TYPE_CHECKING:
    from typing import Any

    from nowcast_cli.actions.context import ActionContext, ActionFailed
    from nowcast_cli.actions.service import Service
    from nowcast_cli.bus import product
    from nowcast_cli.bus.requesting import request
    from nowcast_cli.bus.subscribing import subscribe
    from nowcast_cli.config.config import Config
    from nowcast_cli.messages.message import Message
    from nowcast_cli.worker.errors import WorkerError
    from nowcast_cli.worker.next_worker import NextWorker
    from nowcast_cli.worker.nowcast_worker import NowcastWorker
    from nowcast_cli.worker.publish import publish
    from nowcast_cli.worker.web_data import get_web_data

__all__ = [
    "ActionContext",
    "ActionFailed",
    "Config",
    "Message",
    "NextWorker",
    "NowcastWorker",
    "Service",
    "WorkerError",
    "get_web_data",
    "product",
    "publish",
    "request",
    "subscribe",
]

__version__ = "0.1.0"

_HOMES = {
    "ActionContext": "nowcast_cli.actions.context",
    "ActionFailed": "nowcast_cli.actions.context",
    "Config": "nowcast_cli.config.config",
    "Message": "nowcast_cli.messages.message",
    "NextWorker": "nowcast_cli.worker.next_worker",
    "NowcastWorker": "nowcast_cli.worker.nowcast_worker",
    "Service": "nowcast_cli.actions.service",
    "WorkerError": "nowcast_cli.worker.errors",
    "get_web_data": "nowcast_cli.worker.web_data",
    "publish": "nowcast_cli.worker.publish",
    "request": "nowcast_cli.bus.requesting",
    "subscribe": "nowcast_cli.bus.subscribing",
}
_MODULES = {"product": "nowcast_cli.bus.product"}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: a command line or a daemon needs none of them."""
    if name not in _HOMES and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in _MODULES:
        return import_module(_MODULES[name])
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
