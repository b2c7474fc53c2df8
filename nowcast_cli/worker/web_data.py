"""Downloads that take up where they broke off and never leave half a file behind."""

from __future__ import annotations

import io
import itertools
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from nowcast_cli.atomic_files import move_into_place
from nowcast_cli.worker.errors import WorkerError
from nowcast_cli.worker.http import Answer, FetchError, get

_SILENCE = 60.0  # seconds without a byte after which a server counts as gone


def get_web_data(
    file_url: str,
    logger_name: str,
    filepath: str | os.PathLike[str] | None = None,
    session: Any = None,
    chunk_size: int = 100 * 1024,
    wait_exponential_multiplier: float = 2,
    wait_retry_max: float = 256,
    wait_exponential_max: float = 60 * 60,
    *,
    timeout: float = _SILENCE,
) -> bytes | None:
    """Download ``file_url``; whatever goes wrong, try again, since files may be late.

    Parameters
    ----------
    file_url
        What to download.
    logger_name
        Name of the logger to tell of failures.
    filepath
        Where to put it. The file appears there when all of it has come; until then it is
        beside, with a name that ends in ``.part``. Without ``filepath`` the content is returned.
    session
        A ``requests.Session`` or the like, to reuse its connections.
    chunk_size
        Bytes to hold in memory at a time.
    wait_exponential_multiplier
        Seconds before the first retry, and the factor by which each wait is longer than the last.
    wait_retry_max
        Seconds that no wait exceeds.
    wait_exponential_max
        Seconds that all waits together do not exceed.
    timeout
        Seconds without a byte after which the server counts as gone.

    Raises WorkerError when the last try has failed, or when the file cannot be written.
    """
    logger = logging.getLogger(logger_name)
    fetch = _Fetch(file_url, session, chunk_size, timeout)
    pauses = _pauses(wait_exponential_multiplier, wait_retry_max, wait_exponential_max)
    if filepath is None:
        content = io.BytesIO()
        _fetch_all(fetch, content, pauses, logger)
        return content.getvalue()
    goal = Path(filepath)
    # of this process alone: another may be after the same file
    part = goal.with_name(f".{goal.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            _fetch_all(fetch, file, pauses, logger)
        move_into_place(part, goal)
    except OSError as error:
        raise WorkerError(f"{goal} could not be written", cause=str(error)) from error
    finally:
        with suppress(OSError):
            part.unlink()
    return None


class _Fetch:
    """Tries to get one file, each time from where the last try broke off."""

    def __init__(self, url: str, session: Any, chunk_size: int, timeout: float) -> None:
        self.url = url
        self._session = session
        self._chunk_size = chunk_size
        self._timeout = timeout
        self._version: str | None = None

    def attempt(self, file: IO[bytes]) -> None:
        """Append what is missing. Raises FetchError, after which it may be tried again."""
        have = file.tell() if self._version else 0
        try:
            with get(self.url, self._session, self._timeout, self._headers(have)) as answer:
                self._take(answer, have, file)
        except FetchError as error:
            if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._version = None  # the file has changed: begin anew
            raise

    def _take(self, answer: Answer, have: int, file: IO[bytes]) -> None:
        if answer.start not in (0, have):
            raise FetchError(f"bytes from {answer.start} on, when {have} were there")
        file.seek(answer.start)
        file.truncate()
        self._version = answer.version
        for chunk in answer.chunks(self._chunk_size):
            file.write(chunk)
        if answer.length is not None and file.tell() != answer.length:
            raise FetchError(f"it ended after {file.tell()} of {answer.length} bytes")

    def _headers(self, have: int) -> dict[str, str]:
        # compressed content could not be resumed, nor its length be checked
        headers = {"Accept-Encoding": "identity"}
        if have and self._version:
            headers |= {"Range": f"bytes={have}-", "If-Range": self._version}
        return headers


def _fetch_all(
    fetch: _Fetch, file: IO[bytes], pauses: Iterator[float], logger: logging.Logger
) -> None:
    for attempt in itertools.count(1):
        try:
            return fetch.attempt(file)
        except FetchError as error:
            logger.debug("received %s from %s", error, fetch.url)
            pause = next(pauses, None)
            if pause is None:
                logger.error("giving up; download from %s failed %s times", fetch.url, attempt)
                raise WorkerError(
                    f"{fetch.url} could not be downloaded in {attempt} attempts", cause=str(error)
                ) from None
            logger.debug("waiting %s seconds until retry %s", pause, attempt)
            time.sleep(pause)
    return None


def _pauses(first: float, longest: float, total: float) -> Iterator[float]:
    """Give the seconds before each retry: 2, 4, 8, … for a first of 2."""
    wait, waited = float(first), 0.0
    while waited + min(wait, longest) <= total:
        yield min(wait, longest)
        waited += min(wait, longest)
        wait *= first
