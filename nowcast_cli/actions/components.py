"""Components: functions and methods of the deployment, found by name, made once a process."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from nowcast_cli.config.hints import did_you_mean

LONGEST_TRACEBACK = 20_000  # characters; of a longer one the end is kept
_CONTEXT = "context"
_HERE = str(Path(__file__).parent)
_PACKAGE = str(Path(__file__).parents[1])


class Unusable(Exception):
    """A component cannot be called; a sentence says why, ``traceback`` where it was tried."""

    def __init__(self, sentence: str, traceback: str | None = None) -> None:
        super().__init__(sentence)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Callee:
    """What a component's name stands for, and the values that it takes.

    ``names`` is None where it takes any; ``required`` are those without a default.
    """

    name: str
    function: Callable[..., Any]
    names: frozenset[str] | None
    required: tuple[str, ...]
    takes_context: bool

    def arguments(self, values: Mapping[str, Any], implied: bool) -> dict[str, Any]:
        """Give the arguments by name, the context left aside. Raises Unusable.

        Of ``implied`` values, which nobody has written for this component, it gets those that it
        has parameters for.
        """
        if self.names is None:
            given = dict(values)
            if self.takes_context:
                given.pop(_CONTEXT, None)
        elif implied:
            given = {name: values[name] for name in self.names if name in values}
        else:
            given = dict(values)
            for name in values:
                if name not in self.names:
                    raise Unusable(self._not_taken(name))
        for name in self.required:
            if name not in given:
                raise Unusable(f"{self.name} needs a value {name!r}, and is given none")
        return given

    def _not_taken(self, name: str) -> str:
        assert self.names is not None
        if name == _CONTEXT:
            return f"{self.name} cannot be given a value {name!r}: that is the call's own context"
        takes = ", ".join(sorted(self.names)) or "none"
        meant = did_you_mean(name, self.names)
        return f"{self.name} takes no value {name!r}{meant or f': it takes {takes}'}"


class Components:
    """The components of one process; a class is instantiated once, when it is first called."""

    def __init__(self) -> None:
        self._callees: dict[str, Callee] = {}
        self._instances: dict[tuple[str, str], Any] = {}
        self._unusable: dict[str, Unusable] = {}

    def refuse(self, name: str, sentence: str) -> None:
        """Let a component not be imported: it has brought down a process."""
        self._unusable[name] = Unusable(sentence)

    def preload(self, name: str) -> str | None:
        """Import the module of a component; give a sentence when it cannot be used."""
        try:
            if name not in self._unusable:
                _find(name)
        except Unusable as error:
            self._unusable[name] = error
        found = self._unusable.get(name)
        return None if found is None else str(found)

    def get(self, name: str) -> Callee:
        """Give what a component's name stands for. Raises Unusable."""
        callee = self._callees.get(name)
        if callee is None:
            if name in self._unusable:
                raise self._unusable[name]
            callee = self._callees[name] = callee_of(name, self._function(name))
        return callee

    def _function(self, name: str) -> Callable[..., Any]:
        module, found, rest = _find(name)
        if not inspect.isclass(found):
            return _checked(name, found)
        key = (module.__name__, found.__qualname__)
        if key not in self._instances:
            try:
                self._instances[key] = found()
            except BaseException as error:
                raise Unusable(
                    f"{module.__name__}.{found.__qualname__} cannot be instantiated: {said(error)}",
                    traceback_of(error),
                ) from None
        return _checked(name, getattr(self._instances[key], rest))


def said(error: BaseException) -> str:
    """Give an exception in a line: its type, its text, and where it was raised."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # its own __str__
        text = "(its text cannot be had)"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {text}"
    where = _where(error)
    return f"{type(error).__name__}{': ' if text else ''}{text[:1000]}{where}"


def _where(error: BaseException) -> str:
    """Name the last line that is not of this package, nor of code without a file."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((_PACKAGE, "<")):
            return f" ({frame.filename}:{frame.lineno})"
    return ""


def traceback_of(error: BaseException) -> str:
    """Give a traceback as text, without the lines of this package before the component's own."""
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_HERE):
        shown = shown.tb_next
    lines = traceback.format_exception(type(error), error, shown)
    text = "".join(lines).encode(errors="backslashreplace").decode()
    return text if len(text) <= LONGEST_TRACEBACK else "…" + text[-LONGEST_TRACEBACK:]


def look_in(deployment: Path) -> None:
    """Let modules be found in the folder of the deployment, as workers find them."""
    # Compiled files are told from their source by whole seconds and size, which is too coarse for
    # a file that was just edited.
    sys.dont_write_bytecode = True
    if str(deployment) not in sys.path:
        sys.path.insert(0, str(deployment))


def _find(name: str) -> tuple[ModuleType, Any, str]:
    """Give the module, the function or class, and the method's name, of a component."""
    parts = name.split(".")
    module = _import(name, ".".join(parts[:-1]))
    if module is not None:
        return module, _attribute(module, parts[-1], name), ""
    module = _import(name, ".".join(parts[:-2])) if len(parts) > 2 else None
    if module is None:
        raise Unusable(f"{name}: there is no module {'.'.join(parts[:-1])}")
    found = _attribute(module, parts[-2], name)
    if not inspect.isclass(found):
        raise Unusable(f"{name}: {parts[-2]} of module {module.__name__} is no class")
    if not hasattr(found, parts[-1]):
        meant = did_you_mean(parts[-1], dir(found))
        raise Unusable(f"{name}: class {parts[-2]} has no {parts[-1]}{meant}")
    return module, found, parts[-1]


def _import(component: str, name: str) -> ModuleType | None:
    """Import a module; None where there is none of that name. Raises Unusable."""
    try:
        if importlib.util.find_spec(name) is None:
            return None
    except (ModuleNotFoundError, ValueError) as error:
        # A package on the way is missing, or is a module; or it could not be imported itself.
        missing = getattr(error, "name", None)
        if missing is None or name == missing or name.startswith(f"{missing}."):
            return None
    except BaseException as error:  # a package's own code
        raise _not_imported(component, name, error) from None
    try:
        return importlib.import_module(name)
    except BaseException as error:
        raise _not_imported(component, name, error) from None


def _not_imported(component: str, name: str, error: BaseException) -> Unusable:
    return Unusable(
        f"{component}: module {name} cannot be imported: {said(error)}", traceback_of(error)
    )


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    try:
        return getattr(module, attribute)
    except AttributeError:
        meant = did_you_mean(attribute, dir(module))
        raise Unusable(f"{name}: module {module.__name__} has no {attribute}{meant}") from None


def _checked(name: str, function: Any) -> Callable[..., Any]:
    if not callable(function):
        raise Unusable(f"{name} is a {type(function).__name__}, which cannot be called")
    called: Callable[..., Any] = function
    return called


def callee_of(name: str, function: Callable[..., Any]) -> Callee:
    """Look at what a function takes. Raises Unusable."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # written in C, and silent about it
        return Callee(name, function, None, (), False)
    by_name = [
        each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    positional = [each for each in parameters if each.kind is each.POSITIONAL_ONLY]
    if any(each.default is each.empty for each in positional):
        raise Unusable(f"{name} has a parameter before its /, and values are given by name")
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    names = [each.name for each in by_name if each.name != _CONTEXT]
    required = [each.name for each in by_name if each.default is each.empty and each.name in names]
    return Callee(
        name,
        function,
        None if takes_any else frozenset(names),
        tuple(required),
        any(each.name == _CONTEXT for each in by_name),
    )
