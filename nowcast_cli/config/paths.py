"""Where a system keeps its files."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.errors import ConfigError, NowcastError

# The path of a Unix socket has at most 107 bytes; this leaves room for the names of ours.
LONGEST_RUN_FOLDER = 80
# Not $TMPDIR: a shell, a job and a daemon must come to the same folder.
SHORT_FOLDER = Path("/tmp")


@dataclass(frozen=True)
class SystemPaths:
    """The files and folders of one system, all absolute."""

    config_file: Path
    deployment: Path
    state: Path
    checklist_file: Path
    database: Path
    jobs: Path
    logs: Path
    run: Path
    outbox: Path
    keys: Path

    @property
    def actions_socket(self) -> Path:
        """Where those who carry out actions meet the message broker: a ROUTER, by ``ipc://``."""
        return self.run / "actions.sock"

    @property
    def events_socket(self) -> Path:
        """Where the message broker publishes events to this host: an XPUB, by ``ipc://``."""
        return self.run / "events.sock"

    @property
    def log_records_socket(self) -> Path:
        """Where log records go as datagrams; there while somebody has subscribed to them."""
        return self.run / "log-records.sock"


def system_paths(config: Config) -> SystemPaths:
    """Derive all paths of a system from its loaded configuration. Touches no file.

    Raises ConfigError when a key that names a path is not text.
    """
    deployment = config.file.parent
    state_key = _path(config, "state directory", config.file)
    checklist = _path(config, "checklist file", config.file)
    state = state_key or (checklist.parent if checklist else deployment / "var")
    return SystemPaths(
        config_file=config.file,
        deployment=deployment,
        state=state,
        checklist_file=checklist or state / "nowcast_checklist.yaml",
        database=state / "nowcast.db",
        jobs=_path(config, "jobs directory", config.file) or state / "jobs",
        logs=state / "logs",
        run=run_folder(state),
        outbox=state / "outbox",
        keys=state / "keys",
    )


def run_folder(state: Path) -> Path:
    """Give the folder of sockets and locks: in the state directory, or a short one for it.

    Decided on the real path, so that all who reach the state directory, by a symbolic link or
    not, meet in one folder.
    """
    real = os.path.realpath(state)
    beside = os.path.join(real, "run")  # noqa: PTH118
    if len(os.fsencode(beside)) <= LONGEST_RUN_FOLDER:
        return Path(beside)
    from hashlib import sha256

    digest = sha256(os.fsencode(real)).hexdigest()[:12]
    return SHORT_FOLDER / f"nowcast-{os.getuid()}-{digest}"


def ensure(paths: SystemPaths) -> None:
    """Make the folders of a system. Raises NowcastError when one cannot be made or trusted."""
    folders = (paths.state, paths.checklist_file.parent, paths.jobs, paths.logs, paths.outbox)
    for folder in folders:
        _make(folder, 0o777)
    _make(paths.run, 0o700)
    _make_private(paths.run)


def other_owner(run: Path) -> str | None:
    """Return the user to whom alone the sockets in ``run`` are open, if that is not this one."""
    if os.access(run, os.X_OK):
        return None
    try:
        owner = run.stat().st_uid
    except OSError:  # it is not there as yet
        return None
    import pwd

    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise NowcastError(
            f"the folder {folder} cannot be made",
            cause=error.strerror,
            hint="make it, or name another place by `state directory` (or `jobs directory`) in "
            "nowcast.yaml",
        ) from None


def _make_private(run: Path) -> None:
    """See that nobody else can reach the sockets, or has put a folder of theirs in the way."""
    status = run.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise NowcastError(
            f"the folder {run} for sockets and locks does not belong to this user",
            cause=f"it belongs to user {status.st_uid}; this process runs as {os.getuid()}",
            hint="run nowcast as that user, or move the deployment to a `state directory` of "
            "your own",
        )
    if stat.S_IMODE(status.st_mode) != 0o700:
        run.chmod(0o700)


def _path(config: Mapping[str, Any], key: str, file: Path) -> Path | None:
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(
            f"{file}: {key}: must be a path, not {value!r}", hint="nowcast validate says where"
        )
    return file.parent / value
