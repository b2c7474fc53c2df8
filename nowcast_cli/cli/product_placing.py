"""``nowcast product register --move`` and ``--link``: files go to the folder of their product."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nowcast_cli.cli.asking import runs
from nowcast_cli.config.product_folders import filled_folder
from nowcast_cli.config.products import products_of
from nowcast_cli.errors import NotRunning, NowcastError, UsageError
from nowcast_cli.identifiers import new_id
from nowcast_cli.products.placing import placed
from nowcast_cli.products.removing import path_of
from nowcast_cli.products.scanning import NotWhole
from nowcast_cli.products.times import time_of

if TYPE_CHECKING:
    from nowcast_cli.cli.context import System
    from nowcast_cli.products.request import FoundFile

Ask = Callable[["System", dict[str, Any]], dict[str, Any]]


class Placing:
    """Files of one product, on the way to their folders.

    Parameters
    ----------
    link
        They stay where they are, too.
    ask
        Registers what is in its place.

    Raises UsageError where the product has no folder, NotRunning where nobody would register it.
    """

    def __init__(self, system: System, product: str, link: bool, ask: Ask) -> None:
        settings = products_of(system.config).get(product)
        if settings is None or settings.folder is None:
            raise UsageError(
                f"nowcast.yaml does not say where files of {product} belong",
                hint=f"products: {product}: folder: /results/{product}/{{reference:%Y%m%d%H}}",
            )
        if not runs(system):
            raise NotRunning(
                f"the system {system.paths.deployment} does not run", hint="nowcast start"
            )
        self._folder = settings.folder
        self._system, self._product, self._link, self._ask = system, product, link, ask
        self._sources: dict[str, Path] = {}

    def to_their_places(
        self, found: Iterable[FoundFile], refused: list[NowcastError]
    ) -> Iterator[FoundFile]:
        """Give files as they are to be registered: in their places."""
        for file in found:
            source, goal = path_of(file.url), self._goal(file)
            assert source is not None, "it was scanned here"
            url = goal.as_uri()
            if url in self._sources:
                words = f"{source} is left where it is: {self._sources[url]} goes to {goal}, too"
                refused.append(NotWhole(words))
                continue
            self._sources[url] = source
            yield replace(file, url=url)

    def send(self, system: System, request: dict[str, Any]) -> dict[str, Any]:
        """Put the files of a request in their places, and register them."""
        goals = {str(file["url"]): path_of(str(file["url"])) for file in request["files"]}
        moves = [(self._sources.pop(url), goal) for url, goal in goals.items() if goal is not None]
        moves = [(source, goal) for source, goal in moves if source != goal]
        request_id = new_id()
        with placed(system.paths.state, request_id, request, moves, self._link) as whole:
            try:
                return self._ask(system, whole)
            except NowcastError as error:
                raise NowcastError(
                    f"{len(moves):,} files are in their places, and not registered as yet",
                    cause=error.what,
                    hint=error.hint or "the manager registers them once it can: nowcast status",
                ) from error

    def _goal(self, file: FoundFile) -> Path:
        template = str(Path(self._folder).expanduser())
        folder = filled_folder(template, self._product, time_of(file.reference), file.member)
        return Path(os.path.abspath(self._system.paths.deployment / folder / file.name))  # noqa: PTH100
