"""The keys of a system, and what is open without them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.daemon.health import ask_health
from nowcast_cli.doctor.finding import Finding, Subject, error, note, warning
from nowcast_cli.errors import NowcastError
from nowcast_cli.security.key import KeyTrouble, key_file, read_key
from nowcast_cli.security.key_ring import BROKER, OWN, KeyRing
from nowcast_cli.security.source import security_of


def keys(subject: Subject) -> Iterator[Finding]:
    """Failure means that who should get in does not, or that others can read a secret."""
    try:
        security = security_of(subject.config)
    except NowcastError as problem:
        yield error(problem.what, "write security: curve into nowcast.yaml")
        return
    if security == "curve":
        yield from _of_the_ports(subject)
        yield from _of_the_files(subject)
    elif security is None:
        yield note(
            "whoever reaches the ports can send messages: nowcast.yaml does not say `security`",
            "write security: curve into it, then nowcast restart",
        )


def _of_the_ports(subject: Subject) -> Iterator[Finding]:
    import zmq

    if not zmq.has("curve"):
        yield error(
            "this ZeroMQ was built without CURVE, so no port can be opened",
            "pip install --force-reinstall --only-binary pyzmq pyzmq",
        )
    health = ask_health(subject.paths.run / "message_broker.sock")
    if health is not None and health.get("security") != "curve":
        yield error(
            "the message broker was started before nowcast.yaml had `security: curve`: it asks "
            "for no keys",
            "nowcast restart",
        )
    logging = subject.config["zmq"].get("ports", {}).get("logging")
    if logging:
        yield warning(
            "what comes from the ports of zmq.ports.logging is neither encrypted nor guarded",
            "remove `logging` from zmq.ports: with keys, records come by the port for logs alone",
        )


def _of_the_files(subject: Subject) -> Iterator[Finding]:
    folder = subject.paths.keys
    ring = KeyRing(folder)
    if ring.is_new:
        yield note(f"there are no keys in {folder} as yet", "nowcast start, or nowcast key init")
        return
    yield from _modes(folder)
    try:
        roster, broker = ring.roster(), read_key(key_file(folder, BROKER))
    except KeyTrouble as problem:
        yield error(problem.what, problem.hint or "nowcast key init")
        return
    for name in OWN:
        if roster.named(name) and roster.current(name) is None:
            yield warning(f"the key {name} was revoked", f"nowcast key rotate {name}")
        elif not key_file(folder, name).exists():
            yield error(f"there is no key {key_file(folder, name)}", "nowcast key init")
    for entry in roster.current_entries():
        file = key_file(folder, entry.name)
        if not file.exists():
            continue
        try:
            key = read_key(file)
        except KeyTrouble as problem:
            yield error(problem.what, problem.hint or f"nowcast key rotate {entry.name}")
            continue
        if key.public != entry.public:
            yield error(
                f"the key {file} is not the one on the list, and is refused",
                f"nowcast key rotate {entry.name}",
            )
        elif key.broker != broker.public:
            yield error(f"the key {file} is for another broker", "nowcast key init")
    yield from _of_hosts(subject, ring)


def _of_hosts(subject: Subject, ring: KeyRing) -> Iterator[Finding]:
    from nowcast_cli.config.remote_hosts import remote_hosts

    roster = ring.roster()
    for host in remote_hosts(subject.config, str(subject.file)):
        if roster.key_of_host(host) is None:
            yield warning(
                f"jobs on {host} have no key: their messages come by ssh alone, and late",
                f"nowcast key add --role worker --host {host}",
            )


def _modes(folder: Path) -> Iterator[Finding]:
    for path in (folder, *sorted(folder.iterdir())):
        status = path.stat()
        if status.st_uid != os.getuid():
            yield warning(f"{path} belongs to another user", f"chown {os.getuid()} {path}")
        elif stat.S_IMODE(status.st_mode) & 0o077:
            mode = "700" if path == folder else "600"
            yield error(
                f"others on this machine can read {path}",
                f"chmod {mode} {path}, then replace what they may have read: nowcast key rotate",
            )
