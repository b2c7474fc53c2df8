"""The folder of keys: making, adding, revoking and replacing them. One at a time, by a lock."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.errors import NotFound, NowcastError, UsageError
from nowcast_cli.security.curve import new_pair
from nowcast_cli.security.key import (
    Key,
    KeyTrouble,
    Role,
    is_key_name,
    key_file,
    read_key,
    write_key,
)
from nowcast_cli.security.roster import Entry, Roster, read_roster

LIST = "authorized.json"
BROKER = "broker"
# What the processes of this machine connect with, made for every system.
OWN: dict[str, Role] = {"manager": "manager", "operator": "operator", "worker": "worker"}
# How long a key that was replaced still opens the door: copies on other hosts are brought anew.
GRACE = timedelta(hours=1)


class KeyRing:
    """The keys in a folder.

    Parameters
    ----------
    folder
        ``<state>/keys``.
    now
        The time in UTC.
    """

    def __init__(
        self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = folder
        self._now = now

    @property
    def is_new(self) -> bool:
        """Whether no key was ever made here."""
        return not (self._file(BROKER).exists() or self._list.exists())

    def roster(self) -> Roster:
        """Read the list; empty where there is none. Raises KeyTrouble for a damaged one."""
        try:
            return read_roster(self._list.read_bytes())
        except FileNotFoundError:
            return Roster()
        except ValueError as error:
            raise KeyTrouble(
                f"the list of keys {self._list} is damaged",
                cause=str(error),
                hint=f"mend it, or remove {self.folder}: nowcast key init then makes new keys",
            ) from None

    def init(self) -> list[str]:
        """Make what is missing of the keys of this machine; give the names of those made.

        A key that was revoked is not made again. Files that know an old key of the broker get
        the new one.
        """
        with self._alone():
            made = []
            broker = self._broker()
            if broker is None:
                broker = self._make_broker()
                made.append(BROKER)
            roster = self.roster()
            for name, role in OWN.items():
                known = roster.current(name)
                if roster.named(name) and (known is None or self._file(name).exists()):
                    continue
                roster = self._replace(roster, name, role, None, broker, until=self._time())
                made.append(name)
            self._tell_of(broker, roster)
            return made

    def add(self, name: str, role: Role, host: str | None = None) -> Path:
        """Make a key for somebody, or for another host; gives the file with its secret."""
        if not is_key_name(name):
            raise UsageError(
                f"{name!r} cannot be the name of a key",
                hint="use letters, digits, '.', '_', '-' and '@'",
            )
        with self._alone():
            broker, roster = self._known_broker(), self.roster()
            if roster.current(name) is not None or name == BROKER:
                raise UsageError(
                    f"there is a key {name} already",
                    hint=f"nowcast key rotate {name}, or give another name",
                )
            if host is not None and roster.key_of_host(host) is not None:
                raise UsageError(
                    f"the host {host} has a key already, {roster.key_of_host(host).name}",  # type: ignore[union-attr]
                    hint="nowcast key rotate replaces it",
                )
            self._replace(roster, name, role, host, broker, until=self._time())
            return self._file(name)

    def revoke(self, name: str) -> None:
        """Shut the door to a key, at once; its secret is removed from this machine."""
        with self._alone():
            roster = self.roster()
            self._refuse_unless_known(roster, name)
            if name in (BROKER, "manager"):
                raise UsageError(
                    f"without the key {name} the system cannot work",
                    hint=f"nowcast key rotate {name} makes another one",
                )
            self._write(roster.ended(name, self._time()))
            self._file(name).unlink(missing_ok=True)

    def rotate(self, name: str) -> Key:
        """Replace a key by a new one of the same name, role and host, and give that.

        The one before opens the door for another hour, unless it was revoked, or is the
        manager's. The broker's ends at once: a port has one key.
        """
        with self._alone():
            roster = self.roster()
            if name == BROKER:
                self._known_broker()
                broker = self._make_broker()
                self._tell_of(broker, roster)
                return broker
            self._refuse_unless_known(roster, name)
            last = roster.named(name)[-1]
            until = self._time(timedelta() if last.role == "manager" else GRACE)
            broker = self._known_broker()
            self._replace(roster, name, last.role, last.host, broker, until=until)
            return read_key(self._file(name))

    # --- steps

    @property
    def _list(self) -> Path:
        return self.folder / LIST

    def _file(self, name: str) -> Path:
        return key_file(self.folder, name)

    def _broker(self) -> Key | None:
        return read_key(self._file(BROKER)) if self._file(BROKER).exists() else None

    def _known_broker(self) -> Key:
        broker = self._broker()
        if broker is None:
            raise NotFound(f"there are no keys in {self.folder}", hint="nowcast key init")
        return broker

    def _make_broker(self) -> Key:
        public, secret = new_pair()
        broker = Key(BROKER, "broker", public, secret, public)
        write_key(self._file(BROKER), broker)
        return broker

    def _replace(
        self, roster: Roster, name: str, role: Role, host: str | None, broker: Key, *, until: str
    ) -> Roster:
        """Put a new key on the list, then into its file: nobody shows one that is not known."""
        public, secret = new_pair()
        listed = roster.ended(name, until).added(Entry(name, role, public, host, self._time()))
        self._write(listed)
        write_key(self._file(name), Key(name, role, public, secret, broker.public))
        return listed

    def _tell_of(self, broker: Key, roster: Roster) -> None:
        """Write the broker's public key into the files that have another one."""
        for entry in roster.current_entries():
            if not self._file(entry.name).exists():
                continue
            key = read_key(self._file(entry.name))
            if key.broker != broker.public:
                write_key(self._file(entry.name), replace(key, broker=broker.public))

    def _write(self, roster: Roster) -> None:
        write_atomically(self._list, roster.to_text().encode(), 0o600)

    def _refuse_unless_known(self, roster: Roster, name: str) -> None:
        if roster.named(name) or (name == BROKER and self._broker() is not None):
            return
        known = ", ".join(dict.fromkeys(entry.name for entry in roster.entries))
        raise NotFound(
            f"there is no key {name}",
            hint=f"the keys are {known}" if known else "nowcast key init",
        )

    def _time(self, after: timedelta = timedelta()) -> str:
        return in_text(self._now() + after)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make the folder, for the owner alone, and keep other commands out of it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_mode & 0o077:
                self.folder.chmod(0o700)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise NowcastError(
                f"the folder of keys {self.folder} cannot be used",
                cause=error.strerror,
                hint="run nowcast as the user whose system it is",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def in_text(at: datetime) -> str:
    """Give a time as the list has it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def text_of_now() -> str:
    """Give the time as the list has it; quick, for each message is held against it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
