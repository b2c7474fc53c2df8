"""One HTTP request, by the standard library or by a session like that of ``requests``."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class FetchError(Exception):
    """A request has failed, or its answer has broken off; the text says how.

    ``status`` is what the server has answered, where it has.
    """

    def __init__(self, what: str, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What a server sends.

    ``start`` is the offset of its first byte in the file, ``length`` that of the whole file
    where it is known; ``version`` goes into an ``If-Range`` header, None where the server
    gives nothing that would fit.
    """

    start: int
    length: int | None
    version: str | None
    body: Any
    by_session: bool

    def chunks(self, size: int) -> Iterator[bytes]:
        """Give the content, piece by piece. Raises FetchError."""
        try:
            if self.by_session:
                yield from self.body.iter_content(chunk_size=size)
            else:
                while chunk := self.body.read1(size):
                    yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise FetchError(_words(error)) from error


@contextmanager
def get(url: str, session: Any, timeout: float, headers: Mapping[str, str]) -> Iterator[Answer]:
    """Ask for ``url``. Raises FetchError for whatever a server or the way to it can do."""
    try:
        if session is None:
            request = urllib.request.Request(url, headers=dict(headers))
            body = urllib.request.urlopen(request, timeout=timeout)
        else:
            body = session.get(url, stream=True, timeout=timeout, headers=dict(headers))
    except urllib.error.HTTPError as error:
        raise FetchError(_words(error), error.code) from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(_words(error)) from error
    try:
        status = body.status if session is None else body.status_code
        if status is not None and status >= http.client.BAD_REQUEST:
            raise FetchError(f"HTTP status {status} {body.reason}", status)
        yield _answer(status, body, session is not None)
    finally:
        body.close()


def _answer(status: int | None, body: Any, by_session: bool) -> Answer:
    headers = body.headers
    start, length = 0, _number(headers.get("Content-Length"))
    if status == http.client.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(headers.get("Content-Range") or "")
        if found is None:
            raise FetchError("a part of the file without saying which")
        start, length = int(found[1]), int(found[2])
    if headers.get("Content-Encoding") not in (None, "identity"):
        length = None  # it would be that of the compressed content
    tag = headers.get("ETag") or ""
    return Answer(
        start=start,
        length=length,
        version=tag if tag.startswith('"') else headers.get("Last-Modified"),
        body=body,
        by_session=by_session,
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
