"""NetCDF: its variables, times and member as the CF conventions name them, by netCDF4.

The library sees that a file in the form of HDF5 is cut off. Of a classic one it gives zeros for
what is not there; how long that one has to be is told by its header.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nowcast_cli.products.scanners.netcdf_header import least_size
from nowcast_cli.products.scanning import Contents, ScannedFile, not_installed

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDINGS = (".nc", ".nc3", ".nc4", ".cdf", ".netcdf")
_OTHER_HDF = (".h5", ".hdf5", ".he5", ".hdf")
_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_HDF = b"\x89HDF\r\n\x1a\n"
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_PLACES = frozenset(
    {
        "latitude", "longitude", "grid_latitude", "grid_longitude", "projection_x_coordinate",
        "projection_y_coordinate", "time", "forecast_period", "forecast_reference_time",
        "realization",
    }
)  # fmt: skip
_OF_OTHERS = ("coordinates", "bounds", "grid_mapping", "climatology")
_TIME_NAMES = ("time", "time_counter", "valid_time")


def recognises(name: str, head: bytes) -> bool:
    """Say whether a file is called so, or begins so."""
    ending = name.lower()
    if ending.endswith(_ENDINGS) or head.startswith(_CLASSIC):
        return True
    return head.startswith(_HDF) and not ending.endswith(_OTHER_HDF)


def scan(file: ScannedFile) -> Contents:
    """Look at all variables. Raises NotWhole where the file is cut off, or none of NetCDF."""
    head = file.read()
    if head.startswith(_CLASSIC):
        least = least_size(head, file)
        if least > file.size:
            raise file.refused(f"is cut off: it has {file.size:,} of {least:,} bytes")
    elif not head.startswith(_HDF):
        raise file.refused("is no NetCDF file: it does not begin as one")
    file.rest()
    try:
        import netCDF4
    except (ImportError, OSError) as error:
        raise not_installed(file, "a NetCDF file", "netCDF4") from error
    try:
        with netCDF4.Dataset(file.opened) as dataset:
            return _contents(netCDF4, dataset)
    except (OSError, RuntimeError) as error:
        raise file.refused(f"is cut off or damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _contents(netcdf: Any, dataset: Any) -> Contents:
    found = [*_variables(dataset)]
    of_others = {
        word.rstrip(":")
        for variable in found
        for attribute in _OF_OTHERS
        for word in str(getattr(variable, attribute, "")).split()
    }
    names: set[str] = set()
    times: list[datetime] = []
    references: list[datetime] = []
    members: set[str] = set()
    for variable in found:
        standard = getattr(variable, "standard_name", "")
        if standard == "forecast_reference_time":
            references += _times(netcdf, variable)
        elif standard == "time" or variable.name in _TIME_NAMES:
            times += _times(netcdf, variable)
        elif standard == "realization":
            members.update(str(each) for each in variable[:].ravel().tolist())
        elif variable.name not in of_others | set(variable.dimensions) and standard not in _PLACES:
            names.add(variable.name)
    return Contents(
        tuple(sorted(names)),
        min(times, default=None),
        max(times, default=None),
        references[0] if len(set(references)) == 1 else None,
        members.pop() if len(members) == 1 else None,
    )


def _variables(group: Any) -> Iterator[Any]:
    yield from group.variables.values()
    for below in group.groups.values():
        yield from _variables(below)


def _times(netcdf: Any, variable: Any) -> list[datetime]:
    """Give the first and the last time of a variable; none where it is no time of ours."""
    calendar = getattr(variable, "calendar", "standard").lower()
    if " since " not in getattr(variable, "units", "") or calendar not in _CALENDARS:
        return []
    values = variable[:]
    if not values.size or values.mask.all():
        return []
    try:
        found = netcdf.num2date(
            [values.min(), values.max()], variable.units, calendar,
            only_use_cftime_datetimes=False, only_use_python_datetimes=True,
        )  # fmt: skip
    except (ValueError, OverflowError):
        return []
    # netCDF4 applies the zone of the units, and gives times without one.
    return [each.replace(tzinfo=UTC) for each in found]
