"""How executors are: whether jobs can be begun there just now, asked of the systems themselves."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from time import monotonic

from nowcast_cli.executors.remote_executor import Surroundings, Target

DEADLINE = 15.0  # s


@dataclass(frozen=True, slots=True)
class Health:
    """What an executor is, in ``words``, and what is wrong with it.

    ``trouble`` is a sentence that says why nothing can be begun or known there, None where it
    can; ``hint`` is what to do about it.
    """

    words: str = ""
    trouble: str | None = None
    hint: str | None = None


# Asks an executor how it is; it has so many seconds, and should not need them.
HealthOf = Callable[[Target, Surroundings, float], Health]


def ask_all(
    targets: Sequence[Target],
    health_of: Mapping[str, HealthOf],
    around: Surroundings,
    deadline: float = DEADLINE,
) -> list[Health]:
    """Ask all executors at once; one that does not answer within ``deadline`` (s) is in trouble."""
    answers: SimpleQueue[tuple[int, Health]] = SimpleQueue()
    for number, target in enumerate(targets):
        ask = health_of[target.settings.kind]
        args = (number, ask, target, around, deadline, answers)
        # As a daemon: one that hangs must not keep the command from its end.
        threading.Thread(target=_ask, args=args, daemon=True).start()
    found: dict[int, Health] = {}
    give_up = monotonic() + deadline
    with suppress(Empty):
        while len(found) < len(targets):
            number, health = answers.get(timeout=max(0.0, give_up - monotonic()))
            found[number] = health
    silent = Health(
        trouble=f"it has not answered for {deadline:.0f} seconds",
        hint="see whether its host hangs, or is overloaded",
    )
    return [found.get(number, silent) for number in range(len(targets))]


def _ask(
    number: int,
    ask: HealthOf,
    target: Target,
    around: Surroundings,
    deadline: float,
    answers: SimpleQueue[tuple[int, Health]],
) -> None:
    try:
        health = ask(target, around, deadline)
    except Exception as error:  # the others are to be told of all the same
        health = Health(trouble=f"it could not be asked: {error!r}", hint="nowcast doctor")
    answers.put((number, health))


def of_this_machine(_: Target, around: Surroundings, deadline: float) -> Health:
    """Say whether a launcher answers; none does before the first start, and that is no trouble."""
    processors = len(os.sched_getaffinity(0))
    words = f"{processors} processor{'s' if processors > 1 else ''}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as connection:
        connection.settimeout(deadline / 2)
        try:
            connection.connect(str(around.paths.run / "launcher.sock"))
        except TimeoutError:
            trouble = "its launcher does not answer"
            return Health(words, trouble, "the manager replaces it: see nowcast logs")
        except PermissionError:
            return Health(words, "its launcher belongs to another user", "run nowcast as that user")
        except OSError:
            return Health(f"{words}; no launcher runs as yet")
    return Health(f"{words}; its launcher runs")


def of_host(target: Target, around: Surroundings, _: float) -> Health:
    """Say what another host is like; it is asked by ssh."""
    from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall
    from nowcast_cli.executors.ssh_command import advice

    host = target.host
    assert host is not None
    order = {
        "what": "probe",
        "root": host.state_directory,
        "config_file": host.config_file,
        "reach": [],
    }
    with TemporaryDirectory(prefix="nowcast-") as elsewhere:
        run = around.paths.run if around.paths.run.is_dir() else Path(elsewhere)
        try:
            answer = SshCall(run).exchange(host, order)
        except NoExchangeError as error:
            return Health(trouble=str(error), hint=advice(host, str(error)))
    words = f"{answer['node']}, Python {answer['python']}"
    for what, why in (
        (f"the folder {answer['root']}", answer["writable"]),
        (host.config_file, answer["config_file"]),
    ):
        if why is not None:
            return Health(words, f"{what} there cannot be used: {why}", "nowcast doctor says more")
    return Health(words)
