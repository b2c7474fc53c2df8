"""Which files are registered, of which reference time they are, and how a product is declared."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from nowcast_cli.cli.product_declaring import declare, with_product
from nowcast_cli.config import Config
from nowcast_cli.config.products import products_of
from nowcast_cli.errors import NotFound, NowcastError, UsageError
from nowcast_cli.products.gathering import files_of, found_file, reference_in
from nowcast_cli.products.scanning import Contents, NotWhole, Scanned


def made(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return [folder / name for name in names]


def test_files_of_names_folders_and_patterns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c, *_, hidden = made(
        tmp_path, "a.nc", "d/b.nc", "d/e/c.txt", "d/.b.nc.part1", "d/.old/x.nc", ".hidden"
    )
    monkeypatch.chdir(tmp_path)
    assert list(files_of([str(a)])) == [a]
    assert list(files_of(["d"])) == [b, c]
    assert list(files_of(["**/*.nc"])) == [a, b]
    assert list(files_of(["d", "a.nc", "d/b.nc", ".hidden"])) == [b, c, a, hidden]


@pytest.mark.parametrize(
    ("given", "words"),
    [("none.nc", "there is no such file: none.nc"), ("*.nc", "no such file"), (".", "no file in")],
)
def test_what_names_no_file(
    given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match=words):
        list(files_of([given]))


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    path = tmp_path / "run[1].nc"
    path.write_text("x")
    assert list(files_of([str(path)])) == [path]


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20261122T06Z_MSC_HRDPS_UGRD_PT003H.grib2", "2026-11-22T06:00:00Z"),
        ("CMC_2026112206_P003.grib2", "2026-11-22T06:00:00Z"),
        ("202611220630.nc", "2026-11-22T06:30:00Z"),
        ("run-2026-11-22T06:30:00Z.csv", "2026-11-22T06:30:00Z"),
        ("2026-11-22.csv", "2026-11-22T00:00:00Z"),
        ("SalishSea_1h_20261122_20261122_grid_T.nc", "2026-11-22T00:00:00Z"),
        ("2026112206/model.nc", "2026-11-22T06:00:00Z"),
    ],
)
def test_a_reference_time_in_a_name(name: str, time: str) -> None:
    assert reference_in(Path("/results") / name) == time


@pytest.mark.parametrize(
    "name", ["forecast.nc", "20261122_20261123.nc", "2026112299.nc", "123456789012345.nc"]
)
def test_a_name_without_one_time(name: str) -> None:
    with pytest.raises(NotWhole, match="does not say of which reference time"):
        reference_in(Path("/results") / name)


def test_the_reference_time_that_counts() -> None:
    hour = datetime(2026, 11, 22, 6, tzinfo=UTC)
    contents = Contents(("u",), hour, None, hour, "3")
    scanned = Scanned(Path("/r/2020010100 a.nc"), "netcdf", 10, "0" * 64, contents)
    found = found_file(scanned)
    assert (found.reference, found.member) == ("2026-11-22T06:00:00Z", "3")
    assert (found.url, found.name) == ("file:///r/2020010100%20a.nc", "2020010100 a.nc")
    given = found_file(scanned, "2026-11-23T00:00:00Z", "7")
    assert (given.reference, given.member) == ("2026-11-23T00:00:00Z", "7")


# --- declaring


@pytest.mark.parametrize(
    "text",
    [
        "",
        "products:\n",
        "products:  # what we make\n  # the first\n\n  tides: {files: 3}\nlate: 1\n",
        "products:\n      tides:\n            files: 3",
        "other: 1\n# the end",
    ],
)
def test_a_product_is_declared_and_nothing_else_changes(text: str, tmp_path: Path) -> None:
    before = yaml.safe_load(text) or {}
    after = yaml.safe_load(with_product(text, "hrdps"))
    products = {**(before.get("products") or {}), "hrdps": None}
    assert after == {**before, "products": products}


def test_declaring_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "nowcast.yaml"
    file.write_text("checklist file: a.yaml\n")
    assert declare(file, "hrdps")
    assert declare(file, "tides")
    assert not declare(file, "hrdps")
    config = Config()
    config.load(file)
    assert set(products_of(config)) == {"hrdps", "tides"}
    assert file.read_text().startswith("checklist file: a.yaml\n\nproducts:\n")


@pytest.mark.parametrize("text", ["products: {tides: {files: 3}}\n", "products: &p\n  a:\nb: *p\n"])
def test_what_cannot_be_added_to_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    file = tmp_path / "nowcast.yaml"
    file.write_text(text)
    with pytest.raises(NowcastError, match="was left as it is") as raised:
        declare(file, "hrdps")
    assert raised.value.hint == "add it yourself, below products: hrdps: {title: …}"
    assert file.read_text() == text


def test_what_is_no_name_of_a_product(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no name of a product"):
        declare(tmp_path / "nowcast.yaml", "HRDPS 2.5")
