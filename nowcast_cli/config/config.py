"""nowcast.yaml as workers, daemons and ``next_workers`` functions read it: a mapping.

Light on purpose: PyYAML and the standard library only, because each worker process loads it.
What is wrong in the file is told in detail by :mod:`nowcast_cli.config.check`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import yaml

from nowcast_cli.config.environment import UnsetVariable, substituted
from nowcast_cli.errors import ConfigError

Stamp = tuple[int, int, int]

# What was parsed by this process, by file. The launcher's forked children find it filled.
_parsed: dict[str, tuple[Stamp, dict[Any, Any]]] = {}


class Config(MutableMapping[str, Any]):
    """The configuration of a system. ``Config()`` is empty until :meth:`load`.

    ``file`` is the absolute path of the loaded file, and ``changed`` the time of its last change,
    by which two know whether they have read the same. Values are what YAML gives; paths among
    them (``checklist file``, ``state directory``, ``jobs directory``, ``python``, the files of
    logging handlers) have their ``$(NOWCAST.ENV.X)`` substituted and are absolute.
    """

    file: Path
    changed: int = 0  # ns since 1970

    def __init__(self) -> None:
        self._data: dict[Any, Any] = {}

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read a configuration file, in place of what was loaded before.

        Raises ConfigError, with the line and the column where they are known, when the file
        cannot be read, is not a mapping in YAML, or names an environment variable that is
        not set.
        """
        file = Path(path).absolute()
        changed = _changed(file)
        data = _fresh(_parse(file), file)
        fill_in(data, file)
        self.file, self.changed, self._data = file, changed, data

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._data[key] = value

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __repr__(self) -> str:
        return f"<Config {getattr(self, 'file', 'without a file')}>"


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # to read it says what is wrong
        return 0


def fill_in(
    data: dict[Any, Any],
    file: Path,
    *,
    unset: Callable[[tuple[Any, ...], str], None] | None = None,
) -> None:
    """Substitute variables and make paths absolute, in place.

    ``unset(path, name)`` is told of each variable that is not set; without it the first one
    raises ConfigError.
    """
    derived = {
        "NOWCAST_ENV": sys.prefix,
        "NOWCAST_YAML": str(file),
        "NOWCAST_LOGS": str(file.parent / "var"),
    }

    def substitute_in(section: dict[Any, Any], key: str, path: tuple[Any, ...]) -> str | None:
        value = section.get(key)
        if not isinstance(value, str):
            return None
        try:
            section[key] = substituted(value, os.environ, derived)
        except UnsetVariable as error:
            if unset is None:
                raise _unset_variable(file, path, error.name) from None
            unset(path, error.name)
            return None
        return str(section[key])

    state = substitute_in(data, "state directory", ("state directory",))
    if state is not None:
        data["state directory"] = _absolute(state, file.parent)
        derived["NOWCAST_LOGS"] = str(Path(data["state directory"]) / "logs")
    jobs = substitute_in(data, "jobs directory", ("jobs directory",))
    if jobs is not None:
        data["jobs directory"] = _absolute(jobs, file.parent)
    checklist = substitute_in(data, "checklist file", ("checklist file",))
    if checklist is not None:
        data["checklist file"] = _absolute(checklist, file.parent)
    python = substitute_in(data, "python", ("python",))
    if python is not None:
        data["python"] = _interpreter(python, file.parent)
    elif data.get("python") is None:
        data["python"] = sys.executable
    for path, handler in handlers_of(data.get("logging")):
        filename = substitute_in(handler, "filename", ("logging", *path, "filename"))
        if filename is not None:
            handler["filename"] = _absolute(filename, file.parent)


def handlers_of(logging: Any) -> Iterator[tuple[tuple[str, ...], dict[Any, Any]]]:
    """Give the handlers of a ``logging`` section, in either layout, with their paths in it."""
    if not isinstance(logging, dict):
        return
    layouts: list[tuple[tuple[str, ...], Any]] = [((), logging)]
    layouts += [((name,), logging.get(name)) for name in ("aggregator", "publisher")]
    for path, layout in layouts:
        handlers = layout.get("handlers") if isinstance(layout, dict) else None
        for name, handler in handlers.items() if isinstance(handlers, dict) else ():
            if isinstance(handler, dict):
                yield (*path, "handlers", name), handler


def _parse(file: Path) -> dict[Any, Any]:
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            cached = _parsed.get(str(file))
            if cached is not None and cached[0] == stamp:
                return cached[1]
            text = stream.read()
    except OSError as error:
        raise unreadable(file, error) from None
    data = _construct(text, file)
    _parsed[str(file)] = (stamp, data)
    return data


def _construct(text: bytes, file: Path) -> dict[Any, Any]:
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise _not_yaml(text, file) from None
    if not isinstance(data, dict):
        raise ConfigError(
            f"{file}:1:1: the file must hold keys with values (checklist file: …)",
            cause=f"it holds {'nothing' if data is None else f'a {type(data).__name__}'}",
            hint="nowcast init makes a deployment with a configuration to start from",
        )
    return data


def unreadable(file: Path, error: OSError) -> ConfigError:
    """Say why the file cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return ConfigError(
            f"{file}: there is no such configuration file",
            hint="nowcast init makes a deployment; -C DIR names the folder of one",
        )
    return ConfigError(f"{file}: the configuration file cannot be read", cause=error.strerror)


def _not_yaml(text: bytes, file: Path) -> ConfigError:
    from nowcast_cli.config.positions import BadYaml, read_document

    try:
        read_document(text)
    except BadYaml as error:
        at = f":{error.position.line}:{error.position.column}" if error.position else ""
        return ConfigError(f"{file}{at}: {error.message}", hint="nowcast validate")
    return ConfigError(f"{file}: this is not YAML that can be read", hint="nowcast validate")


def _unset_variable(file: Path, path: tuple[Any, ...], name: str) -> ConfigError:
    from nowcast_cli.config.positions import path_text, read_document

    at = read_document(file.read_bytes()).position(path)
    return ConfigError(
        f"{file}:{at.line}:{at.column}: {path_text(path)}: "
        f"the environment variable {name} is not set",
        hint=f"export {name}=…, or write the value itself into the file",
    )


def _fresh(data: dict[Any, Any], file: Path) -> dict[Any, Any]:
    try:
        return {key: _copied(value) for key, value in data.items()}
    except RecursionError:
        raise ConfigError(
            f"{file}: an alias (*name) stands inside the value that it names",
            hint="nowcast validate says where",
        ) from None


def _copied(value: Any) -> Any:
    # copy.deepcopy takes eight times as long; what YAML can give is simple.
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) is list:
        return [_copied(item) for item in value]
    return set(value) if type(value) is set else value


def _absolute(value: str, folder: Path) -> str:
    return str(folder / Path(value).expanduser())


def _interpreter(python: str, folder: Path) -> str:
    if "/" in python:
        return _absolute(python, folder)
    from shutil import which

    return which(python) or python
