"""The form of a product in nowcast.yaml. ``config.products`` reads and checks it."""

from __future__ import annotations

from pydantic import Field

from nowcast_cli.config.model_sections import ClosedSection

_Numbers = int | str | list[int]


class ProductFiles(ClosedSection):
    """What a complete instance has."""

    count: int | None = Field(default=None, description="How many files.")
    variables: list[str] | None = Field(default=None, description="Variables, by their names.")
    hours: _Numbers | None = Field(
        default=None, description="Hours after the reference time: 0..24, 0..48/3, [0, 6]."
    )
    members: _Numbers | None = Field(default=None, description="Members of an ensemble: 0..20.")


class ProductExpected(ClosedSection):
    """Until when an instance is to be complete, else it is late."""

    by: str | None = Field(
        default=None, description="A time of each day, in the time zone here or a named one."
    )
    after: str | float | None = Field(default=None, description="So long after the reference time.")
    cycles: list[str | int] | None = Field(
        default=None, description='Reference times of a day, in UTC; ["00"].'
    )


class ProductRetention(ClosedSection):
    """What is kept; beyond any of these it expires."""

    keep: str | int | None = Field(default=None, description="So many reference times: 10 cycles.")
    age: str | float | None = Field(default=None, description="So long after the reference time.")
    space: str | int | None = Field(default=None, description="So many bytes: 50 GB.")


class ProductEntry(ClosedSection):
    """Files that are made again and again, for one reference time after the other."""

    title: str | None = Field(default=None, description="What people call it.")
    contact: str | None = Field(default=None, description="Who answers for it.")
    licence: str | None = Field(default=None, description="Under which licence it is given away.")
    institution: str | None = Field(default=None, description="Who makes it.")
    source: str | None = Field(default=None, description="Where it comes from.")
    parents: list[str] | None = Field(default=None, description="Products that it is made of.")
    files: int | ProductFiles | None = Field(
        default=None, description="What a complete instance has; without it any file will do."
    )
    expected: ProductExpected | None = Field(
        default=None, description="Until when an instance is to be complete."
    )
    retention: ProductRetention | None = Field(
        default=None, description="What is kept; without it everything is."
    )
    box: list[float] | None = Field(
        default=None, description="West, south, east and north, in degrees."
    )
    folder: str | None = Field(
        default=None, description="Where files are put: /results/{reference:%Y%m%d%H}."
    )
