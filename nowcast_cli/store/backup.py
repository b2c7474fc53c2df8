"""Backups: one file with the store as it was at one instant, and what belongs to it.

A gzipped tar: ``manifest.json`` first, then the files that it names with their checksums.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nowcast_cli.atomic_files import sync_folder
from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.store.integrity import MENDED_BY, cannot_be_read, damage_in
from nowcast_cli.store.opening import open_to_read

FORM = 1
DATABASE = "nowcast.db"
_MANIFEST = "manifest.json"
_PAGES = 2000  # a step: 8 MB
_PAUSE = 0.005  # seconds between steps: disk and processors belong to the system
_CHUNK = 1 << 20
_NAME = "nowcast-%Y%m%dT%H%M%SZ.tar.gz"
_NAMES = "nowcast-[0-9]*Z.tar.gz"

# What reading a file that was made by tar and gzip, and is not whole, may raise.
_TORN = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


@dataclass(frozen=True, slots=True)
class Content:
    """A file of a backup: its SHA-256, and its length in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    ``made`` is when (ISO 8601 UTC), ``version`` that of nowcast, ``system`` the deployment it is
    of, ``journal`` the number of the last message in it, ``form`` that of the backup.
    """

    form: int
    made: str
    version: str
    system: str
    journal: int
    files: Mapping[str, Content]


def name_of(seconds: float) -> str:
    """Give the name of a backup that is made at that time (seconds since 1970)."""
    return time.strftime(_NAME, time.gmtime(seconds))


def backups_in(folder: Path) -> list[Path]:
    """Give the backups in a folder that have the name of their time, the newest first."""
    return sorted(folder.glob(_NAMES), reverse=True)


def copy_database(database: Path, copy: Path) -> int:
    """Copy a store as it is at this instant, while it may be written; gives its last message.

    All of it is read in one transaction, which holds up nobody in SQLite's WAL mode, with pauses.
    Raises sqlite3.DatabaseError.
    """
    with closing(open_to_read(database)) as source, closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA synchronous = OFF")  # it is synced as part of the backup
        source.execute("BEGIN")
        row = source.execute("SELECT max(number) FROM message").fetchone()

        source.backup(target, pages=_PAGES, progress=lambda *_: time.sleep(_PAUSE))
        target.execute("PRAGMA journal_mode = DELETE")
    return int(row[0] or 0)


def make(
    database: Path,
    target: Path,
    before: Mapping[str, Path],
    after: Mapping[str, Path],
    about: tuple[str, str, str],
) -> Manifest:
    """Write a backup to ``target``, which only this user can read; whole or not at all.

    Parameters
    ----------
    before, after
        More files, by their names in the backup, that are read before or after the store is;
        those that are not there are left out.
    about
        When it is made, the version of nowcast, and the deployment.

    Raises NowcastError when the store is damaged or the backup cannot be written.
    """
    if not database.exists():
        raise NotFound(f"there is no store {database} to back up", hint="nowcast start")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".nowcast-backup-", dir=target.parent) as folder:
            contents = dict(_read(before))
            copy = Path(folder, DATABASE)
            journal = _sound_copy(database, copy)
            contents |= _read(after)
            manifest = Manifest(
                FORM, about[0], about[1], about[2], journal,
                {DATABASE: _content_of(copy)}
                | {name: _content(data) for name, data in contents.items()},
            )  # fmt: skip
            whole = Path(folder, "backup")
            _write(whole, manifest, copy, contents)
            whole.replace(target)
            sync_folder(target.parent)
    except OSError as error:
        raise NowcastError(
            f"the backup {target} cannot be written",
            cause=f"{error.filename}: {error.strerror}" if error.filename else str(error),
            hint="give it another place: nowcast backup FILE",
        ) from error
    return manifest


def _sound_copy(database: Path, copy: Path) -> int:
    try:
        journal = copy_database(database, copy)
    except sqlite3.DatabaseError as error:
        raise cannot_be_read(database, error) from error
    if damage := damage_in(copy, 1):
        raise NowcastError(
            f"the store {database} is damaged, and so a backup of it would be",
            cause=damage[0],
            hint=MENDED_BY,
        )
    return journal


def _read(files: Mapping[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files.items() if path.is_file()}


def _content(data: bytes) -> Content:
    return Content(hashlib.sha256(data).hexdigest(), len(data))


def _content_of(path: Path) -> Content:
    with path.open("rb") as file:
        return Content(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _write(path: Path, manifest: Manifest, copy: Path, contents: Mapping[str, bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
            text = json.dumps({"nowcast backup": asdict(manifest)}, indent=1).encode()
            _add(tar, _MANIFEST, len(text), io.BytesIO(text))
            with copy.open("rb") as database:
                _add(tar, DATABASE, manifest.files[DATABASE].size, database)
            for name, data in contents.items():
                _add(tar, name, len(data), io.BytesIO(data))
        file.flush()
        os.fsync(file.fileno())


def _add(tar: tarfile.TarFile, name: str, size: int, data: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    tar.addfile(member, data)


def manifest_of(backup: Path) -> Manifest:
    """Read what a backup holds. Raises NotFound, and NowcastError for what is none."""
    with _opened(backup) as tar:
        return _manifest(tar, backup)


def extract(backup: Path, folder: Path) -> Manifest:
    """Write the files of a backup below ``folder``, each with its checksum proved.

    Raises NowcastError for a backup that is damaged, or is none, and OSError.
    """
    with _opened(backup) as tar:
        manifest = _manifest(tar, backup)
        left = dict(manifest.files)
        try:
            for member in tar:
                content = left.pop(member.name, None)
                if content is not None and member.isfile():
                    _take_out(tar, member, folder, content, backup)
        except _TORN as error:
            raise _damaged(backup, str(error)) from error
    if left:
        raise _damaged(backup, f"it has no {next(iter(left))}")
    return manifest


def _opened(backup: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(backup, "r:gz")
    except FileNotFoundError:
        raise NotFound(f"there is no backup {backup}", hint="nowcast backup makes one") from None
    except (*_TORN, OSError) as error:
        raise _damaged(backup, str(error)) from error


def _manifest(tar: tarfile.TarFile, backup: Path) -> Manifest:
    try:
        first = tar.next()
        file = tar.extractfile(first) if first and first.name == _MANIFEST else None
        told = json.loads(file.read(_CHUNK))["nowcast backup"] if file else {}
        files = {name: Content(**content) for name, content in told["files"].items()}
        manifest = Manifest(**{**told, "files": files})
    except (*_TORN, OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(backup, f"it has no manifest of nowcast ({error})") from error
    if manifest.form != FORM:
        raise NowcastError(
            f"the backup {backup} was made by a newer nowcast ({manifest.version})",
            hint="upgrade nowcast-cli",
        )
    return manifest


def _take_out(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, content: Content, backup: Path
) -> None:
    place = folder / member.name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise _damaged(backup, f"{member.name} would lie outside of its folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    source, digest = tar.extractfile(member), hashlib.sha256()
    assert source is not None, "a regular file has content"
    with place.open("wb") as file:
        place.chmod(0o600)
        while data := source.read(_CHUNK):
            digest.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != content.sha256:
        raise _damaged(backup, f"{member.name} is not what it was")


def _damaged(backup: Path, cause: str) -> NowcastError:
    return NowcastError(
        f"{backup} is damaged, or is no backup",
        cause=cause,
        hint="take another: ls -t " + str(backup.parent),
    )
