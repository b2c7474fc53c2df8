"""``nowcast run-worker``."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import command_app
from nowcast_cli.cli.output import Output
from nowcast_cli.config.settings import THIS_MACHINE
from nowcast_cli.errors import ConfigError, NotRunning, NowcastError, UsageError

if TYPE_CHECKING:
    from nowcast_cli.cli.watching import Watch
    from nowcast_cli.store.records import JobRecord

_INTERRUPTED = 130
_SLOW_BEGIN = 5.0  # seconds; a job usually begins within hundredths of one

app = command_app()


class _Command(TyperCommand):
    """Says where the options of the worker go, to who gives them as options of this command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = ["nowcast", "run-worker", *args]
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            unknown = getattr(error, "option_name", None)
            if unknown not in words[3:]:
                raise
            place = words.index(unknown)
            rest = [word for word in words[place:] if word != "--"]
            words[place:] = ["--", *rest]
            raise UsageError(
                f"run-worker has no option {unknown}; options of the worker go after --",
                hint=shlex.join(words),
            ) from error


@app.command(cls=_Command)
def run_worker(
    ctx: typer.Context,
    worker: Annotated[
        str,
        typer.Argument(
            metavar="WORKER",
            help="Its name, or the dotted name of its module.",
            autocompletion=complete.workers,
        ),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENTS]...", help="Arguments of the worker."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for all that follows from it, too.")
    ] = False,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Run it there: an executor, or one of `run: enabled hosts`.",
            autocompletion=complete.executors,
        ),
    ] = "localhost",
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Run it here and now, without daemons: its messages are shown, and not sent.",
        ),
    ] = False,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="Run it for each date from this one on,"),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="to this one, a chain for each.")
    ] = None,
    date_option: Annotated[
        str,
        typer.Option(
            "--date-option", metavar="OPTION", help="The option that tells the worker its date."
        ),
    ] = "--run-date",
    parallel: Annotated[
        int, typer.Option("--parallel", metavar="N", min=1, help="So many dates at once.")
    ] = 1,
    members: Annotated[
        str | None,
        typer.Option(
            "--members", metavar="MEMBERS", help="Run it for each, as an ensemble: 1..21, or a,b,c."
        ),
    ] = None,
    at_most: Annotated[
        int | None,
        typer.Option("--at-most", metavar="N", min=1, help="So many members at once."),
    ] = None,
    ends_when: Annotated[
        str | None,
        typer.Option(
            "--ends-when",
            metavar="WHEN",
            help="all members have ended, any has succeeded, or so many have.",
        ),
    ] = None,
) -> int:
    """Run a worker and show what follows from it.

    \b
    Examples:
      nowcast run-worker sleep
      nowcast run-worker sleep -- --sleep-time 2
      nowcast run-worker --follow sleep
      nowcast run-worker --debug sleep
      nowcast run-worker --host cluster run_model -- forecast
      nowcast run-worker make_forcing --from 2026-11-01 --to 2026-11-20
      nowcast run-worker make_plots -- --run-date 2026-11-20
      nowcast run-worker run_model --members 1..21 -- --member {member}

    Shows the log lines of the worker as they come, and returns when its
    entry stands in the checklist file, with the worker's exit code.
    Ctrl-C cancels the worker.

    With --from and --to there is a chain for each date, in order, up to one
    that fails; with --parallel several at once. After Ctrl-C or a reboot the
    same command goes on with the dates that are not done.

    With --members there is a job for each, whose name stands for {member} in
    the arguments; they end as one. Ctrl-C cancels what is left of them.
    """
    from nowcast_cli.cli.run_command import check, run_here, show_options, step_of
    from nowcast_cli.cli.run_ensemble import check_worker, wish

    system, out = system_of(ctx), output_of(ctx)
    given = arguments or []
    ensemble = wish(members, at_most, ends_when)
    if ensemble and (debug or first is not None):
        raise UsageError(
            "--members, --at-most and --ends-when go without --debug and --from",
            hint=f"nowcast run-worker {worker} --members 1..21 --at-most 5",
        )
    check_worker(system, worker, ensemble)
    module = _module_on(system, host, worker)
    if first is not None or last is not None:
        if first is None or last is None or follow or debug:
            raise UsageError(
                "--from and --to stand together, without --follow and --debug",
                hint=f"nowcast run-worker {worker} --from 2026-11-01 --to 2026-11-20",
            )
        from nowcast_cli.cli.backfill import Request, read_dates, run_backfill

        dates = read_dates(first, last)
        each = Request(worker, module, tuple(given), date_option, *dates, parallel, host)
        return run_backfill(system, out, each)
    if debug and host not in THIS_MACHINE:
        raise UsageError(
            "--debug runs a worker here, so it goes without --host",
            hint=f"ssh {host}, and there python -m {module} CONFIG --debug",
        )
    if (step := step_of(system, worker)) is not None:
        if not {"-h", "--help"}.isdisjoint(given):
            show_options(out, step, worker)
            return 0
        check(step, worker, given)
        if debug:
            return run_here(system, out, step, worker, given)
    if debug or not {"-h", "--help"}.isdisjoint(given):  # its help is no job
        return _run_here(system, module, given)
    if "--debug" in given:
        raise UsageError(
            "with --debug a worker sends no messages, so it cannot run as a job",
            hint=f"nowcast run-worker --debug {worker}",
        )
    request = {"module": module, "arguments": list(given), "host": host, **ensemble}
    return _run_as_job(system, out, worker, request, follow=follow, is_command=step is not None)


