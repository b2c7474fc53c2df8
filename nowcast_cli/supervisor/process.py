"""Starting supervisord itself, and seeing that it has gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast_cli.atomic_files import write_atomically
from nowcast_cli.config.paths import ensure
from nowcast_cli.errors import NowcastError
from nowcast_cli.process_identity import ProcessIdentity, identity_of, is_alive
from nowcast_cli.supervisor.observe import somebody_listens, supervisor_socket
from nowcast_cli.supervisor.orphans import end_process
from nowcast_cli.supervisor.rpc import Supervisord
from nowcast_cli.supervisor.running import SUPERVISORD, remember
from nowcast_cli.supervisor.supervisord_conf import STOP_GRACE, supervisord_conf, supervisord_log

if TYPE_CHECKING:
    from nowcast_cli.config import SystemPaths
    from nowcast_cli.supervisor.plant import Plant

_START_TIME = 30.0  # seconds in which supervisord must have begun to answer


def ensure_supervisord(plant: Plant) -> Supervisord:
    """Return the system's supervisord, started when none answers; no daemon is started yet.

    One that runs takes in the daemons and services that the configuration has got since.

    It is left to itself, in its own session, with NOWCAST_YAML in its environment, which the
    daemons inherit.
    """
    ensure(plant.paths)
    socket_file = supervisor_socket(plant.paths.run)
    if not somebody_listens(socket_file):
        _launch(plant)
        return Supervisord(socket_file)
    supervisord = Supervisord(socket_file)
    names = {daemon.name for daemon in plant.daemons}
    if names.union(service.name for service in plant.services) - supervisord.processes().keys():
        bring_up_to_date(plant, supervisord)
    return supervisord


def bring_up_to_date(plant: Plant, supervisord: Supervisord) -> tuple[list[str], list[str]]:
    """Let supervisord take in what is new; gives what has changed, and what is gone, by name."""
    _write_conf(plant)
    return supervisord.learn()


def shut_down(supervisord: Supervisord, paths: SystemPaths) -> None:
    """End supervisord, and return when it has gone; kill it when it does not go."""
    identity = identity_of(supervisord.pid())
    supervisord.shut_down()
    supervisord.close()
    if identity is not None:
        _wait_for_the_end(identity)
    with suppress(OSError):
        supervisor_socket(paths.run).unlink()


def _wait_for_the_end(identity: ProcessIdentity) -> None:
    give_up = time.monotonic() + STOP_GRACE
    while is_alive(identity):
        if time.monotonic() > give_up:
            end_process(identity, "supervisord", grace=0.0)
        time.sleep(0.01)


def _write_conf(plant: Plant) -> Path:
    conf = plant.paths.run / "supervisord.conf"
    text = supervisord_conf(
        deployment=plant.paths.deployment,
        logs=plant.paths.logs,
        config_file=plant.paths.config_file,
        python=sys.executable,
        umask=_umask(),
        daemons=plant.daemons,
        services=plant.services,
    )
    write_atomically(conf, text.encode())
    return conf


def _launch(plant: Plant) -> None:
    paths = plant.paths
    conf = _write_conf(plant)
    remember(paths)
    done = subprocess.run(
        [
            *(sys.executable, "-m", SUPERVISORD),
            *("-c", str(conf), "-l", str(supervisord_log(paths.logs))),
        ],
        cwd=paths.run,
        env={**os.environ, "NOWCAST_YAML": str(paths.config_file)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_START_TIME,
        check=False,
    )
    if done.returncode != 0:
        raise NowcastError(
            "supervisord, which keeps the daemons up, did not start",
            cause=(done.stderr or done.stdout).strip() or f"its exit code was {done.returncode}",
            hint=f"see {supervisord_log(paths.logs)}",
        )


def _umask() -> int:
    """Return the umask of this process; reading it means setting it for an instant."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
