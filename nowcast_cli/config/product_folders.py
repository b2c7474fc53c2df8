"""Where files of a product belong: a template of a folder, with what an instance is. Pure."""

from __future__ import annotations

import re
from datetime import datetime

_PLACE = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_KNOWN = ("reference", "product", "member")
_PLAIN_TIME = "%Y%m%dT%H%M%SZ"


def folder_trouble(template: str) -> str | None:
    """Say what is wrong with a template, None where nothing is."""
    for place in _PLACE.finditer(template):
        if place[1] not in _KNOWN:
            known = ", ".join(f"{{{name}}}" for name in _KNOWN)
            return f"{place[0]} is not known; there are {known}, such as {{reference:%Y%m%d%H}}"
        if place[2] is not None and place[1] != "reference":
            return f"{place[0]}: only {{reference}} takes a format"
    if re.search(r"[{}]", _PLACE.sub("", template)):
        return "a brace stands alone"
    return None


def filled_folder(template: str, product: str, reference: datetime, member: str | None) -> str:
    """Put in what an instance is. A file of no member leaves {member} empty."""

    def value(place: re.Match[str]) -> str:
        if place[1] == "reference":
            return reference.strftime(place[2] or _PLAIN_TIME)
        return product if place[1] == "product" else (member or "").replace("/", "_")

    return _PLACE.sub(value, template)
