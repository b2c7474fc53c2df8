"""``nowcast agent run``: be an agent on this host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast_cli.cli.context import Invocation, invocation_of
from nowcast_cli.errors import UsageError

if TYPE_CHECKING:
    from nowcast_cli.messages.agent_messages import Limits


def run(
    ctx: typer.Context,
    master: Annotated[
        str | None,
        typer.Option(
            "--master",
            metavar="HOST:PORT",
            help="Where the message broker listens; else as the configuration says.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="What it is called; else as its key, or this host."
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Its key; else the file of NOWCAST_KEY."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="What workers may require. May be repeated."),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option("--cpus", metavar="N", min=1, help="So many CPUs are for jobs; else all."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", metavar="SIZE", help="So much memory is for jobs: 64 GB."),
    ] = None,
    max_load: Annotated[
        float | None,
        typer.Option("--max-load", metavar="LOAD", help="From this load on no more jobs begin."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option("--slots", metavar="N", min=1, help="So many jobs at once."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state-directory",
            metavar="DIR",
            help="Where its jobs have their folders, on a disk of this host.",
        ),
    ] = None,
) -> int:
    """Pull jobs from a system, and run them on this host, until Ctrl-C.

    \b
    Examples:
      nowcast agent run --master tide:5554 --key ~/ocean1.key
      nowcast agent run --key ~/ocean1.key --tag fast-disk --slots 4
      nowcast -C ~/my-nowcast agent run --cpus 8 --memory "64 GB"

    Without --master, and for jobs that are workers, it reads the
    configuration of the deployment on this host: --config or -C, NOWCAST_YAML,
    or nowcast.yaml here or above. Jobs outlive the agent; the next one takes
    them over. No port is opened.
    """
    import signal

    from nowcast_cli.agent.agent import run_agent
    from nowcast_cli.agent.settings import Given, agent_settings
    from nowcast_cli.daemon.signals import Signals

    config, config_file = _configuration(invocation_of(ctx), master)
    given = Given(
        master=master,
        name=name,
        key=key,
        state=state,
        tags=tuple(tags or ()),
        limits=_limits(cpus, memory, max_load, slots),
    )
    settings = agent_settings(given, config, config_file)
    _log_to_stderr()
    with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        return run_agent(settings, signals)


def _configuration(
    invocation: Invocation, master: str | None
) -> tuple[Mapping[str, Any] | None, Path | None]:
    """Read the configuration of this host, where there is one or there has to be."""
    from nowcast_cli.config import Config
    from nowcast_cli.errors import NotFound

    try:
        file = invocation.config_file
    except NotFound as error:
        if invocation.config is not None or invocation.directory is not None:
            raise
        if master is None:
            raise NotFound(
                "an agent has to know where its system is",
                cause=f"there is no --master, and {error.what.partition(',')[0]}",
                hint="nowcast agent run --master HOST:PORT --key FILE; or, where there is a "
                "deployment on this host, nowcast -C DIR agent run --key FILE",
            ) from None
        return None, None
    config = Config()
    config.load(file)
    return config, config.file


def _limits(
    cpus: int | None, memory: str | None, max_load: float | None, slots: int | None
) -> Limits:
    from nowcast_cli.config.sizes import NotASize, bytes_of
    from nowcast_cli.messages.agent_messages import Limits

    try:
        size = None if memory is None else bytes_of(memory)
    except NotASize as error:
        raise UsageError(f"--memory {error}") from None
    if max_load is not None and not max_load > 0:
        raise UsageError(f"--max-load must be a number above 0, not {max_load:g}")
    return Limits(cpus=cpus, memory=size, max_load=max_load, slots=slots)


def _log_to_stderr() -> None:
    """Log for people, and for the journal of who has started this."""
    import logging
    import time

    handler = logging.StreamHandler()
    layout = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    layout.converter = time.gmtime
    handler.setFormatter(layout)
    logger = logging.getLogger("agent")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
