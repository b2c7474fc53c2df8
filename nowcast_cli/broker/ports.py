"""Binding a port that the configuration names, with errors that say what is in the way."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import zmq

from nowcast_cli.config import Config
from nowcast_cli.errors import ConfigError, NowcastError

_LISTENING = "0A"  # the state's number in /proc/net/tcp


def host_and_port(config: Config, key: str) -> tuple[str, int]:
    """Return ``zmq.host`` and ``zmq.ports.<key>``. Raises ConfigError when one is missing."""
    section = config.get("zmq")
    section = section if isinstance(section, dict) else {}
    ports = section.get("ports")
    port = ports.get(key) if isinstance(ports, dict) else None
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise _missing(config, f"zmq.ports.{key}", "a port number from 1 to 65535", port)
    host = section.get("host")
    if not isinstance(host, str) or not host:
        raise _missing(config, "zmq.host", "the name of the host, such as localhost", host)
    return host, port


def address_of(host: str) -> str:
    """Return the IPv4 address to bind for ``host``. Raises ConfigError for an unknown name."""
    try:
        return socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]  # type: ignore[return-value]
    except OSError as error:
        raise ConfigError(
            f"zmq.host: the host {host} cannot be found",
            cause=str(error),
            hint="use localhost, or the name or address of this machine",
        ) from None


def bind(
    endpoint: zmq.Socket[bytes],
    address: str,
    port: int,
    key: str,
    security: str | None,
    logger: logging.Logger,
) -> None:
    """Bind a socket to ``address`` and ``port``, which the configuration names in ``key``.

    Raises NowcastError that names the port, the key, and who holds it where that can be seen.
    An address beyond loopback that is not guarded is refused, and warned about where the
    configuration is one of NEMO_Nowcast's form: whoever reaches it can send messages.
    """
    is_open = security != "curve" and not ipaddress.ip_address(address).is_loopback
    if is_open and security == "none":
        raise ConfigError(
            f"port {port} ({key}) on {address} is not opened to the network without keys",
            cause="the configuration has `security: none`",
            hint="write security: curve, then nowcast key init; or zmq: {host: localhost}",
        )
    try:
        endpoint.bind(f"tcp://{address}:{port}")
    except zmq.ZMQError as error:
        raise _not_bound(address, port, key, error) from None
    if is_open:
        logger.warning(
            "port %d on %s is open to every host that reaches it, without authentication: write "
            "security: curve into the configuration, then nowcast key init",
            port,
            address,
        )


def holder_of(port: int) -> str | None:
    """Return ``process N (command)`` that listens on a TCP port, where it is of this user."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(str(entry.readlink()) in inodes for entry in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                words = " ".join(command.decode(errors="replace").split())
                return f"process {process.name} ({words[:200]})"
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _not_bound(address: str, port: int, key: str, error: zmq.ZMQError) -> NowcastError:
    if error.errno != errno.EADDRINUSE:
        return NowcastError(
            f"port {port} ({key}) on {address} cannot be opened",
            cause=str(error),
            hint=f"check zmq.host and {key} in the configuration with `nowcast validate`",
        )
    holder = holder_of(port)
    return NowcastError(
        f"port {port} ({key}) is already in use",
        cause=f"{holder} listens on it" if holder else "a process of another user listens on it",
        hint=f"end that process, or give {key} another number in the configuration",
    )


def _missing(config: Config, key: str, wanted: str, found: object) -> ConfigError:
    return ConfigError(
        f"{config.file}: {key}: {wanted} is needed here, not {found!r}",
        hint="`nowcast validate` shows all that is wrong with the configuration",
    )
