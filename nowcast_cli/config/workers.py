"""Finds the module of a worker by the worker's name, without running any of the user's code."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.registry import registry_of
from nowcast_cli.errors import ConfigError, NotFound

OURS = "nowcast_cli.workers"
DEFAULT_PACKAGES = ("workers", "nowcast.workers")


def find_worker_module(config: Config, name: str) -> str:
    """Give the dotted name of the module that runs the worker ``name``, itself for a command.

    A dotted name is taken as it is. A plain one is looked up as ``module:`` of the worker in
    the message registry, then in each of ``worker packages``. Nothing is imported. Raises
    NotFound (exit code 4) with the names that are known.
    """
    folder = config.file.parent
    registered = registry_of(config).workers.get(name)
    if registered is not None and registered.step is not None:
        return name
    if registered is not None and registered.module is not None:
        return _existing(
            registered.module, folder, f"message registry.workers.{name}.module of {config.file}"
        )
    if "." in name:
        return _existing(name, folder, "the command")
    packages = worker_packages(config)
    for package in packages:
        if find_spec(f"{package}.{name}", folder) is not None:
            return f"{package}.{name}"
    known = known_workers(config)
    raise NotFound(
        f"there is no worker {name!r}" + did_you_mean(name, known),
        cause=f"no module {name}.py is in {_listed(packages)}, seen from {folder}",
        hint=f"workers of this system: {', '.join(known)}" if known else None,
    )


def known_workers(config: Config) -> list[str]:
    """Name the workers of the registry and those that lie in the worker packages, sorted."""
    names = set(registry_of(config).workers)
    for package in worker_packages(config):
        spec = find_spec(package, config.file.parent)
        places = spec.submodule_search_locations if spec else None
        names |= {
            module.name
            for module in pkgutil.iter_modules(list(places or ()))
            if not module.name.startswith("_")
        }
    return sorted(names)


def worker_packages(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the packages in which workers are looked up by name; the built-in ones come last."""
    packages = config.get("worker packages")
    if packages is None:
        packages = DEFAULT_PACKAGES
    elif not isinstance(packages, list):
        raise ConfigError(
            f"worker packages: must be a list of packages, not {packages!r}",
            hint="write it as: worker packages: [workers]",
        )
    return (*(str(package) for package in packages if package != OURS), OURS)


def find_spec(name: str, folder: Path) -> ModuleSpec | None:
    """Find a module as a process started in ``folder`` would, importing none of its packages.

    (importlib.util.find_spec imports the packages above the module, which is user code.)
    """
    spec: ModuleSpec | None = None
    places: Sequence[str] = [str(folder), *sys.path]  # sys.path[0] of `python -m` is the folder
    parts = name.split(".")
    for index, part in enumerate(parts):
        full_name = ".".join(parts[: index + 1])
        spec = _find(full_name, places) if part else None
        if spec is None and part and index == 0:
            spec = _find_otherwise(full_name)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return spec


def _find(name: str, places: Sequence[str]) -> ModuleSpec | None:
    # Not PathFinder: for a package inside a package it wants the outer one imported.
    portions: list[str] = []
    for place in places:
        importer = pkgutil.get_importer(place or str(Path.cwd()))
        spec = importer.find_spec(name) if importer is not None else None
        if spec is not None and spec.loader is not None:
            return spec
        if spec is not None:  # a folder without __init__.py
            portions += spec.submodule_search_locations or ()
    if not portions:
        return None
    namespace = ModuleSpec(name, None, is_package=True)
    namespace.submodule_search_locations = portions
    return namespace


def _find_otherwise(name: str) -> ModuleSpec | None:
    """Ask the finders that editable installs add to Python's own."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None


def _existing(module: str, folder: Path, named_by: str) -> str:
    if find_spec(module, folder) is None:
        raise NotFound(
            f"there is no module {module}",
            cause=f"it was named by {named_by}, and looked for from {folder}",
            hint="a worker can also be named by its short name: nowcast run-worker NAME",
        )
    return module


def _listed(packages: Sequence[str]) -> str:
    return " or ".join((", ".join(packages[:-1]), packages[-1]) if packages[1:] else packages)