def _module_on(system: System, host: str, worker: str) -> str:
    """Find the module of a worker. Raises UsageError for a host that is no executor either.

    What another host has for a dotted name can be seen there alone.
    """
    from nowcast_cli.config.executors import SSH, executors_of
    from nowcast_cli.config.hints import did_you_mean
    from nowcast_cli.config.workers import find_worker_module

    if host not in THIS_MACHINE:
        executors, _ = executors_of(system.config)
        settings, names = executors.named(host), executors.names()
        if settings is None:
            raise UsageError(
                f"{host!r} is no executor, and not among `run: enabled hosts`"
                + did_you_mean(host, names),
                hint=f"there are: {', '.join(names)}",
            )
        if "." in worker and settings.kind == SSH:
            return worker
    return find_worker_module(system.config, worker)


def _run_here(system: System, module: str, arguments: Sequence[str]) -> int:
    """Run the module in the foreground; Ctrl-C reaches it too, and it is waited for."""
    config_file = system.paths.config_file
    command = [str(system.config["python"]), "-m", module, str(config_file), "--debug", *arguments]
    environment = {**os.environ, "NOWCAST_YAML": str(config_file)}
    try:
        process = subprocess.Popen(command, cwd=system.paths.deployment, env=environment)
    except OSError as error:
        raise ConfigError(
            f"{config_file}: python: {command[0]} cannot be run: {error.strerror}",
            hint="nowcast validate",
        ) from error
    interrupted = False
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupted = True
            continue
        if interrupted:
            return _INTERRUPTED
        return code if code >= 0 else 128 - code


