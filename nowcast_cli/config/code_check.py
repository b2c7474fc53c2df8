"""Checks the user's code against the configuration: ``next_workers`` and the worker modules.

The code is imported in a process of its own, with a deadline, so that a module that exits or
hangs hurts nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.hints import closest, did_you_mean
from nowcast_cli.config.placeholders import placeholders
from nowcast_cli.config.positions import KeyPath, path_text, read_document
from nowcast_cli.config.probe import ARGUMENTS_OF_AFTER
from nowcast_cli.config.problem import Problem, Severity
from nowcast_cli.config.registry import Registry, registry_of
from nowcast_cli.config.settings import is_reached_from_elsewhere

DEADLINE = 30.0


@dataclass(frozen=True)
class Probed:
    """What the probing process left behind.

    ``ended`` is its exit code (negative: the number of a signal), or None when it had to be
    killed at the deadline. ``report`` is None when it did not get as far as the user's code.
    """

    report: Mapping[str, Any] | None
    ended: int | None
    last_words: str


def check_code(config: Config, *, deadline: float = DEADLINE) -> list[Problem]:
    """Import ``next_workers`` apart from this process, and look for what the registry needs.

    ``config`` is loaded and has a usable registry; ``deadline`` is in seconds.
    """
    registry = registry_of(config)
    probed = _probe(config, deadline)
    if probed.report is None:
        return [_no_report(config, probed)]
    places = _Places(config.file)
    return [
        *_worker_problems(registry, probed.report["workers"], places),
        *_program_problems(config, registry, places),
        *_next_workers_problems(config, registry, probed, places, deadline),
    ]


class _Places:
    """Makes problems of paths in the configuration file, and of lines in other files."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._document = read_document(file.read_bytes())

    def at(
        self,
        path: KeyPath,
        message: str,
        hint: str | None = None,
        *,
        severity: Severity = "error",
    ) -> Problem:
        position = self._document.position(path)
        return Problem(
            self.file, position.line, position.column, path_text(path), message, severity, hint
        )

    def in_code(
        self, error: Mapping[str, Any], fallback: KeyPath, name: str, message: str
    ) -> Problem:
        if error.get("file") is None:
            return self.at(fallback, message)
        return Problem(Path(error["file"]), error.get("line"), None, name, message)


