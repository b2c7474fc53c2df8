"""What the deployment's modules import from NEMO_Nowcast, and what requires its distribution."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.adopt.deployment import Deployment, text_of
from nowcast_cli.adopt.finding import Finding

UPSTREAM = "nemo_nowcast"
_DISTRIBUTION = re.compile(r"\bnemo[-_]nowcast\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Import:
    line: int
    module: str
    name: str | None  # None for the module itself


def code_findings(deployment: Deployment) -> Iterator[Finding]:
    """Give what is imported and is not here, file by file, then all that is, in one finding."""
    used: dict[str, int] = {}
    for file in deployment.code_files:
        for found in _imports(file):
            what = f"{found.module}.{found.name}" if found.name else found.module
            if _is_here(found):
                used[what] = used.get(what, 0) + 1
            else:
                why = (
                    "there is no such name here; it is no part of what deployments are known to use"
                )
                yield Finding(file, found.line, f"import {what}", "mend", why)
    if used:
        names = ", ".join(f"{what} ({times})" for what, times in sorted(used.items()))
        why = "the import name is provided, with the very classes of nowcast_cli"
        yield Finding(deployment.folder, None, f"imports of {names}", "used", why)


def requirement_findings(file: Path) -> Iterator[Finding]:
    """Give the lines that would have pip install NEMO_Nowcast itself over this package."""
    for number, line in enumerate(text_of(file).splitlines(), 1):
        if _DISTRIBUTION.search(line.partition("#")[0]):
            why = (
                "the distribution NEMO_Nowcast has the same import name and would be installed "
                "over this package: require nowcast-cli instead"
            )
            yield Finding(file, number, line.strip(), "mend", why)


def _imports(file: Path) -> Iterator[_Import]:
    text = text_of(file)
    if UPSTREAM not in text:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_upstream(node.module) and not node.level:
            yield from (_Import(node.lineno, str(node.module), each.name) for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                _Import(node.lineno, each.name, None)
                for each in node.names
                if _is_upstream(each.name)
            )


def _is_upstream(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == UPSTREAM


def _is_here(found: _Import) -> bool:
    try:
        module = importlib.import_module(found.module)
    except ImportError:
        return False
    if found.name in (None, "*") or hasattr(module, str(found.name)):
        return True
    try:
        importlib.import_module(f"{found.module}.{found.name}")
    except ImportError:
        return False
    return True
