"""Findings with their lines, for those that read the file anyway."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nowcast_cli.config.findings import Finding
from nowcast_cli.config.positions import BadYaml, path_text, read_document
from nowcast_cli.config.problem import Problem


def located(file: Path, findings: Iterable[Finding]) -> list[Problem]:
    """Give the findings as problems of the file, at their places as it stands now."""
    found = list(findings)
    try:
        document = read_document(file.read_bytes()) if found else None
    except (OSError, BadYaml):  # it has changed since it was loaded
        document = None
    problems = []
    for finding in found:
        at = None if document is None else document.position(finding.path)
        problems.append(
            Problem(
                file,
                None if at is None else at.line,
                None if at is None else at.column,
                path_text(finding.path),
                finding.message,
                finding.severity,
                finding.hint,
            )
        )
    return problems
