"""Looks for the function that a mapping names, without running any of the user's code."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from nowcast_cli.config.hints import did_you_mean
from nowcast_cli.config.workers import find_spec

_Body = Iterable[ast.stmt]


def component_trouble(name: str, folder: Path) -> str | None:
    """Say why ``package.module.Class.method`` cannot be called; None where it seems it can.

    ``folder`` is that of the deployment. What a module makes only when it runs cannot be seen:
    a name that may come from there is let pass.
    """
    parts = name.split(".")
    # The longest module that is there; the rest is the function, or the class and its method.
    for length in (len(parts) - 1, len(parts) - 2):
        module = ".".join(parts[:length])
        if length >= 1 and (spec := find_spec(module, folder)) is not None:
            origin = spec.origin
            if origin is None or not origin.endswith(".py"):
                return None
            return _trouble_in(Path(origin), module, parts[length:])
    return f"there is no module {'.'.join(parts[:-1])}, looked for from {folder}"


def _trouble_in(file: Path, module: str, names: list[str]) -> str | None:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    except (SyntaxError, ValueError) as error:
        return f"module {module} cannot be imported: {error}"
    body: _Body = tree.body
    where = f"module {module}"
    for name in names:
        found = _definition(body, name)
        if found is None and _hides_names(body):
            return None
        if found is None:
            return f"{where} has no {name}" + did_you_mean(name, _defined(body))
        if not isinstance(found, ast.ClassDef):
            return None
        body, where = found.body, f"class {found.name}"
        if found.bases:
            return None  # the method may be one of a base
    return None


def _definition(body: _Body, name: str) -> ast.stmt | None:
    return next((each for each in _statements(body) if name in _names(each)), None)


def _defined(body: _Body) -> list[str]:
    return [name for each in _statements(body) for name in _names(each)]


def _statements(body: _Body) -> Iterable[ast.stmt]:
    """Give the statements of a body, and those below its conditions."""
    for each in body:
        yield each
        if isinstance(each, ast.If | ast.Try | ast.With):
            for below in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(each, below, ()))


def _names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return [alias.asname or alias.name for alias in aliases]
    return []


def _hides_names(body: _Body) -> bool:
    return any("*" in _names(each) or "__getattr__" in _names(each) for each in _statements(body))
