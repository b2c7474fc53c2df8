"""Files are scanned, put in their places where that is wanted, and registered, in batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from nowcast_cli.config.config import Config
from nowcast_cli.config.paths import system_paths
from nowcast_cli.config.product_folders import filled_folder
from nowcast_cli.config.products import products_of
from nowcast_cli.errors import NowcastError, UsageError
from nowcast_cli.identifiers import new_id
from nowcast_cli.products.gathering import files_of, found_file
from nowcast_cli.products.placing import placed
from nowcast_cli.products.removing import path_of
from nowcast_cli.products.request import FoundFile
from nowcast_cli.products.scanning import NotWhole, scan
from nowcast_cli.products.times import time_of

BATCH = 500  # files in one request, and one commit
Ask = Callable[[Mapping[str, Any]], dict[str, Any]]


@dataclass
class Outcome:
    """What has become of files until now; instances by their id, as they are last.

    ``instances`` and ``batch``, the files that were taken in last, are as the manager tells them.
    ``taken`` counts files, ``new`` those that were not known; ``refused`` says why of others.
    """

    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    batch: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0
    new: int = 0
    refused: list[NowcastError] = field(default_factory=list)


def taken_in(
    given: Iterable[str],
    product: str,
    ask: Ask,
    *,
    reference: str | None = None,
    member: str | None = None,
    placing: Placing | None = None,
) -> Iterator[Outcome]:
    """Register files; gives what has become of them after each batch, and in the end.

    It is the same object each time: of a hundred thousand files not all are kept.

    Parameters
    ----------
    given
        Files, folders and patterns.
    ask
        Carries out the request ``register product``.
    reference
        Their reference time as the index has it; by default each file's own.
    placing
        Puts them in their places first.

    Raises NotFound for what names no file, and what ``ask`` raises.
    """
    outcome = Outcome()
    found = _scanned(given, reference, member, outcome.refused)
    if placing is not None:
        found = placing.to_their_places(found, outcome.refused)
    while batch := list(islice(found, BATCH)):
        request = {
            "product": product,
            "files": [each.as_plain() for each in batch],
            "job": os.environ.get("NOWCAST_JOB_ID"),
        }
        answer = ask(request) if placing is None else placing.send(request, ask)
        outcome.instances |= {each["instance"]: each for each in answer["instances"]}
        outcome.batch = answer["files"]
        outcome.taken += len(outcome.batch)
        outcome.new += sum(each["new"] for each in outcome.batch)
        yield outcome
    outcome.batch = []
    yield outcome


def _scanned(
    given: Iterable[str], reference: str | None, member: str | None, refused: list[NowcastError]
) -> Iterator[FoundFile]:
    for path in files_of(given):
        try:
            yield found_file(scan(path), reference, member)
        except NotWhole as error:
            refused.append(error)
        except OSError as error:
            refused.append(NotWhole(f"{path} cannot be read: {error.strerror}"))


class Placing:
    """Files of one product, on the way to their folders.

    Parameters
    ----------
    link
        They stay where they are, too.

    Raises UsageError where nowcast.yaml names no folder for the product.
    """

    def __init__(self, config: Config, product: str, link: bool) -> None:
        settings = products_of(config).get(product)
        if settings is None or settings.folder is None:
            raise UsageError(
                f"nowcast.yaml does not say where files of {product} belong",
                hint=f"products: {product}: folder: /results/{product}/{{reference:%Y%m%d%H}}",
            )
        self._folder = settings.folder
        self._paths = system_paths(config)
        self._product, self._link = product, link
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

    def send(self, request: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        """Put the files of a request in their places, and register them."""
        goals = {str(file["url"]): path_of(str(file["url"])) for file in request["files"]}
        moves = [(self._sources.pop(url), goal) for url, goal in goals.items() if goal is not None]
        moves = [(source, goal) for source, goal in moves if source != goal]
        with placed(self._paths.state, new_id(), request, moves, self._link) as whole:
            try:
                return ask(whole)
            except NowcastError as error:
                raise NowcastError(
                    f"{len(moves):,} files are in their places, and not registered as yet",
                    cause=error.what,
                    hint=error.hint or "the manager registers them once it can: nowcast status",
                ) from error

    def _goal(self, file: FoundFile) -> Path:
        template = str(Path(self._folder).expanduser())
        folder = filled_folder(template, self._product, time_of(file.reference), file.member)
        return Path(os.path.abspath(self._paths.deployment / folder / file.name))  # noqa: PTH100
