"""What ``nowcast init`` writes: the files of a template, filled in for the new system."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from nowcast_cli.errors import NowcastError

Template = Literal["toy", "minimal"]
TEMPLATES: tuple[str, ...] = get_args(Template)

SCHEMA_FILE = "nowcast.schema.json"

# Above the ports that services have by custom, below those that Linux gives to clients (32768).
_LOWEST_PORT = 20_000
_HIGHEST_PORT = 32_000


def template_files(template: Template, values: Mapping[str, str]) -> dict[Path, str]:
    """Give the files of a template: path below the deployment's folder and content.

    ``@NAME@`` in a file becomes ``values["NAME"]``.
    """
    root = _skeletons() / template
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        path.relative_to(root): _filled_in(path.read_text(encoding="utf-8"), values)
        for path in found
        if "__pycache__" not in path.parts
    }


def free_ports() -> tuple[int, int]:
    """Find two free ports of the loopback address, one after the other.

    They are drawn at random, so that two systems made before either runs do not share them.
    Raises NowcastError when a thousand draws find none.
    """
    for port in _draws():
        if _is_free(port) and _is_free(port + 1):
            return port, port + 1
    raise NowcastError(
        f"there are no two free ports between {_LOWEST_PORT} and {_HIGHEST_PORT}",
        hint="`ss -ltn` shows which are taken",
    )


def _draws() -> Iterator[int]:
    for _ in range(1000):
        yield random.randrange(_LOWEST_PORT, _HIGHEST_PORT, 2)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _filled_in(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _skeletons() -> Path:
    """Find the templates: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_skeleton"
    return installed if installed.is_dir() else package.parent / "skeleton"
