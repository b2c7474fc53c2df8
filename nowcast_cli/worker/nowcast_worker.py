"""A worker: it reads its command line, does its work, and tells the manager how it went."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.log_bus import TO_AGGREGATOR
from nowcast_cli.config.logging_section import configure_logging
from nowcast_cli.errors import NowcastError
from nowcast_cli.messages.message import Message
from nowcast_cli.worker.command_line import CommandLineInterface
from nowcast_cli.worker.errors import WorkerError
from nowcast_cli.worker.reporting import Reporter, connected_teller
from nowcast_cli.worker.work import EXIT_SUCCESS, Work


@dataclass(eq=False)
class NowcastWorker:
    """A worker of a nowcast system; see :meth:`init_cli` and :meth:`run`.

    Parameters
    ----------
    name
        Its name in the message registry and in the logs.
    description
        What it does, for its help; by custom the docstring of its module.
    package
        Dotted name of the package that it is in, for its help.
    """

    name: str
    description: str | None = None
    package: str = "nowcast.workers"
    config: Config = field(default_factory=Config)
    logger: logging.Logger | None = None
    # init_cli() makes it, which each worker calls before anything else
    cli: CommandLineInterface = None  # type: ignore[assignment]
    _reporter: Reporter | None = field(default=None, init=False)

    def init_cli(self) -> None:
        """Make the command line: ``-h``, the configuration file, ``--debug``.

        Add the worker's own by ``worker.cli.add_argument`` and ``worker.cli.add_date_option``.
        """
        # Tests of deployments call this on stand-ins that have name, description and package.
        self.cli = CommandLineInterface(
            self.name, package=self.package, description=self.description
        )
        self.cli.build_parser()
        self.cli.add_argument(
            "--debug",
            action="store_true",
            help="log to the console only, and do not talk to the manager: messages that would "
            "have been sent are logged instead",
        )

    def run(
        self,
        worker_func: Callable[..., Any],
        success: Callable[[argparse.Namespace], str],
        failure: Callable[[argparse.Namespace], str],
    ) -> None:
        """Do the work and tell the manager how it went.

        Parameters
        ----------
        worker_func
            Called with the parsed arguments, the configuration and :meth:`tell_manager`;
            returns what is to stand in the checklist.
        success, failure
            Called with the parsed arguments; log, and return the type of the final message.

        Returns normally after success. Otherwise raises SystemExit: 1 when ``worker_func``
        raised WorkerError, 70 when it crashed or was terminated, 75 when the manager could not
        be told and the message is in the outbox, 130 when it was interrupted, 2 when the
        command line or the configuration is wrong.
        """
        arguments = self.cli.parser.parse_args()
        try:
            self._reporter = reporter = self._prepare(arguments)
        except NowcastError as error:
            _print(error)
            raise SystemExit(error.exit_code) from None
        work = Work(worker_func, success, failure, arguments, reporter, reporter.logger)
        code = work.do(self.config, self.tell_manager)
        reporter.logger.debug("shutting down")
        if reporter.teller is not None:
            reporter.teller.client.close()
        if code != EXIT_SUCCESS:
            raise SystemExit(code)

    def tell_manager(self, msg_type: str, payload: Any = None) -> Message:
        """Send a message in the course of the work and return the reply.

        ``tell_manager("need", key).payload`` is the checklist's value at ``key``. With
        ``--debug``, and when a message is kept in the outbox for a manager that is away, the
        reply is an ``ack`` without payload.

        Raises WorkerError when the worker or the type is not in the message registry, when the
        manager refuses, and when a ``need`` is not answered within the deadline.
        """
        if self._reporter is None:
            raise WorkerError("tell_manager() talks to the manager from inside run() only")
        return self._reporter.tell(msg_type, payload)

    def _prepare(self, arguments: argparse.Namespace) -> Reporter:
        """Read the configuration, set up logging, and find the way to the manager."""
        self.config.load(arguments.config_file)
        sentence = configure_logging(self.config, self.name, debug=arguments.debug)
        if sentence == TO_AGGREGATOR:
            from nowcast_cli.messages.log_sending import send_records

            send_records(self.config)
        self.logger = logger = logging.getLogger(self.name)
        logger.info("running in process %s", os.getpid())
        logger.info("read config from %s", self.config.file)
        if arguments.debug:
            logger.debug("**debug mode** no connection to manager")
            return Reporter(self.name, self.config, logger, None)
        logger.info(sentence)
        return Reporter(self.name, self.config, logger, connected_teller(self.config, logger))


def _print(error: NowcastError) -> None:
    """Say on the terminal what has kept the worker from logging."""
    said = {"error": error.what, "caused by": error.cause, "hint": error.hint}
    for label, text in said.items():
        if text:
            print(f"{label}: {text}", file=sys.stderr)
