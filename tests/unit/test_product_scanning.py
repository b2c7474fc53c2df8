"""Files are read to their end: what is in them, and whether they are whole."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import eccodes
import netCDF4
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.errors import NowcastError
from nowcast_cli.products import scanning
from nowcast_cli.products.scanning import Contents, NotWhole, scan


def hour(number: int) -> datetime:
    return datetime(2026, 11, 22, number, tzinfo=UTC)


def grib_message(step: int = 0, name: str = "2t", edition: int = 2, member: int | None = None):
    handle = eccodes.codes_grib_new_from_samples(f"regular_ll_sfc_grib{edition}")
    try:
        if member is not None:
            eccodes.codes_set(handle, "productDefinitionTemplateNumber", 1)
            eccodes.codes_set(handle, "perturbationNumber", member)
        for key, value in {
            "dataDate": 20261122, "dataTime": 600, "step": step, "shortName": name,
        }.items():  # fmt: skip
            eccodes.codes_set(handle, key, value)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def grib_file(path: Path, *messages: bytes) -> Path:
    path.write_bytes(b"".join(messages))
    return path


def netcdf_file(path: Path, form: str = "NETCDF4", hours: int = 3) -> Path:
    with netCDF4.Dataset(path, "w", format=form) as dataset:
        dataset.createDimension("time", None)
        dataset.createDimension("lat", 4)
        dataset.createDimension("lon", 5)
        time = dataset.createVariable("time", "f8", ("time",))
        time.units = "hours since 2026-11-22 00:00:00 -0800"
        time.standard_name = "time"
        begin = dataset.createVariable("reftime", "f8")
        begin.units, begin.standard_name = (
            "hours since 2026-11-22 00:00:00",
            "forecast_reference_time",
        )
        member = dataset.createVariable("number", "i4")
        member.standard_name = "realization"
        dataset.createVariable("lat", "f4", ("lat",))
        dataset.createVariable("nav_lon", "f4", ("lat", "lon"))
        crs = dataset.createVariable("crs", "i4")
        crs.grid_mapping_name = "latitude_longitude"
        for name in ("u", "v"):
            field = dataset.createVariable(name, "f4", ("time", "lat", "lon"))
            field.coordinates, field.grid_mapping = "nav_lon", "crs"
            field[0:hours] = 1.5
        time[:] = range(hours)
        begin[...], member[...] = 6, 4
    return path


def test_any_file_has_a_size_and_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(bytes(range(256)) * 9000)
    found = scan(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.format, found.size, found.sha256) == ("plain", 2304000, digest)
    assert found.contents == Contents()


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.nc", "a.grib2"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(NotWhole, match=f"{name} is empty$"):
        scan(tmp_path / name)


def test_a_file_that_grows_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n")

    def read_while_it_grows(file: scanning.ScannedFile) -> str:
        with path.open("a") as more:
            more.write("two\n")
        return "0" * 64

    monkeypatch.setattr(scanning.ScannedFile, "rest", read_while_it_grows)
    with pytest.raises(NotWhole, match="is being written still"):
        scan(path)


# --- GRIB


@pytest.mark.parametrize("edition", [1, 2])
def test_grib(edition: int, tmp_path: Path) -> None:
    messages = [grib_message(step, name, edition) for step in (0, 6) for name in ("2t", "sp")]
    path = grib_file(tmp_path / "a.grib2", *messages)
    found = scan(path)
    assert (found.format, found.size) == ("grib", sum(map(len, messages)))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.contents == Contents(("2t", "sp"), hour(6), hour(12), hour(6), None)


def test_the_member_of_grib(tmp_path: Path) -> None:
    one = grib_file(tmp_path / "one", grib_message(member=7), grib_message(6, member=7))
    assert scan(one).contents.member == "7"
    two = grib_file(tmp_path / "two", grib_message(member=7), grib_message(member=8))
    assert (scan(two).format, scan(two).contents.member) == ("grib", None)


def test_grib_between_headings_of_bulletins(tmp_path: Path) -> None:
    heading = b"\r\r\n051\r\r\nHTXA85 KWBC 220600\r\r\n"
    message = grib_message()
    found = scan(grib_file(tmp_path / "a.grib2", *[heading, message] * 40, b"\r\r\n\x03"))
    assert found.contents.variables == ("2t",)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (-1, r"is cut off: message 2 at byte \d+ has \d+ of \d+ bytes"),
        (-90, r"is cut off: message 2 at byte \d+ has \d+ of \d+ bytes"),
        ("second + 9", "is cut off: message 2 has no more than its first bytes"),
        ("second + 3", "is cut off: message 2 has no more than its first bytes"),
        (30, r"is cut off: message 1 at byte 0 has 30 of \d+ bytes"),
    ],
)
def test_a_truncated_grib_is_refused(kept: int | str, words: str, tmp_path: Path) -> None:
    first, second = grib_message(), grib_message(6)
    if isinstance(kept, str):
        kept = len(first) + int(kept[-1])
    path = grib_file(tmp_path / "a.grib2", (first + second)[:kept])
    with pytest.raises(NotWhole, match=words):
        scan(path)


@pytest.mark.parametrize("end", [bytes(4096), b"x" * 600])
def test_a_grib_with_a_hole_is_refused(end: bytes, tmp_path: Path) -> None:
    with pytest.raises(NotWhole, match="is damaged: what follows message 1 at byte"):
        scan(grib_file(tmp_path / "a.grib2", grib_message(), end))
    damaged = bytearray(grib_message())
    damaged[-3:] = end[:3]
    with pytest.raises(NotWhole, match="message 2 does not end with 7777"):
        scan(grib_file(tmp_path / "b.grib2", grib_message(), bytes(damaged)))


def test_what_is_only_called_grib_is_refused(tmp_path: Path) -> None:
    page = grib_file(tmp_path / "a.grib2", b"<html><h1>503 Service Unavailable</h1></html>")
    with pytest.raises(NotWhole, match="is no GRIB file"):
        scan(page)


@given(data=st.data())
def test_a_grib_that_is_cut_anywhere_is_never_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    messages = [grib_message(0), grib_message(6, edition=1), grib_message(12)]
    whole = b"".join(messages)
    ends = {sum(map(len, messages[:number])) for number in (1, 2, 3)}
    kept = data.draw(st.integers(1, len(whole) - 1).filter(lambda each: each not in ends))
    path = grib_file(tmp_path_factory.getbasetemp() / "cut.grib2", whole[:kept])
    with pytest.raises(NotWhole):
        scan(path)


# --- NetCDF


FORMS = ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]  # fmt: skip # noqa: E501


@pytest.mark.parametrize("form", FORMS)
def test_netcdf(form: str, tmp_path: Path) -> None:
    path = netcdf_file(tmp_path / "forecast", form)
    found = scan(path)
    assert (found.format, found.size) == ("netcdf", path.stat().st_size)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.contents == Contents(("u", "v"), hour(8), hour(10), hour(6), "4")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [0.5, 0.99, 0.02])
def test_a_netcdf_that_is_cut_is_refused(form: str, part: float, tmp_path: Path) -> None:
    path = netcdf_file(tmp_path / "a.nc", form, hours=20)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * part))
    with pytest.raises(NotWhole, match=r"a\.nc is cut off"):
        scan(path)


@pytest.mark.parametrize("form", FORMS[2:])
def test_a_classic_file_of_one_variable_of_records(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=form) as dataset:
        dataset.createDimension("time", None)
        dataset.createVariable("level", "i2", ("time",))[:] = range(7)
    assert scan(path).contents.variables == ("level",)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4)
    with pytest.raises(NotWhole, match="is cut off"):
        scan(path)


def test_times_of_a_calendar_that_is_not_ours(tmp_path: Path) -> None:
    path = netcdf_file(tmp_path / "a.nc")
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["time"].calendar = "360_day"
    assert (scan(path).contents.begin, scan(path).contents.reference) == (None, hour(6))


def test_what_is_only_called_netcdf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_text("<html>not found</html>")
    with pytest.raises(NotWhole, match="is no NetCDF file"):
        scan(tmp_path / "a.nc")


def test_hdf5_by_its_own_name_is_plain(tmp_path: Path) -> None:
    assert scan(netcdf_file(tmp_path / "a.h5")).format == "plain"


@pytest.mark.parametrize("module", ["netCDF4", "eccodes"])
def test_a_format_that_is_not_installed(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grib_file(tmp_path / "eccodes", grib_message())
    netcdf_file(tmp_path / "netCDF4")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NowcastError, match=f"cannot be looked into: {module} is not") as raised:
        scan(tmp_path / module)
    assert raised.value.hint == "pip install 'nowcast-cli[formats]'"


# --- CSV


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "tide.csv"
    path.write_text(
        '\ufeff# gauge 7120\ntime,"level, m",station\n2026-11-22T01:00:00+01:00,1.5,7120\n'
        "2026-11-22 02:00,1.5,7120\n\n"
    )
    found = scan(path)
    assert (found.format, found.size) == ("csv", path.stat().st_size)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.contents == Contents(("level, m", "station"), hour(0), hour(2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a;b;c\n1;2;3\n1;2", "row 2 has 2 of 3 fields"),
        ('a,b\n1,"2', "is no CSV file, or is not whole"),
        ("# only\n", "has no line of names"),
        ("a,b\n\xff", "not text in UTF-8"),
    ],
)
def test_a_csv_file_that_is_not_whole(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(NotWhole, match=words):
        scan(tmp_path / "a.csv")


# --- scanners of others


@pytest.fixture
def scanner_of_another(monkeypatch: pytest.MonkeyPatch):
    def install(value: str) -> None:
        entries = (EntryPoint("mine", value, scanning.GROUP), *scanning._entries())
        monkeypatch.setattr(scanning, "_entries", lambda: entries)

    return install


def test_those_here_are_found() -> None:
    assert {each.name for each in scanning._entries()} >= {"csv", "grib", "netcdf"}


def test_a_scanner_of_another_package_comes_first(scanner_of_another, tmp_path: Path) -> None:
    mine = SimpleNamespace(
        recognises=lambda name, head: head.startswith(b"MINE"),
        scan=lambda file: Contents((file.read(8).decode(),)),
    )
    sys.modules["scanner_of_mine"] = mine  # type: ignore[assignment]
    scanner_of_another("scanner_of_mine")
    (tmp_path / "a.csv").write_text("MINE1234 and the rest\n")
    found = scan(tmp_path / "a.csv")
    assert (found.format, found.contents.variables) == ("mine", ("MINE1234",))
    assert found.sha256 == hashlib.sha256(b"MINE1234 and the rest\n").hexdigest()


def test_a_scanner_that_does_not_load(scanner_of_another, tmp_path: Path) -> None:
    scanner_of_another("there_is_no_such_module")
    (tmp_path / "a").write_text("x")
    with pytest.raises(NowcastError, match="the scanner mine cannot be used"):
        scan(tmp_path / "a")
