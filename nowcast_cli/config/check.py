"""Checks a configuration file and reports all its mistakes at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nowcast_cli.config.action_workers import action_worker_findings
from nowcast_cli.config.agents import agent_findings
from nowcast_cli.config.command_step import step_findings
from nowcast_cli.config.config import Config, fill_in, unreadable
from nowcast_cli.config.cross_check import cross_findings
from nowcast_cli.config.executors import executor_findings
from nowcast_cli.config.expectations import expectations_of
from nowcast_cli.config.findings import Finding
from nowcast_cli.config.job_settings import job_findings
from nowcast_cli.config.limits import limit_findings
from nowcast_cli.config.log_settings import log_findings
from nowcast_cli.config.logging_check import logging_findings
from nowcast_cli.config.model_check import model_findings
from nowcast_cli.config.positions import (
    BadYaml,
    Document,
    KeyPath,
    path_text,
    read_document,
)
from nowcast_cli.config.problem import Problem
from nowcast_cli.config.products import product_findings
from nowcast_cli.config.schedule import schedule_of
from nowcast_cli.config.services import service_findings
from nowcast_cli.config.yaml_traps import yaml_traps
from nowcast_cli.errors import ConfigError


def check(path: Path) -> list[Problem]:
    """Find all mistakes of a configuration file, in the order of its lines.

    Looks at the file alone: user code is not imported (see
    :mod:`nowcast_cli.config.code_check`). Raises nothing for a bad file; a file that cannot be
    read is one problem.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        reason = unreadable(path, error)
        message = reason.what.partition(": ")[2] + (f": {reason.cause}" if reason.cause else "")
        return [Problem(path, None, None, "", message, hint=reason.hint)]
    try:
        document = read_document(text)
    except BadYaml as error:
        at = error.position
        line, column = (at.line, at.column) if at else (None, None)
        return [Problem(path, line, column, "", error.message)]
    if not isinstance(document.data, dict):
        holds = "nothing" if document.data is None else f"a {type(document.data).__name__}"
        message = f"must hold keys with values (checklist file: …); it holds {holds}"
        return [Problem(path, 1, 1, "", message)]
    return sorted(set(_problems(path, document)), key=_order)


def load_checked(path: Path) -> Config:
    """Load a configuration that has no errors; warnings are let pass.

    Raises ConfigError whose ``what`` holds a line for each error.
    """
    refuse_errors(check(path))
    config = Config()
    config.load(path)
    return config


def refuse_errors(problems: Iterable[Problem]) -> None:
    """Raise ConfigError for the errors among ``problems`` that a system cannot run with."""
    errors = [problem for problem in problems if problem.stops_the_system]
    if errors:
        raise ConfigError(
            "\n".join(problem.text for problem in errors),
            hint=next((error.hint for error in errors if error.hint), "nowcast validate"),
        )


def _problems(file: Path, document: Document) -> Iterator[Problem]:
    for trap in yaml_traps(document):
        yield Problem(
            file,
            trap.position.line,
            trap.position.column,
            path_text(trap.path),
            trap.message,
            "warning",
            trap.hint,
        )
    for finding in _findings(document.data, file):
        at = document.position(finding.path)
        yield Problem(
            file,
            at.line,
            at.column,
            path_text(finding.path),
            finding.message,
            finding.severity,
            finding.hint,
        )


def _findings(data: dict[Any, Any], file: Path) -> Iterator[Finding]:
    yield from model_findings(data)
    yield from logging_findings(data.get("logging"))
    yield from schedule_of(data).findings
    yield from expectations_of(data)[1]
    yield from log_findings(data)
    yield from job_findings(data)
    yield from step_findings(data)
    yield from executor_findings(data)
    yield from limit_findings(data)
    yield from agent_findings(data)
    yield from service_findings(data)
    yield from product_findings(data)
    yield from action_worker_findings(data)
    unset: list[tuple[KeyPath, str]] = []
    fill_in(data, file.absolute(), unset=lambda path, name: unset.append((path, name)))
    for path, name in unset:
        yield Finding(
            path,
            f"the environment variable {name} is not set",
            hint=f"export {name}=…, or write the value itself into the file",
        )
    unset_paths = [path for path, _ in unset]
    yield from (f for f in cross_findings(data) if f.path not in unset_paths)
    if ("python",) not in unset_paths:
        yield from _interpreter(data.get("python"))


def _interpreter(python: Any) -> Iterator[Finding]:
    if not isinstance(python, str):
        return
    if "/" not in python:
        yield Finding(
            ("python",),
            f"there is no interpreter {python!r} on PATH",
            hint="name it by its path, or leave `python` away to use that of nowcast",
        )
    elif not (Path(python).is_file() and os.access(python, os.X_OK)):
        yield Finding(
            ("python",),
            f"there is no interpreter {python}",
            hint="see NOWCAST_ENV if the value uses it, or leave `python` away to use that of "
            "nowcast",
        )


def _order(problem: Problem) -> tuple[int, int, str, str]:
    return (problem.line or 0, problem.column or 0, problem.path, problem.message)
