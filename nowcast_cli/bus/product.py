"""Registering files from a worker, or a program of one's own: ``product.register(...)``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.errors import NowcastError, UsageError

if TYPE_CHECKING:
    from nowcast_cli.config.config import Config

_Path = str | os.PathLike[str]
_SHOWN = 5


@dataclass(frozen=True)
class Registered:
    """What was registered, as the manager tells it.

    Each of ``instances`` has ``instance`` (its id), ``reference_time``, ``version``, ``files`` (how
    many it has), ``size`` in bytes and ``is_complete``; each of ``files`` has ``id``, ``url``,
    ``instance`` and ``new``, which is false for what was known already.
    """

    instances: tuple[Mapping[str, Any], ...]
    files: tuple[Mapping[str, Any], ...]


class FilesRefused(NowcastError):
    """Files are not whole; ``refused`` says why of each. The others are ``registered``."""

    def __init__(self, refused: list[NowcastError], registered: Registered) -> None:
        said = [error.what for error in refused[:_SHOWN]]
        if len(refused) > _SHOWN:
            said.append(f"and {len(refused) - _SHOWN:,} more")
        super().__init__("; ".join(said), hint=refused[0].hint)
        self.refused = tuple(refused)
        self.registered = registered


def register(
    files: _Path | Iterable[_Path],
    product: str,
    *,
    reference_time: datetime | str | None = None,
    member: str | int | None = None,
    move: bool = False,
    link: bool = False,
    config: Config | Path | str | None = None,
    key: str = "worker",
) -> Registered:
    """Take files into the index of products, each once it was read to its end.

    Parameters
    ----------
    files
        A file, a folder with all below it, a pattern; or several of them.
    product
        Its name in nowcast.yaml.
    reference_time
        Of all of them, in UTC where no zone is said. By default each file's own, else the one in
        its name.
    member
        Of which member of an ensemble they are; by default what the files say.
    move, link
        Put them in the folder that nowcast.yaml names for the product, by renames or by hard
        links; by default they stay where they are.
    config
        The configuration of the system, or its file. By default it is found as by ``nowcast``.
    key
        Name of the key to show to a broker with keys, where NOWCAST_KEY names no file.

    Raises FilesRefused where some are empty, cut off or being written still, NotFound for what
    names no file, and NowcastError with the manager's words, or when nobody answers.
    """
    from nowcast_cli.bus.kept import ask
    from nowcast_cli.bus.subscribing import loaded
    from nowcast_cli.messages.client import Client
    from nowcast_cli.products.taking import Placing, taken_in

    if move and link:
        raise UsageError("move and link say two things", hint="give one of them")
    found = loaded(config)
    several = [files] if isinstance(files, str | os.PathLike) else files
    given = [os.fspath(each) for each in several]
    with Client.of(found, key) as client:
        outcomes = taken_in(
            given,
            product,
            lambda request: ask(client, "register product", request),
            reference=_stored(reference_time),
            member=None if member is None else str(member),
            placing=Placing(found, product, link) if move or link else None,
        )
        taken: list[Mapping[str, Any]] = []
        for outcome in outcomes:
            taken += outcome.batch
    registered = Registered(tuple(outcome.instances.values()), tuple(taken))
    if outcome.refused:
        raise FilesRefused(outcome.refused, registered)
    return registered


def _stored(time: datetime | str | None) -> str | None:
    from nowcast_cli.products.times import NotATime, read_time, stored_time

    if time is None:
        return None
    try:
        return stored_time(time) if isinstance(time, datetime) else read_time(time)
    except NotATime as error:
        raise UsageError(f"the reference time {error}") from None
