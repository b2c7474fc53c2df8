"""Whether those who are to be told are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from nowcast_cli.daemon.health import ask_health
from nowcast_cli.doctor.finding import Finding, Subject, warning
from nowcast_cli.notify.channels import are_wanted, channels_of
from nowcast_cli.notify.memory import FILE_NAME, read_memory

_LONG = 600.0  # seconds


def notifications(subject: Subject) -> Iterator[Finding]:
    """Failure means that things go wrong and nobody is told."""
    channels, _ = channels_of(subject.config, subject.environment)
    if not channels or not are_wanted(subject.config):
        return
    manager_lives = ask_health(subject.paths.run / "manager.sock") is not None
    if manager_lives and not _is_held(subject.paths.run / "notify.lock"):
        yield warning(
            "the notifier does not run, which tells people what goes wrong",
            "nowcast logs says why; where an address was not set, set it and nowcast restart",
        )
    memory = read_memory(subject.paths.state / FILE_NAME)
    for name, box in memory.boxes.items() if memory else ():
        if box.queue and time.time() - box.queue[0].since > _LONG:
            yield warning(
                f"{len(box.queue)} notifications for {name} wait to be sent, the first "
                f"{box.queue[0].title!r}",
                "see why in nowcast logs: the network, or the address",
            )


def _is_held(lock: Path) -> bool:
    from filelock import FileLock, Timeout

    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