def _run_as_job(
    system: System,
    out: Output,
    worker: str,
    request: Mapping[str, Any],
    *,
    follow: bool,
    is_command: bool,
) -> int:
    from nowcast_cli.cli.asking import ask_manager, not_reloaded, runs
    from nowcast_cli.cli.watching import Watch, exit_code_of, folder_of_job, read_store
    from nowcast_cli.daemon.health import ask_health
    from nowcast_cli.executors.job_folder import read_exit

    if not runs(system):
        raise NotRunning(
            f"the system {system.paths.deployment} does not run",
            hint=f"nowcast start; or, for this worker alone, nowcast run-worker --debug {worker}",
        )
    if (
        sentence := not_reloaded(system, ask_health(system.paths.run / "manager.sock"))
    ) is not None:
        out.note(sentence)
    watch = Watch(system, out)
    job_id = ""
    try:
        reply = ask_manager(system, "launch", request)
        job_id = str(reply["job"])
        if "ensemble" in reply:
            from nowcast_cli.cli.run_ensemble import watch_ensemble

            return watch_ensemble(system, out, watch, job_id, follow=follow)
        attempt: JobRecord | None = read_store(system, lambda reader: reader.job(job_id))
        while attempt is not None:
            job_id = attempt.id
            job = _watch_attempt(system, out, watch, attempt)
            attempt = _next_attempt(system, out, job)
    except KeyboardInterrupt:
        if not job_id:
            out.note("\nit may be launched all the same: nowcast job list")
            return _INTERRUPTED
        return _cancel(system, out, watch, job_id)
    watch.finish()
    _tell_what_followed(system, out, watch, job)
    if follow:
        try:
            from nowcast_cli.cli.following import follow_chain

            follow_chain(system, out, watch, job)
        except KeyboardInterrupt:
            out.note("\nno longer followed; what was launched goes on: nowcast job list")
            return _INTERRUPTED
    if is_command and job.state == "succeeded":  # by whichever of its `success codes`
        return 0
    return exit_code_of(job, read_exit(folder_of_job(system, job)))


def _watch_attempt(system: System, out: Output, watch: Watch, job: JobRecord) -> JobRecord:
    from nowcast_cli.cli.watching import begun, ended

    watch.begin(job)
    if watch.within(_SLOW_BEGIN, lambda: begun(system, job.id)) is None:
        out.note(f"job {job.id[-8:]} has not begun yet{_why_not(system, job.id)}")
    return watch.until(lambda: ended(system, job.id))


def _next_attempt(system: System, out: Output, job: JobRecord) -> JobRecord | None:
    """Give the job that tries again, and say that it does; None where nothing does."""
    from nowcast_cli.cli import following as after
    from nowcast_cli.cli.chain import attempt_after
    from nowcast_cli.cli.watching import read_store

    following = read_store(system, lambda reader: attempt_after(reader, job))
    if following is not None:
        out.note(f"{after.how_it_ended(job)}; it is tried again (job {following.id[-8:]})")
        for note in after.why_it_ended(job):
            out.note(note)
    return following


def _why_not(system: System, job_id: str) -> str:
    from nowcast_cli.cli.waiting import Waiting
    from nowcast_cli.cli.watching import read_store

    why = read_store(system, lambda reader: Waiting(reader, system.config).why(reader.job(job_id)))
    return f": {why}" if why else "; `nowcast status` may say why"


def _cancel(system: System, out: Output, watch: Watch, job_id: str) -> int:
    from nowcast_cli.cli.asking import ask_manager
    from nowcast_cli.cli.following import how_it_ended
    from nowcast_cli.cli.watching import ended

    out.note(f"\ncancelling job {job_id[-8:]}")
    try:
        ask_manager(system, "cancel", {"job": job_id})
    except NotRunning:
        raise
    except NowcastError as refusal:  # it has ended in this very moment
        out.note(refusal.what)
    job = watch.until(lambda: ended(system, job_id))
    watch.finish()
    out.note(how_it_ended(job))
    return _INTERRUPTED


def _tell_what_followed(system: System, out: Output, watch: Watch, job: JobRecord) -> None:
    """Wait for the decision and for the checklist file, then say what followed."""
    from nowcast_cli.cli import following as after

    decision = watch.until(lambda: after.decision_on(system, job))
    after.wait_for_checklist(system, out, watch, [decision.message])
    sentence, *notes = after.what_follows(decision)
    out.note(f"{after.how_it_ended(job)}; {sentence}")
    for note in (*after.why_it_ended(job), *notes):
        out.note(note)
