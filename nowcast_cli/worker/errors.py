"""The error by which a worker says that it has failed."""

from __future__ import annotations

from nowcast_cli.errors import NowcastError


class WorkerError(NowcastError):
    """The worker cannot do its job; it ends with its failure message.

    Raised with a sentence, or with nothing when the worker has logged the reason.
    """

    def __init__(self, *what: object, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(" ".join(map(str, what)) or "the worker failed", cause=cause, hint=hint)
        self.args = what
