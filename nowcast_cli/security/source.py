"""Where a process finds the key that it connects with, as the configuration and the job say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nowcast_cli.errors import ConfigError
from nowcast_cli.security.key import Key, key_file, read_key

Security = Literal["curve", "none"]
VARIABLE = "NOWCAST_KEY"

# Seconds of failed handshakes after which whoever answers cannot be the broker of this key. The
# key of a job on another host is brought by ssh, at the latest ten seconds after it has changed.
_PATIENCE = 2.5
_PATIENCE_ELSEWHERE = 15.0


@dataclass(frozen=True)
class KeySource:
    """The file of a key, read anew at each connection: a key that was changed is taken up."""

    path: Path
    patience: float = _PATIENCE

    def read(self) -> Key:
        """Read the key. Raises KeyTrouble."""
        return read_key(self.path)


def security_of(config: Mapping[str, Any]) -> Security | None:
    """Read ``security``: None for a configuration that does not say. Raises ConfigError."""
    value = config.get("security")
    if value is None or value == "curve" or value == "none":
        return value
    raise ConfigError(
        f"security: must be curve or none, not {value!r}", hint="nowcast validate says where"
    )


def keys_folder(config: Mapping[str, Any]) -> Path:
    """Give the folder of keys of a loaded configuration."""
    from nowcast_cli.config.paths import system_paths

    return system_paths(config).keys  # type: ignore[arg-type]


def key_source(config: Mapping[str, Any], name: str) -> KeySource | None:
    """Say where the key ``name`` of this system is; None for a system without keys.

    For daemons, whose keys are those of the machine. Raises ConfigError.
    """
    if security_of(config) != "curve":
        return None
    return KeySource(key_file(keys_folder(config), name))


def own_key_source(config: Mapping[str, Any], name: str) -> KeySource | None:
    """Say where a worker or a command finds its key: the file of NOWCAST_KEY goes first.

    A job on another host finds it there, whatever the configuration of that host says.
    """
    given = os.environ.get(VARIABLE)
    if given:
        elsewhere = "NOWCAST_JOB_ID" in os.environ
        return KeySource(Path(given), _PATIENCE_ELSEWHERE if elsewhere else _PATIENCE)
    return key_source(config, name)
