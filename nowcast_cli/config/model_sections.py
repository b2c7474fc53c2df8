"""What the sections of nowcast.yaml have in common, as pydantic models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


def _with_spaces(name: str) -> str:
    return name.rstrip("_").replace("_", " ")


class Section(BaseModel):
    """A section in which users keep settings of their own too."""

    model_config = ConfigDict(extra="allow", alias_generator=_with_spaces, strict=True)


class ClosedSection(BaseModel):
    """A section that holds the keys named here and no others."""

    model_config = ConfigDict(extra="forbid", alias_generator=_with_spaces, strict=True)
