"""Small systems whose daemons are stand-ins, under a real supervisord.

A stand-in holds its name, answers on its health socket, and does as the file
``<name>.behaviour`` in the deployment says: ``well`` (or no file), ``fails``, ``never ready``,
``deaf`` (it ignores SIGTERM). Asked for its health it prints a line.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.process_identity import ProcessIdentity, from_json, is_alive
from nowcast_cli.supervisor.control import stop
from nowcast_cli.supervisor.daemons import Daemon
from nowcast_cli.supervisor.plant import Plant

STAND_IN = """
import os, select, signal, sys
from pathlib import Path
from nowcast_cli.config import Config, system_paths
from nowcast_cli.daemon.health import HealthSocket
from nowcast_cli.daemon.lock import hold
from nowcast_cli.daemon.signals import Signals

name = {name!r}
config = Config()
config.load(sys.argv[1])
paths = system_paths(config)
behaviour_file = Path(name + ".behaviour")
behaviour = behaviour_file.read_text() if behaviour_file.exists() else "well"
if behaviour == "fails":
    for number in range(30):
        print("line", number, file=sys.stderr)
    print("error: no luck today", file=sys.stderr)
    sys.exit(1)
with Signals(signal.SIGTERM) as signals, hold(paths, name):
    health = HealthSocket(paths.run / (name + ".sock"))
    Path("history").open("a").write("start " + name + "\\n")
    state = "starting" if behaviour == "never ready" else "ready"
    while True:
        readable, _, _ = select.select([signals, health], [], [])
        if health in readable:
            print("asked", flush=True)
            health.answer({{"daemon": name, "pid": os.getpid(), "state": state,
                           "since": "2026-11-22T03:04:05Z", "yaml": os.environ["NOWCAST_YAML"]}})
        if signals in readable and signals.read() and behaviour != "deaf":
            break
    health.close()
    Path("history").open("a").write("stop " + name + "\\n")
"""

DAEMONS = (Daemon("first", "first_stand_in"), Daemon("second", "second_stand_in"))


def make_deployment(folder: Path) -> SystemPaths:
    """Make the folder of a system whose two daemons are stand-ins."""
    folder.mkdir(parents=True)
    (folder / "nowcast.yaml").write_text("state directory: var\n")
    for daemon in DAEMONS:
        (folder / f"{daemon.module}.py").write_text(STAND_IN.format(name=daemon.name))
    config = Config()
    config.load(folder / "nowcast.yaml")
    return system_paths(config)


class Supervised:
    """A system of stand-ins; ``told`` collects what control said of its progress."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = make_deployment(folder)
        self.told: list[str] = []
        self.plant = Plant(self.paths, DAEMONS, self.told.append, ready_time=10.0)

    def behave(self, name: str, how: str) -> None:
        """Tell a stand-in how to behave at its next start."""
        (self.folder / f"{name}.behaviour").write_text(how)

    def history(self) -> list[str]:
        """Return what has started and stopped, in order."""
        return (self.folder / "history").read_text().splitlines()

    def process(self, name: str) -> ProcessIdentity:
        """Return the process of a daemon, by its pid file."""
        return from_json(json.loads((self.paths.run / f"{name}.pid").read_bytes()))

    def lives(self, name: str) -> bool:
        """Tell whether a daemon's process lives."""
        try:
            return is_alive(self.process(name))
        except OSError:
            return False

    def supervisord(self) -> int:
        """Return the process id of supervisord."""
        return int((self.paths.run / "supervisord.pid").read_text())

    def kill_supervisord(self) -> None:
        """Kill supervisord as the kernel would."""
        os.kill(self.supervisord(), signal.SIGKILL)

    def clean_up(self) -> None:
        """Leave no process behind, and no run folder, which may lie outside the test's own."""
        stop(self.plant)
        shutil.rmtree(self.paths.run)
