"""All that is to be said of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.adopt.additions import Addition, additions
from nowcast_cli.adopt.code import code_findings, requirement_findings
from nowcast_cli.adopt.configuration import configuration_findings
from nowcast_cli.adopt.deployment import Deployment, look_at
from nowcast_cli.adopt.environment import assignments, environment_findings
from nowcast_cli.adopt.finding import Finding
from nowcast_cli.adopt.processes import process_findings
from nowcast_cli.config.positions import BadYaml, Document, read_document
from nowcast_cli.errors import ConfigError


@dataclass(frozen=True)
class Report:
    """The findings, file by file, and what is to be added."""

    findings: tuple[Finding, ...]
    additions: tuple[Addition, ...]


def report_on(place: Path) -> Report:
    """Look at a deployment and write nothing.

    Raises NotFound when there is none, ConfigError when its nowcast.yaml cannot be read.
    """
    deployment = look_at(place)
    file = deployment.config_file
    try:
        document = read_document(file.read_bytes())
    except BadYaml as error:
        at = f":{error.position.line}:{error.position.column}" if error.position else ""
        raise ConfigError(f"{file}{at}: {error.message}", hint="nowcast validate") from None
    if not isinstance(document.data, dict):
        raise ConfigError(f"{file}: the file must hold keys with values")
    return Report(tuple(_findings(deployment, document)), tuple(additions(deployment, document)))


def _findings(deployment: Deployment, document: Document) -> Iterator[Finding]:
    set_there = frozenset(
        name for file in deployment.environment_files for _, name in assignments(file)
    )
    yield from configuration_findings(deployment.config_file, document, set_there)
    for file in deployment.process_files:
        yield from process_findings(file)
    slack = document.data.get("slack notifications") or ()
    for file in deployment.environment_files:
        yield from environment_findings(file, frozenset(map(str, slack)))
    for file in deployment.requirement_files:
        yield from requirement_findings(file)
    yield from code_findings(deployment)
