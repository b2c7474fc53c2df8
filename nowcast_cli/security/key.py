"""A key, and the file that its owner reads it from. Needs no ZeroMQ."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.errors import NowcastError

Role = Literal["broker", "manager", "operator", "worker", "reader", "agent"]
ROLES: tuple[str, ...] = get_args(Role)

_CURVE_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85 of 32 bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PRIVATE = 0o600


class KeyTrouble(NowcastError):
    """A key cannot be used: it is not there, not private, or damaged."""


@dataclass(frozen=True)
class Key:
    """A CURVE pair with the name and role that its owner knows it by.

    ``public`` and ``secret`` are Z85 text of 40 characters, ``broker`` is the public key of the
    broker that it is for.
    """

    name: str
    role: Role
    public: str
    secret: str = field(repr=False)
    broker: str

    def to_text(self) -> str:
        """Give the content of its file."""
        return json.dumps(self.__dict__, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Key:
        """Read what :meth:`to_text` gave. Raises ValueError that says what is wrong."""
        try:
            found: Any = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ValueError("it holds no key of nowcast")
        for name in ("public", "secret", "broker"):
            if not is_curve_key(found.get(name)):
                raise ValueError(f"its {name!r} is no CURVE key")
        if found.get("role") not in ROLES or not isinstance(found.get("name"), str):
            raise ValueError("it does not say the name and the role of the key")
        return cls(found["name"], found["role"], found["public"], found["secret"], found["broker"])


def is_curve_key(value: Any) -> bool:
    """Say whether a value is half of a CURVE pair as text."""
    return isinstance(value, str) and _CURVE_KEY.fullmatch(value) is not None


def is_key_name(name: str) -> bool:
    """Say whether a key may be called so: the name becomes that of a file."""
    return _NAME.fullmatch(name) is not None


def key_file(folder: Path, name: str) -> Path:
    """Give the file of a key in the folder of keys."""
    return folder / f"{name}.key"


def read_key(path: Path) -> Key:
    """Read a key that nobody else can read. Raises KeyTrouble."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read()
    except FileNotFoundError:
        raise KeyTrouble(
            f"there is no key {path}",
            cause="the system has `security: curve`, so whoever connects to it needs a key",
            hint="on the machine of the system nowcast key init makes it; for any other one "
            "nowcast key add, there, which says how it gets here",
        ) from None
    except OSError as error:
        raise KeyTrouble(
            f"the key {path} cannot be read",
            cause=error.strerror,
            hint="run nowcast as the user whose system it is",
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeyTrouble(
            f"the key {path} is not used, since others on this machine can read it",
            cause=f"its mode is {stat.S_IMODE(mode):04o}",
            hint=f"chmod 600 {path}; where others may have read it: nowcast key rotate {path.stem}",
        )
    try:
        return Key.from_text(data.decode())
    except ValueError as error:
        raise KeyTrouble(
            f"the key {path} is damaged",
            cause=str(error),
            hint=f"nowcast key rotate {path.stem} makes another one",
        ) from None


def write_key(path: Path, key: Key) -> None:
    """Write the file of a key, whole, for its owner alone. Raises OSError."""
    write_atomically(path, key.to_text().encode(), _PRIVATE)
