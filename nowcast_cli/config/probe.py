"""Imports the user's ``next_workers`` in a process of its own, and tells what is there.

Run as ``python -m nowcast_cli.config.probe CONFIG RESULT`` in the deployment's folder. What was
found so far is in the file RESULT at every moment, since the user's module may end this process,
or never come back.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.registry import Registry, registry_of
from nowcast_cli.config.workers import find_spec, find_worker_module
from nowcast_cli.errors import NowcastError

ARGUMENTS_OF_AFTER = ("msg", "config", "checklist")


def main(config_file: str, result: str) -> None:
    """Write ``{"workers": …, "next workers": …}`` to the file ``result``."""
    config = Config()
    config.load(config_file)
    registry = registry_of(config)
    folder = config.file.parent
    report: dict[str, Any] = {
        "workers": {name: _worker(config, name, folder) for name in registry.workers},
        "next workers": {"state": "importing"},
    }
    _write(Path(result), report)
    _write(Path(result), {**report, "next workers": _next_workers(registry, folder)})
    os._exit(0)  # threads and exit handlers of the user's module have no say here


def _worker(config: Config, name: str, folder: Path) -> Mapping[str, Any]:
    registered_module = registry_of(config).workers[name].module
    try:
        module = find_worker_module(config, name)
    except NowcastError as error:
        return {"missing": {"module": registered_module, "cause": error.cause}}
    spec = find_spec(module, folder)
    origin = spec.origin if spec else None
    if origin is None or not origin.endswith(".py"):
        return {"module": module}
    try:
        compile(Path(origin).read_bytes(), origin, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OSError) as error:
        return {"module": module, "error": _error(error, folder)}
    return {"module": module}


def _next_workers(registry: Registry, folder: Path) -> Mapping[str, Any]:
    try:
        module = importlib.import_module(registry.next_workers_module)
        return {
            "state": "imported",
            "file": getattr(module, "__file__", None),
            "functions": {
                name: _function(value) for name, value in vars(module).items() if _is_after(name)
            },
        }
    except BaseException as error:  # SystemExit too: whatever the user's code raises is the news
        return {"state": "failed", "error": _error(error, folder)}


def _is_after(name: str) -> bool:
    return name.startswith("after_")


def _function(value: Any) -> Mapping[str, Any]:
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
    try:
        inspect.signature(value).bind(*ARGUMENTS_OF_AFTER)
        accepts = True
    except TypeError:
        accepts = False
    except ValueError:  # built in; its signature is not known
        accepts = True
    return {
        "accepts": accepts,
        "file": code.co_filename if code else None,
        "line": code.co_firstlineno if code else None,
    }


def _error(error: BaseException, folder: Path) -> Mapping[str, Any]:
    """Describe an error, with the last place in the user's own files that led to it."""
    text = str(error)
    file, line = None, None
    if isinstance(error, SyntaxError):
        file, line, text = error.filename, error.lineno, error.msg
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename).is_relative_to(folder):
                file, line = frame.filename, frame.lineno
    return {"type": type(error).__name__, "message": text, "file": file, "line": line}


def _write(result: Path, report: Mapping[str, Any]) -> None:
    beside = result.with_name(result.name + ".new")
    beside.write_text(json.dumps(report))
    beside.replace(result)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
