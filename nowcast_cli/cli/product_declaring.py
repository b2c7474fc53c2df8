"""A product is declared in nowcast.yaml: its lines are added, and nothing else changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config.products import SECTION, is_product_name
from nowcast_cli.errors import NowcastError, UsageError

_SECTION = re.compile(r"^products:[ \t]*(#.*)?$", re.MULTILINE)
_ENTRY = re.compile(r"(?:[ \t]*(?:#.*)?\n)*([ \t]+)[^\s#]")


def declare(file: Path, name: str) -> bool:
    """Add the lines of a product to a configuration; False where it is declared already.

    Raises UsageError for what is no name of a product, NowcastError where the file cannot be
    written, or the lines cannot be added without changing others.
    """
    if not is_product_name(name):
        raise UsageError(
            f"{name!r} is no name of a product",
            hint="small letters, digits, '_', '-' and '.', such as hrdps",
        )
    try:
        before = file.read_text()
        if name in (_products(before) or {}):
            return False
        after = with_product(before, name)
        if not _adds_only(before, after, name):
            raise NowcastError(
                f"{file} was left as it is: the product could not be added without changing others",
                hint=f"add it yourself, below {SECTION}: {name}: {{title: …}}",
            )
        write_atomically(file, after.encode(), file.stat().st_mode & 0o777)
    except OSError as error:
        raise NowcastError(f"{file} cannot be written", cause=error.strerror) from None
    return True


def with_product(text: str, name: str) -> str:
    """Give a configuration with a product more. Pure."""
    if text and not text.endswith("\n"):
        text += "\n"
    section = _SECTION.search(text)
    if section is None:
        return f"{text}\n{SECTION}:\n  {name}:\n"
    end = section.end() + 1
    entry = _ENTRY.match(text, end)
    return f"{text[:end]}{entry[1] if entry else '  '}{name}:\n{text[end:]}"


def _adds_only(before: str, after: str, name: str) -> bool:
    try:
        old, new = _loaded(before), _loaded(after)
    except yaml.YAMLError:
        return False
    if not isinstance(old, dict):
        return False
    wanted = {**(old.get(SECTION) or {}), name: None}
    return bool(new == {**old, SECTION: wanted})


def _products(text: str) -> Any:
    document = _loaded(text)
    return document.get(SECTION) if isinstance(document, dict) else None


def _loaded(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CSafeLoader)
