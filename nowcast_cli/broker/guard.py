"""The broker's door: who may connect, and what each of them may ask."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from nowcast_cli.broker.admission import refusal, registered_modules
from nowcast_cli.broker.faults import FaultLog
from nowcast_cli.broker.frames import WaitFor
from nowcast_cli.broker.refusals import Refusal
from nowcast_cli.config import Config
from nowcast_cli.config.limits import limits
from nowcast_cli.config.registry import registry_of
from nowcast_cli.errors import ConfigError
from nowcast_cli.security.doorkeeper import Doorkeeper

_logger = logging.getLogger(__name__)


class Guard:
    """A device of the broker's loop: it serves the doorkeeper, and holds messages against roles.

    Parameters
    ----------
    doorkeeper
        Knows the keys; closed by :meth:`close`.
    config
        Names the workers that a worker may launch; read anew when it names one of them not.
    faults
        Where refusals are reported.
    """

    def __init__(self, doorkeeper: Doorkeeper, config: Config, faults: FaultLog) -> None:
        self.doorkeeper = doorkeeper
        self._waits_for: WaitFor = [(doorkeeper.fileno(), int(zmq.POLLIN))]
        self._config_file = config.file
        self._limits = limits(config)
        self._faults = faults
        self._is_registered = _test_of(config)
        self.on_new_manager_key: Callable[[], None] = lambda: None

    def waits_for(self) -> WaitFor:
        """Return the descriptor that is readable when somebody knocks."""
        return self._waits_for

    def due_in(self) -> float | None:
        """Give None: all work here is by events."""
        return None

    def work(self, ready: WaitFor) -> None:
        """Let in or refuse who has knocked; see that a replaced key of the manager is shut out."""
        descriptor = self.doorkeeper.fileno()
        if any(source == descriptor for source, _ in ready):
            self.doorkeeper.serve()
        if self.doorkeeper.manager_changed:
            self.doorkeeper.manager_changed = False
            self.on_new_manager_key()

    def status(self) -> dict[str, Any]:
        """Return what a health answer says of the door."""
        return {"security": "curve"}

    def close(self) -> None:
        """Close the doorkeeper."""
        self.doorkeeper.close()

    def refusal(self, body: zmq.Frame) -> Refusal | None:
        """Say why a message is not passed on, None where it is.

        One whose key has been revoked since it connected is dropped: its sender asks again, by a
        new connection, which is refused with a reason.
        """
        sender = self.doorkeeper.sender(body)
        if sender is None:
            return Refusal("dropped a message: its key has been revoked", b"")
        if sender.role == "operator":
            return None
        answer = refusal(sender.role, sender.name, body.bytes, self._launchable, self._limits)
        if answer is None:
            return None
        said = answer.payload["what"]
        return Refusal(f"refused: {said}", answer.encode())

    def _launchable(self, module: str) -> bool:
        if not self._is_registered(module):
            config = Config()
            try:
                config.load(Path(self._config_file))
                self._is_registered = _test_of(config)
            except ConfigError as error:
                _logger.warning("the workers of before may be launched: %s", error.what)
        return self._is_registered(module)


def _test_of(config: Config) -> Callable[[str], bool]:
    workers = registry_of(config).workers
    return registered_modules([(name, entry.module) for name, entry in workers.items()])
