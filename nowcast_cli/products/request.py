"""What a registration says: the request ``register product``, written and read. Pure.

``{product, reference_time, job?, step?, files: [{url, format, size, sha256, name?, reference_time?,
variables?, begin?, end?, member?, partial?, expires?, inputs?}]}``; times as text, ``size`` in
bytes, ``sha256`` in hexadecimal digits. A file may be of another reference time than the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from nowcast_cli.products.times import NotATime, read_time
from nowcast_cli.store.product_records import LOCAL

_DIGEST = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*:[^\s]+")


class BadRegistration(ValueError):
    """A registration cannot be understood: why, as a sentence."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that is to be registered, as its scanner has found it.

    ``name`` tells it apart in its instance: the end of its URL where it has none. ``member`` is a
    text, ``inputs`` are the URLs of what it was made of.
    """

    url: str
    format: str
    size: int
    sha256: str
    reference: str
    name: str
    variables: tuple[str, ...] = ()
    begin: str | None = None
    end: str | None = None
    member: str | None = None
    partial: bool = False
    expires: str | None = None
    inputs: tuple[str, ...] = ()
    storage: str = LOCAL

    def as_plain(self) -> dict[str, Any]:
        """Give it as a part of a request."""
        said = {
            "url": self.url, "format": self.format, "size": self.size, "sha256": self.sha256,
            "reference_time": self.reference, "name": self.name,
            "variables": list(self.variables), "begin": self.begin, "end": self.end,
            "member": self.member, "partial": self.partial, "expires": self.expires,
            "inputs": list(self.inputs), "storage": self.storage,
        }  # fmt: skip
        return {key: value for key, value in said.items() if value not in (None, [], False)}


@dataclass(frozen=True, slots=True)
class Registration:
    """Files of a product; ``job`` and ``step`` (the token of an attempt) have made them."""

    product: str
    files: tuple[FoundFile, ...]
    job: str | None = None
    step: str | None = None


def registration_of(payload: Any) -> Registration:
    """Read a request. Raises BadRegistration."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("product"), str):
        raise BadRegistration("a registration names a product and files")
    files = payload.get("files")
    if not isinstance(files, list) or not files:
        raise BadRegistration("a registration has files: a list, and not empty")
    given = payload.get("reference_time")
    return Registration(
        payload["product"],
        tuple(_file(each, given) for each in files),
        _optional(payload, "job", "the registration"),
        _optional(payload, "step", "the registration"),
    )


def name_in(url: str) -> str:
    """Give the last part of a URL: how its file is called."""
    return PurePosixPath(unquote(urlsplit(url).path)).name or url


def _file(said: Any, given: Any) -> FoundFile:
    if not isinstance(said, Mapping) or not isinstance(said.get("url"), str):
        raise BadRegistration("each file of a registration has a url")
    url = said["url"]
    if _URL.fullmatch(url) is None:
        raise BadRegistration(f"{url!r} is no URL such as file:///results/a.nc")
    size, digest = said.get("size"), said.get("sha256")
    if type(size) is not int or size < 0:
        raise BadRegistration(f"{url}: its size must be a whole number of bytes, not {size!r}")
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise BadRegistration(f"{url}: its sha256 must be 64 hexadecimal digits, not {digest!r}")
    variables = said.get("variables") or []
    inputs = said.get("inputs") or []
    if not all(isinstance(each, list) and all(isinstance(one, str) for one in each)
               for each in (variables, inputs)):  # fmt: skip
        raise BadRegistration(f"{url}: its variables and inputs must be lists of text")
    member = said.get("member")
    return FoundFile(
        url,
        _optional(said, "format", url) or "plain",
        size,
        digest,
        _time(said.get("reference_time", given), "reference time", url),
        _optional(said, "name", url) or name_in(url),
        tuple(variables),
        _optional_time(said, "begin", url),
        _optional_time(said, "end", url),
        None if member is None else str(member),
        said.get("partial") is True,
        _optional_time(said, "expires", url),
        tuple(inputs),
        _optional(said, "storage", url) or LOCAL,
    )


def _optional(said: Mapping[Any, Any], key: str, what: str) -> str | None:
    value = said.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRegistration(f"{what}: its {key} must be a text, not {value!r}")
    return value


def _optional_time(said: Mapping[Any, Any], key: str, what: str) -> str | None:
    return None if said.get(key) is None else _time(said[key], f"{key} time", what)


def _time(value: Any, name: str, what: str) -> str:
    if value is None:
        raise BadRegistration(f"{what}: it has no {name}")
    try:
        return read_time(value)
    except NotATime as error:
        raise BadRegistration(f"{what}: its {name} {error}") from None
