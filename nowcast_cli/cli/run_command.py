"""Workers that are commands, for ``nowcast run-worker``: their options, and running one by hand."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nowcast_cli.cli.context import System
from nowcast_cli.cli.output import Output
from nowcast_cli.config.command_step import CommandStep
from nowcast_cli.config.step_filling import RUN_DATE, StepError, day_of, filled, given, options_of
from nowcast_cli.errors import UsageError

_INTERRUPTED = 130


def step_of(system: System, worker: str) -> CommandStep | None:
    """Give the command that a worker is; None where it is a module."""
    from nowcast_cli.config.registry import registry_of

    entry = registry_of(system.config).workers.get(worker)
    return None if entry is None else entry.step


def check(step: CommandStep, worker: str, arguments: Sequence[str]) -> None:
    """Refuse arguments that the command does not take. Raises UsageError."""
    try:
        read = given(step, worker, arguments)
    except StepError as error:
        raise UsageError(error.what, hint=error.hint) from None
    missing = [name for name, text in step.parameters.items() if text is None and name not in read]
    if missing:
        options = " ".join(f"--{name.replace('_', '-')} VALUE" for name in missing)
        raise UsageError(
            f"{worker} cannot run without {options}",
            hint=f"nowcast run-worker {worker} -- {options}",
        )


def show_options(out: Output, step: CommandStep, worker: str) -> None:
    """Say what the command is, and which options it takes."""
    out.line(f"usage: nowcast run-worker {worker} -- [OPTIONS]\n")
    out.line(f"{worker} is the command: {' '.join(step.words)}\n")
    options = {f"--{name.replace('_', '-')} VALUE": name for name in options_of(step)}
    width = max(map(len, options))
    for option, name in options.items():
        default = options_of(step)[name]
        words = "required" if default is None else f"default: {default}"
        if name == RUN_DATE and name not in step.parameters:
            words = "default: the day of the job"
        out.line(f"  {option:<{width}}  {words}")


def run_here(
    system: System, out: Output, step: CommandStep, worker: str, arguments: Sequence[str]
) -> int:
    """Run the command in the foreground; say what it would send and publish. The exit code."""
    folder = tempfile.mkdtemp(prefix=f"nowcast-{worker}-")
    os.mkdir(f"{folder}/scratch")  # noqa: PTH102
    job = _job_by_hand(system, step, worker, arguments, folder)
    code = _run(job)
    if code == _INTERRUPTED:
        return code
    would_succeed = _tell(out, job, step, code)
    return 0 if would_succeed else code or 1


def _job_by_hand(
    system: System, step: CommandStep, worker: str, arguments: Sequence[str], folder: str
) -> dict[str, Any]:
    from nowcast_cli.config.zones import local_zone

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    facts = {"job_id": "by-hand", "attempt": "1", RUN_DATE: day_of(now, local_zone())}
    try:
        command = filled(step, arguments, facts, worker)
    except StepError as error:
        raise UsageError(error.what, hint=error.hint) from None
    return {
        "id": "by-hand",
        "attempt": 1,
        "worker": worker,
        "folder": folder,
        "config_file": str(system.paths.config_file),
        "environment": {},
        "command": command,
    }


def _run(job: Mapping[str, Any]) -> int:
    """Run it in a process of the terminal's own group, which Ctrl-C reaches too."""
    from nowcast_cli.executors.command_child import (
        become_command,
        tools_beside_the_interpreter,
        with_tools,
    )
    from nowcast_cli.runner import environment_of

    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        environment = {**os.environ, **environment_of(job)}
        become_command(job, theirs, with_tools(environment, tools_beside_the_interpreter()))
    ours.close()
    theirs.close()
    interrupted = False
    while True:
        try:
            _, status = os.waitpid(child, 0)
        except KeyboardInterrupt:
            interrupted = True
            continue
        if interrupted:
            return _INTERRUPTED
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def _tell(out: Output, job: Mapping[str, Any], step: CommandStep, code: int) -> bool:
    """Say how it would end as a job, and what it would publish; gives whether that succeeds."""
    from nowcast_cli.command_end import outcome_of, outputs_of, told_in

    try:
        told, outputs = told_in(job["folder"]), outputs_of(job)
    except (OSError, ValueError) as error:
        out.note(f"exit code {code}; what it has told or published cannot be read: {error}")
        return False
    kind = "success" if code in step.success_codes else "failure"
    if told is not None and kind == "success":
        kind = told["type"]
    words = f", with {told['payload']!r}" if told is not None and told["payload"] else ""
    out.note(f"exit code {code}; as a job it would end with the message {kind}{words}")
    would_succeed = outcome_of(kind) == "success"
    for output in outputs if would_succeed else ():
        if os.path.lexists(output.source):
            out.note(f"as a job it would publish {output.source} to {output.destination}")
        else:
            out.note(f"as a job it would fail: there is no {output.source}")
            would_succeed = False
    out.note(f"what it has written is in {job['folder']}/scratch")
    return would_succeed
