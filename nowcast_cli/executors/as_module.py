"""Runs a module in this process so that it cannot tell the difference from ``python -m``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType


class NotRunnableError(Exception):
    """There is no such module, or it is none that can be run; the text is a sentence."""


def prepare(module: str, arguments: Sequence[str]) -> CodeType:
    """Set ``sys.argv``, ``sys.path`` and ``__main__`` as ``python -m`` does; give the code to run.

    The working directory has to be the job's by now. Packages around the module are imported.
    Raises NotRunnableError when the module does not get as far as running.
    """
    folder = str(Path.cwd())
    if not sys.flags.safe_path:
        sys.path[0] = folder
    # The finder may have looked into this folder so short a time ago that a new file's time
    # stamp does not tell it to look again.
    sys.path_importer_cache.pop(folder, None)
    sys.argv = ["-m", *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    try:
        spec, code = _find(module)
    except NotRunnableError:
        raise
    except Exception as error:
        raise NotRunnableError(
            f"module {module} could not be imported: {type(error).__name__}: {error}"
        ) from error
    sys.argv[0] = str(spec.origin)
    sys.modules["__main__"] = _main_module(spec)
    return code


def run(code: CodeType) -> None:
    """Run what :func:`prepare` gave; raises whatever the module raises."""
    exec(code, sys.modules["__main__"].__dict__)


def _find(module: str) -> tuple[ModuleSpec, CodeType]:
    try:
        spec = find_spec(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            spec = None  # a package around it is missing; anything else is its own fault
        else:
            raise
    if spec is None:
        raise NotRunnableError(f"module {module} could not be imported: there is no such module")
    if spec.submodule_search_locations is not None:
        if module.endswith("__main__"):
            raise NotRunnableError(f"{module} is a package and cannot be run")
        return _find(f"{module}.__main__")
    code = spec.loader.get_code(module) if isinstance(spec.loader, InspectLoader) else None
    if code is None:
        raise NotRunnableError(f"module {module} has no Python code that could be run")
    return spec, code


def _main_module(spec: ModuleSpec) -> ModuleType:
    module = ModuleType("__main__")
    module.__spec__ = spec
    module.__loader__ = spec.loader
    module.__file__ = spec.origin
    module.__package__ = spec.parent
    module.__dict__.update(__cached__=spec.cached, __builtins__=sys.modules["builtins"])
    if "__annotations__" in sys.modules["__main__"].__dict__:  # up to Python 3.13
        module.__annotations__ = {}
    return module
