"""Trying an executor out: one job that does nothing, sent by the very way that all jobs go.

It runs a module of Python's own standard library, so it needs nothing of the system on the other
side but what every job needs: an interpreter, its folder, and a way back.
"""

from __future__ import annotations

import select
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from nowcast_cli.config.executors import LOCAL, SSH
from nowcast_cli.errors import NowcastError
from nowcast_cli.executors.job_folder import (
    Exit,
    JobRequest,
    folder_of,
    last_lines,
    read_claim,
    read_exit,
)
from nowcast_cli.executors.kinds import HEALTH
from nowcast_cli.executors.local import LocalExecutor, stop_launcher
from nowcast_cli.executors.remote_executor import Maker, RemoteExecutor, Surroundings, Target
from nowcast_cli.identifiers import new_id

DEADLINE = 30.0  # s
_WORKER = "trial"
_MODULE = "platform"  # prints what the machine is, and ends
_POLL = 1.0  # s between two looks at a batch system
_LOOK = 0.05
_PATIENCE = 5.0  # s of trouble, which may pass
_TO_END = 5.0  # s for a job that is no longer waited for


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the job, in ``words``; ``trouble`` is why it did not run, None where it did.

    ``waits`` says that it stood in a queue all the time, which is no fault.
    """

    words: str = ""
    trouble: str | None = None
    hint: str | None = None
    waits: bool = False


def try_out(
    target: Target, makers: Mapping[str, Maker], around: Surroundings, deadline: float = DEADLINE
) -> Tried:
    """Have the job run, and wait for its end for at most ``deadline`` seconds; never raises."""
    settings = target.settings
    if not around.paths.run.is_dir():
        return Tried("it is tried once the system has been started")
    if settings.kind != LOCAL and settings.kind not in makers:
        # By way of the manager alone: who would run them is asked, and not tried out.
        found = HEALTH[settings.kind](target, around, deadline)
        return Tried(found.words, found.trouble, found.hint)
    quick = replace(target, settings=replace(settings, poll=_POLL))
    try:
        with _request(target, around) as request:
            if settings.kind == LOCAL:
                return _try_here(request, around, deadline)
            with closing(makers[settings.kind](quick, around)) as executor:
                hint = _MAY_REFUSE if settings.is_batch_system else _HINT
                tried = _try_elsewhere(executor, request, deadline, hint)
            if settings.kind == SSH:
                _clear_there(target, around, request)
            return tried
    except NowcastError as error:
        cause = f" ({error.cause})" if error.cause else ""
        return Tried(trouble=error.what + cause, hint=error.hint)
    except OSError as error:
        return Tried(trouble=f"its folder cannot be made: {error}", hint="nowcast doctor")


@contextmanager
def _request(target: Target, around: Surroundings) -> Iterator[JobRequest]:
    """Give the request, with a folder of its own: not among those of jobs, which are kept."""
    paths, settings, job_id = around.paths, target.settings, new_id()
    with TemporaryDirectory(prefix=".trial-", dir=paths.jobs, ignore_cleanup_errors=True) as place:
        yield JobRequest(
            id=job_id,
            attempt=1,
            worker=_WORKER,
            module=_MODULE,
            arguments=(str(paths.config_file),),
            folder=str(folder_of(Path(place), job_id, _WORKER)),
            config_file=str(paths.config_file),
            working_directory=str(paths.deployment),
            environment={},
            executor=settings.name,
            resources=replace(settings.resources, cpus=1, gpus=None, walltime=60.0),
            directives=settings.directives,
        )


def _try_here(request: JobRequest, around: Surroundings, deadline: float) -> Tried:
    paths, folder, began = around.paths, Path(request.folder), monotonic()
    with closing(LocalExecutor(paths, around.python, paths.config_file)) as executor:
        was_there = executor.connect()
        try:
            while monotonic() < began + deadline:
                if (ended := read_exit(folder)) is not None:
                    return _ran(ended, folder, monotonic() - began, "")
                if read_claim(folder) is None:
                    executor.submit(request)
                select.select([executor.fileno()], [], [], _LOOK)
                executor.hints()
            why = executor.trouble() or f"its job has not ended within {deadline:.0f} s"
            return Tried(trouble=why, hint=f"see {paths.logs / 'launcher.out'}")
        finally:
            if not was_there:
                stop_launcher(paths)


def _try_elsewhere(
    executor: RemoteExecutor, request: JobRequest, deadline: float, if_not_taken: str
) -> Tried:
    folder, began = Path(request.folder), monotonic()
    executor.submit(request)
    if not _wait_for_end(executor, request, began + deadline):
        return _given_up(executor, request, deadline)
    native = executor.native(request.id)
    called = "" if native is None else f" (job {native.id} there)"
    verdict, ended = executor.verdict(request.id), read_exit(folder)
    if ended is not None:
        return _ran(ended, folder, monotonic() - began, called)
    assert verdict is not None
    hint = if_not_taken.format(name=request.executor) if native is None else _HINT
    return Tried(trouble=f"its job{called} did not run: {verdict.reason}", hint=hint)


def _wait_for_end(executor: RemoteExecutor, request: JobRequest, until: float) -> bool:
    folder, well_until = Path(request.folder), monotonic()
    while (left := until - monotonic()) > 0:
        select.select([executor.fileno()], [], [], min(left, _LOOK))
        executor.hints()
        if executor.trouble() is None:
            well_until = monotonic()
        elif monotonic() > well_until + _PATIENCE:
            return False
        if executor.asks(request.id):
            continue
        if read_exit(folder) is not None or executor.verdict(request.id) is not None:
            return True
    return False


def _given_up(executor: RemoteExecutor, request: JobRequest, deadline: float) -> Tried:
    """Say why the job has not ended in time, and see that it does not run later."""
    trouble, native = executor.trouble(), executor.native(request.id)
    executor.cancel(request)
    if trouble is not None:  # nobody can be told, and a job that does nothing does no harm
        return Tried(trouble=trouble, hint=_HINT)
    _wait_for_end(executor, request, monotonic() + _TO_END)
    if native is not None and read_claim(Path(request.folder)) is None:
        words = f"its job waited for all of {deadline:.0f} s: {native.words}"
        return Tried(words, hint="see whether its queue is full, or closed", waits=True)
    return Tried(trouble=f"its job has not ended within {deadline:.0f} s", hint=_HINT)


def _ran(ended: Exit, folder: Path, seconds: float, called: str) -> Tried:
    if ended.code == 0:
        where = " ".join(last_lines(folder / "stdout", 1))
        return Tried(f"a job ran{called} and ended after {seconds:.1f} s: {where}")
    how = f"signal {ended.signal}" if ended.code is None else f"code {ended.code}"
    said = ended.reason or " ".join(last_lines(folder / "stderr", 1)) or "it has said nothing"
    return Tried(trouble=f"its job{called} ended with {how}: {said}", hint=_HINT)


def _clear_there(target: Target, around: Surroundings, request: JobRequest) -> None:
    """Remove the folder on the host; one that cannot be holds a few bytes."""
    from nowcast_cli.executors.ssh_call import NoExchangeError, SshCall

    assert target.host is not None
    name = "/".join(("jobs", *Path(request.folder).parts[-2:]))
    order = {"what": "clean", "root": target.host.state_directory, "remove": [name]}
    with suppress(NoExchangeError):
        SshCall(around.paths.run).exchange(target.host, order)


_MAY_REFUSE = "see what is asked for there: executors: {name}: resources and directives"
_HINT = (
    "see what it says of other jobs: nowcast executor list; its interpreter, and the state "
    "directory, must be there where its jobs run"
)
