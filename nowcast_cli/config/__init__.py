"""The room of nowcast.yaml: it is read here, its gaps are filled, its mistakes are named.

Reading is light (PyYAML only), because every worker does it; checking (pydantic) is not, and is
imported only by those who check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast_cli.config.config import Config
    from nowcast_cli.config.paths import SystemPaths, system_paths
    from nowcast_cli.config.problem import Problem

__all__ = ["Config", "Problem", "SystemPaths", "system_paths"]

_HOMES = {
    "Config": "config",
    "Problem": "problem",
    "SystemPaths": "paths",
    "system_paths": "paths",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
