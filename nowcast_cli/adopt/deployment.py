"""Which files of a folder make a deployment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nowcast_cli.errors import NotFound

_NOT_OURS_TO_LOOK_AT = frozenset(
    {"var", "env", "venv", "node_modules", "build", "dist", "__pycache__", "site-packages"}
)
_DEEPEST = 4  # folders below the one that was named
_LARGEST = 1 << 20  # bytes of a file that is read
_PROCESSES = re.compile(r"^\[(program|watcher):", re.MULTILINE)
_VARIABLES = re.compile(r"^\s*(export\s+)?NOWCAST_(ENV|LOGS|YAML)=", re.MULTILINE)
_REQUIREMENTS = re.compile(
    r"(pyproject|pixi)\.toml|setup\.(cfg|py)|.*requirements.*\.txt|environment.*\.ya?ml"
)


@dataclass(frozen=True)
class Deployment:
    """The files of a deployment, by what they are for."""

    folder: Path
    config_file: Path
    process_files: tuple[Path, ...]
    environment_files: tuple[Path, ...]
    requirement_files: tuple[Path, ...]
    code_files: tuple[Path, ...]


def look_at(place: Path) -> Deployment:
    """Find the files of the deployment in a folder, or of the one with that ``nowcast.yaml``.

    Raises NotFound (exit code 4) when there is no configuration file.
    """
    folder = place if place.is_dir() else place.parent
    files = sorted(_files(folder))
    config_file = _config_file(place, files)
    return Deployment(
        folder=folder,
        config_file=config_file,
        process_files=tuple(
            file for file in files if file.suffix in (".ini", ".conf") and _has(file, _PROCESSES)
        ),
        environment_files=tuple(
            file
            for file in files
            if (file.suffix in (".sh", ".env", ".bash") or "env" in file.name)
            and file.suffix not in (".py", ".yaml", ".yml", ".ini", ".md", ".rst")
            and _has(file, _VARIABLES)
        ),
        requirement_files=tuple(file for file in files if _REQUIREMENTS.fullmatch(file.name)),
        code_files=tuple(file for file in files if file.suffix == ".py"),
    )


def text_of(file: Path) -> str:
    """Give the text of a file; empty when it cannot be read or is no text of a sane size."""
    try:
        if file.stat().st_size > _LARGEST:
            return ""
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _config_file(place: Path, files: list[Path]) -> Path:
    if place.is_file():
        return place
    for candidate in (place / "nowcast.yaml", place / "config" / "nowcast.yaml"):
        if candidate.is_file():
            return candidate
    named = [file for file in files if re.fullmatch(r".*nowcast.*\.ya?ml", file.name)]
    for file in named:
        if re.search(r"^message registry:", text_of(file), re.MULTILINE):
            return file
    raise NotFound(
        f"{place} holds no nowcast.yaml",
        cause="looked for it there, in its folder config/, and for a *nowcast*.yaml with a "
        "`message registry`",
        hint="nowcast adopt FOLDER, or the path of the configuration file itself",
    )


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(
            name
            for name in folders
            if depth < _DEEPEST and not name.startswith(".") and name not in _NOT_OURS_TO_LOOK_AT
        )
        yield from (Path(here, name) for name in names)


def _has(file: Path, pattern: re.Pattern[str]) -> bool:
    return pattern.search(text_of(file)) is not None
