"""A user's long-running program that carries out actions: ``from nowcast_cli import Service``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from nowcast_cli.actions.context import ActionContext
from nowcast_cli.actions.service_functions import ServiceFunctions
from nowcast_cli.config.limits import limits
from nowcast_cli.config.services import wrong_name
from nowcast_cli.errors import UsageError
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.service_management import CONTEXT

if TYPE_CHECKING:
    from nowcast_cli.actions.service_talk import ServiceTalk
    from nowcast_cli.config.config import Config

Function = TypeVar("Function", bound=Callable[..., Any])

NAME_VARIABLE = "NOWCAST_SERVICE"


class Service:
    """A program that owns actions, and carries them out for as long as it runs.

    ::

        service = Service("ingest")

        @service.action("?Ingest?latest")
        def latest(region: str, context) -> dict:
            return {"files": ...}

        service.run()

    Parameters
    ----------
    name
        As in ``services:`` of the configuration. By default that by which nowcast has started it.
    takes
        How many actions it carries out at once, each in a thread. One: in the thread of ``run``.
    config
        The configuration of the system, or its file. By default it is found as by ``nowcast``.

    Raises NotFound and ConfigError where no system is found, UsageError where it has no name.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        takes: int = 1,
        config: Config | Path | str | None = None,
    ) -> None:
        from nowcast_cli.bus.subscribing import loaded

        self.name = name or os.environ.get(NAME_VARIABLE, "")
        if not self.name:
            raise UsageError("a service has a name", hint='Service("ingest")')
        if (wrong := wrong_name(self.name)) is not None:
            raise UsageError(f"{self.name!r} {wrong}", hint='Service("ingest")')
        if takes < 1:
            raise UsageError(f"a service takes at least one action at once, not {takes}")
        self.config = loaded(config)
        self._takes = takes
        management: dict[ActionKey, Callable[..., Any]] = {
            ActionKey.parse(f"?{CONTEXT}?get_service_topics"): self._give_topics,
            ActionKey.parse(f"?{CONTEXT}?get_service_topics_response"): self._send_topics,
        }
        self._functions = ServiceFunctions(self.name, limits(self.config), management)
        self._talk: ServiceTalk | None = None

    # --- what it does

    def action(self, key: str) -> Callable[[Function], Function]:
        """Let the function below carry out an action: it is called with the values, by name.

        With a parameter ``context`` it gets the call's context, too. What it returns, of what JSON
        can hold, is the result; an exception is its failure. An empty field of the key stands for
        anything, as in ``actions.ini``. Raises UsageError for what cannot be a key.
        """
        if self._talk is not None:
            raise UsageError(f"{key} comes after the service has said that it is ready")

        def remember(function: Function) -> Function:
            self._functions.add(key, function)
            return function

        return remember

    def topics(self) -> tuple[str, ...]:
        """Give the topics that it listens to: of the steps of all flows in which its keys occur."""
        from nowcast_cli.config.services import services_of
        from nowcast_cli.flows.loading import declared
        from nowcast_cli.flows.service_topics import topics_of

        found = declared(self.config)
        owners = found.owners.with_served(self.name, self._functions.keys)
        settings = services_of(self.config).get(self.name)
        wanted = () if settings is None else settings.topics
        return topics_of(self.name, found.flows.values(), owners, wanted)

    # --- running

    def ready(self) -> None:
        """Say hello: from now on it may be given orders, which wait for ``run``."""
        from nowcast_cli.actions.service_talk import ServiceTalk
        from nowcast_cli.config.paths import system_paths

        if self._talk is None:
            self._log_where_possible()
            serves = tuple(str(key) for key in self._functions.keys)
            run = system_paths(self.config).run
            self._talk = ServiceTalk(run, self.name, self._takes, serves)
            self._functions.talk = self._talk

    def _log_where_possible(self) -> None:
        """Log as ``logging`` of the configuration says, unless the program has seen to it."""
        from nowcast_cli.config.logging_section import configure_logging
        from nowcast_cli.errors import NowcastError

        if logging.getLogger().handlers:
            return
        try:
            configure_logging(self.config, self.name)
        except NowcastError as error:
            logging.basicConfig(level=logging.INFO)
            logging.getLogger(self.name).warning("it logs to here: %s: %s", error.what, error.cause)

    def run(self) -> None:
        """Carry out orders until SIGTERM or SIGINT; what is in hand then is ended before.

        Says that it is ready, where that was not said. In the main thread; a second signal ends
        it at once.
        """
        self.ready()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_end)
        self._begin_threads(self._takes - 1)
        assert self._talk is not None
        self._talk.carry_out(self._functions.perform)
        self._talk.wait()

    def stop(self) -> None:
        """Take no more orders; what is in hand is ended, then ``run`` returns."""
        if self._talk is not None:
            self._talk.stop()

    def __enter__(self) -> Self:
        """Carry out orders in threads, beside the program's own work."""
        self.ready()
        self._begin_threads(self._takes)
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._talk is not None:
            self._talk.wait()

    def _begin_threads(self, number: int) -> None:
        assert self._talk is not None
        for each in range(number):
            thread = threading.Thread(
                target=self._talk.carry_out,
                args=(self._functions.perform,),
                name=f"{self.name}-{each}",
                daemon=True,
            )
            thread.start()

    def _told_to_end(self, number: int, frame: object) -> None:  # noqa: ARG002
        signal.signal(number, signal.SIG_DFL)
        self.stop()

    # --- asking others

    def request(
        self, key: str, values: Mapping[str, Any] | None = None, *, timeout: float = 60.0
    ) -> Any:
        """Have an action done, of this system or of another service, and give what it gives.

        As :func:`nowcast_cli.request`, which says what it raises.
        """
        from nowcast_cli.bus.requesting import request

        return request(key, values, timeout=timeout, config=self.config)

    def complete(self, token: str, result: Any = None, *, failed: str | None = None) -> None:
        """End a step decorated with ``@ASYNC``, by the token that its context had.

        With ``failed``, a sentence, it has failed. The first word counts; the same one again does
        no harm. Raises NowcastError with the manager's words where it is refused.
        """
        from nowcast_cli.bus.kept import ask
        from nowcast_cli.messages.client import Client

        state = {"state": "done"} if failed is None else {"state": "failed", "reason": failed}
        with Client.of(self.config, "operator") as client:
            ask(client, "complete step", {"token": token, "result": result, **state})

    # --- service management

    def _give_topics(self) -> dict[str, Any]:
        return {"service": self.name, "topics": list(self.topics())}

    def _send_topics(self, context: ActionContext) -> None:
        assert context.token is not None
        self.complete(context.token, self._give_topics())