def _probe(config: Config, deadline: float) -> Probed:
    with tempfile.TemporaryDirectory(prefix="nowcast-validate-") as folder:
        result, words = Path(folder, "result"), Path(folder, "stderr")
        command = [config["python"], "-m", "nowcast_cli.config.probe", config.file, result]
        try:
            with words.open("wb") as stderr:
                process = subprocess.Popen(
                    command,
                    cwd=config.file.parent,
                    env={**os.environ, "NOWCAST_YAML": str(config.file)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    start_new_session=True,
                )
        except OSError as error:
            return Probed(None, None, f"it cannot be started: {error.strerror}")
        ended = _wait(process, deadline)
        report = json.loads(result.read_text()) if result.exists() else None
        lines = words.read_text(errors="replace").strip().splitlines()
        return Probed(report, ended, lines[-1] if lines else "")


def _wait(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    try:
        return process.wait(deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:  # also for what the user's module has started and left behind
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _no_report(config: Config, probed: Probed) -> Problem:
    """Say why the interpreter did not get as far as the user's code."""
    places = _Places(config.file)
    python = config["python"]
    if "No module named" in probed.last_words and "nowcast_cli" in probed.last_words:
        return places.at(
            ("python",),
            f"nowcast is not installed for the interpreter {python}",
            hint=f"{python} -m pip install nowcast-cli, or leave `python` away",
        )
    why = f": {probed.last_words}" if probed.last_words else f" ({how_ended(probed.ended)})"
    return places.at(("python",), f"{python} could not look at the code of this system{why}")


def _worker_problems(
    registry: Registry, found: Mapping[str, Any], places: _Places
) -> Iterator[Problem]:
    for name in registry.workers:
        path = ("message registry", "workers", name)
        worker = found.get(name, {})
        if "missing" in worker:
            module, cause = worker["missing"]["module"], worker["missing"]["cause"]
            words = f"there is no module {module}" if module else "this worker has no module"
            yield places.at(path, words, f"{cause}; write it, or name it by module: …")
        elif "error" in worker:
            error = worker["error"]
            words = f"the worker cannot be imported: {error['type']}: {error['message']}"
            yield places.in_code(error, path, name, words)


def _program_problems(config: Config, registry: Registry, places: _Places) -> Iterator[Problem]:
    """Look for the programs of commands, where no other host is known that may have them."""
    if is_reached_from_elsewhere(config) or config.get("executors") is not None:
        return
    for name, entry in registry.workers.items():
        program = "" if entry.step is None else entry.step.words[0]
        if entry.step is None or [*placeholders(program)]:
            continue
        file = config.file.parent / program
        path = ("message registry", "workers", name, "command")
        if "/" not in program:
            if "PATH" not in entry.step.environment and shutil.which(program) is None:
                hint = "the daemons may have another PATH; else write its path, such as ./program"
                words = f"there is no program {program} on the PATH"
                yield places.at(path, words, hint, severity="warning")
        elif not file.is_file():
            hint = "relative commands are looked for in the folder of the configuration file"
            yield places.at(path, f"there is no program {file}", hint)
        elif not os.access(file, os.X_OK):
            yield places.at(path, f"{file} cannot be run", f"chmod +x {file}")


def _next_workers_problems(
    config: Config, registry: Registry, probed: Probed, places: _Places, deadline: float
) -> Iterator[Problem]:
    assert probed.report is not None
    module = registry.next_workers_module
    found = probed.report["next workers"]
    path = ("message registry", "next workers module")
    if found["state"] == "importing":
        if probed.ended is None:
            words = f"the import of {module} has not come back after {deadline:g} s"
        else:
            words = f"{module} ends the process that imports it ({how_ended(probed.ended)})"
        hint = "keep work out of the top level of the module; put it into functions"
        yield places.at(path, words, hint)
    elif found["state"] == "failed":
        yield _import_error(found["error"], module, path, places)
    else:
        yield from _after_problems(registry, found, places, _done_in_flows(config))


def _import_error(error: Mapping[str, Any], module: str, path: KeyPath, places: _Places) -> Problem:
    if error["type"] == "SystemExit":
        words = f"{module} calls sys.exit when it is imported"
    elif error["type"] == "ModuleNotFoundError" and error["message"].endswith(f"'{module}'"):
        return places.at(
            path,
            f"there is no module {module}",
            hint=f"write {module.replace('.', '/')}.py beside the configuration file",
        )
    else:
        words = f"{module} cannot be imported: {error['type']}: {error['message']}"
    return places.in_code(error, path, module, words)


def _done_in_flows(config: Config) -> frozenset[str]:
    """Name the workers that steps of flows do: nobody asks there what follows from them."""
    flows = config.get("flows")
    steps = [
        step
        for flow in (flows.values() if isinstance(flows, dict) else ())
        if isinstance(flow, dict) and isinstance(flow.get("steps"), dict)
        for step in flow["steps"].values()
    ]
    return frozenset(str(step.get("worker")) for step in steps if isinstance(step, dict))


def _after_problems(
    registry: Registry, found: Mapping[str, Any], places: _Places, in_flows: frozenset[str]
) -> Iterator[Problem]:
    functions = found["functions"]
    unused = [name for name in functions if name.removeprefix("after_") not in registry.workers]
    signature = ", ".join(ARGUMENTS_OF_AFTER)
    for name, entry in registry.workers.items():
        function = f"after_{name}"
        path = ("message registry", "workers", name)
        if function not in functions:
            if entry.needs_after_function and (name not in in_flows or closest(function, unused)):
                yield places.at(
                    path,
                    f"{registry.next_workers_module} has no function {function}"
                    + did_you_mean(function, unused),
                    hint=f"write def {function}({signature}) in {found['file']}; it returns "
                    "the workers to launch next, often none: []",
                )
        elif not functions[function]["accepts"]:
            words = f"must be a function that takes ({signature})"
            yield places.in_code(functions[function], path, function, words)


def how_ended(code: int | None) -> str:
    """Say how a process ended."""
    if code is None:
        return "it did not end in time"
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"
