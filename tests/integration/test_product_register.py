"""``nowcast product register``, as a person types it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import eccodes
import netCDF4
import pytest

from helpers import wait_until
from nowcast_cli import product
from nowcast_cli.errors import NowcastError, UsageError
from nowcast_command import Done, nowcast
from systems import System

REFERENCE = "2026-11-22T06:00:00Z"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system with a product that is complete with three files."""
    waves = {"folder": "results/{reference:%Y%m%d%H}"}
    made = System(
        tmp_path_factory.mktemp("products") / "system",
        workers=(),
        settings={"products": {"hrdps": {"files": 3}, "tides": None, "waves": waves}},
    )
    made.start()
    yield made
    made.end()


def register(system: System, *arguments: object) -> Done:
    return nowcast(system.folder, "product", "register", *map(str, arguments))


def grib(path: Path, hour: int) -> Path:
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    for key, value in {"dataDate": 20261122, "dataTime": 600, "step": hour}.items():
        eccodes.codes_set(handle, key, value)
    path.write_bytes(eccodes.codes_get_message(handle))
    eccodes.codes_release(handle)
    return path


def test_files_of_a_cycle_until_it_is_complete(system: System, tmp_path: Path) -> None:
    paths = [grib(tmp_path / f"P{hour:03}.grib2", hour) for hour in range(3)]
    first = register(system, paths[0], paths[1], "--product", "hrdps", "--json")
    assert (first.code, first.err) == (0, "")
    (instance,) = first.json["instances"]
    assert (instance["reference_time"], instance["version"], instance["files"]) == (REFERENCE, 1, 2)
    assert not instance["is_complete"]
    done = register(system, tmp_path, "-p", "hrdps")
    assert done.out.splitlines() == [
        "hrdps: 1 file registered, 2 known already",
        f"  {REFERENCE}  version 1, 3 files, complete",
    ]
    with system.reader() as reader:
        kept = reader.products.files(instance["instance"])
    assert [each.file.url for each in kept] == [path.as_uri() for path in paths]
    assert kept[1].file.sha256 == hashlib.sha256(paths[1].read_bytes()).hexdigest()
    assert kept[2].data.time_begin == "2026-11-22T08:00:00Z"
    events = nowcast(system.folder, "events", "--topic", "products~hrdps", "--json").out
    assert events.count("products~hrdps~registered") == 3
    assert events.count("products~hrdps~complete") == 1
    again = register(system, tmp_path, "-p", "hrdps", "--json").json
    assert [each["new"] for each in again["files"]] == [False, False, False]


def test_what_is_refused_keeps_nothing_else_out(system: System, tmp_path: Path) -> None:
    whole = grib(tmp_path / "a.grib2", 1).read_bytes()
    (tmp_path / "b.grib2").write_bytes(whole[:-40])
    (tmp_path / "c.nc").touch()
    with netCDF4.Dataset(tmp_path / "d_2026112206.nc", "w") as dataset:
        dataset.createVariable("tide", "f4")[...] = 1.5
    half = (tmp_path / "d_2026112206.nc").read_bytes()
    (tmp_path / "e_2026112206.nc").write_bytes(half[: len(half) // 2])
    done = register(system, tmp_path, "-p", "tides")
    assert done.code == 1
    assert done.out.splitlines()[0] == "tides: 2 files registered"
    refused = [line for line in done.err.splitlines() if line.startswith("refused: ")]
    assert [line.split("/")[-1].split(":")[0] for line in refused] == [
        "b.grib2 is cut off",
        "c.nc is empty",
        "e_2026112206.nc is cut off or damaged",
    ]


def test_the_reference_time(system: System, tmp_path: Path) -> None:
    (tmp_path / "tide.csv").write_text("time,level\n2026-11-22,1.5\n")
    unknown = register(system, tmp_path / "tide.csv", "-p", "tides")
    assert (unknown.code, unknown.out) == (1, "tides: 0 files registered\n")
    assert "does not say of which reference time it is" in unknown.err
    given = register(
        system, tmp_path / "tide.csv", "-p", "tides", "--reference-time", "2026112312", "--json"
    )
    assert given.json["instances"][0]["reference_time"] == "2026-11-23T12:00:00Z"
    wrong = register(system, tmp_path / "tide.csv", "-p", "tides", "--reference-time", "noon")
    assert (wrong.code, "--reference-time must be a time such as" in wrong.err) == (2, True)


def test_a_product_that_is_not_declared(system: System, tmp_path: Path) -> None:
    path = tmp_path / "drift_2026112206.txt"
    path.write_text("x")
    refused = register(system, path, "--product", "drift")
    assert refused.code == 1
    assert "there is no product 'drift' in nowcast.yaml" in refused.err
    assert "  drift:" in refused.err
    declared = register(system, path, "--product", "drift", "--declare")
    assert (declared.code, declared.out.splitlines()[0]) == (0, "drift: 1 file registered")
    assert f"drift is declared in {system.config_file}" in declared.err
    again = register(system, path, "--product", "drift", "--declare")
    assert again.out.splitlines()[0] == "drift: 0 files registered, 1 known already"


def test_a_system_that_does_not_run(tmp_path: Path) -> None:
    system = System(tmp_path / "system", workers=(), settings={"products": {"tides": None}})
    (tmp_path / "a_2026112206.txt").write_text("x")
    done = register(system, tmp_path / "a_2026112206.txt", "-p", "tides")
    assert (done.code, "does not run" in done.err) == (3, True)


# --- put in place


INSTANTS = [
    "publish.noted", "publish.probed", "publish.prepared", "publish.ready", "publish.renamed",
    "publish.synced", "registration.placed", "registration.registered", "publish.forgotten",
]  # fmt: skip


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


@pytest.mark.parametrize("option", ["--move", "--link"])
def test_files_are_put_in_the_folder_of_their_product(
    option: str, system: System, tmp_path: Path
) -> None:
    reference = f"20261201{INSTANTS.index('publish.ready') + (option == '--link'):02}"
    for name in ("a", "b"):
        (tmp_path / f"{name}_{reference}.bin").write_text(f"{name} {option}")
    done = register(system, tmp_path, "-p", "waves", option, "--json")
    assert (done.code, done.err) == (0, "")
    goal = system.folder / "results" / reference
    assert names(goal) == [f"a_{reference}.bin", f"b_{reference}.bin"]
    assert [each["url"] for each in done.json["files"]] == [
        (goal / name).as_uri() for name in names(goal)
    ]
    assert names(tmp_path) == (names(goal) if option == "--link" else [])
    assert [*(system.paths.state / "registrations").glob("[!.]*")] == []
    again = register(system, goal, "-p", "waves", option)
    assert again.out.splitlines()[0] == "waves: 0 files registered, 2 known already"


def test_two_files_for_one_place(system: System, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tide_20261204.txt").write_text(name)
    done = register(system, tmp_path, "-p", "waves", "--move")
    assert (done.code, done.out.splitlines()[0]) == (1, "waves: 1 file registered")
    assert "is left where it is" in done.err
    assert [path.parent.name for path in tmp_path.rglob("*.txt")] == ["b"]


def test_a_product_without_a_folder(system: System, tmp_path: Path) -> None:
    done = register(system, tmp_path, "-p", "tides", "--move")
    assert (done.code, "does not say where files of tides belong" in done.err) == (2, True)
    both = register(system, tmp_path, "-p", "waves", "--move", "--link")
    assert (both.code, "say two things" in both.err) == (2, True)


@pytest.mark.parametrize("option", ["--move", "--link"])
def test_killed_at_each_instant_of_a_registration(
    option: str, system: System, tmp_path: Path
) -> None:
    """What was decided is in its place, known and announced; of the rest nothing can be seen."""
    points, sources = tmp_path / "points", tmp_path / "sources"
    points.mkdir()
    sources.mkdir()
    environment = {**os.environ, "NOWCAST_CRASH_POINTS": str(points)}
    day = "20261202" if option == "--move" else "20261203"
    for number, point in enumerate(INSTANTS):
        source = sources / f"{point}_{day}{number:02}.txt"
        source.write_text(point)
        (points / point).write_text("9")
        arguments = ("product", "register", str(source), "-p", "waves", option)
        assert nowcast(system.folder, *arguments, env=environment).code == -9, point
    system.restart("manager")
    left = system.paths.state / "registrations"
    wait_until(lambda: [*left.glob("[!.]*")] == [], timeout=30, what="what is left over to go")
    told = nowcast(system.folder, "events", "-t", "products~waves", "--since", "1h", "--json").out
    for number, point in enumerate(INSTANTS):
        name = f"{point}_{day}{number:02}.txt"
        place = system.folder / "results" / f"{day}{number:02}"
        is_decided = number >= INSTANTS.index("publish.ready")
        with system.reader() as reader:
            known = reader.products.file_at((place / name).as_uri())
        assert (known is not None) == is_decided, point
        assert names(place) == ([name] if is_decided else []), point
        assert (sources / name).exists() == (option == "--link" or not is_decided), point
        told_of_it = [
            line
            for line in told.splitlines()
            if name in line and json.loads(line)["topic"] == "products~waves~registered"
        ]
        assert len(told_of_it) == is_decided, point


# --- from Python


def test_a_worker_registers_what_it_made(system: System, tmp_path: Path) -> None:
    paths = [grib(tmp_path / f"a{hour}_2026120512.grib2", hour) for hour in range(2)]
    day = datetime(2026, 12, 5, 4, tzinfo=timezone(timedelta(hours=-8)))
    done = product.register(
        [paths[0], str(paths[1])],
        "tides",
        reference_time=day,
        member=3,
        config=system.config_file,
    )
    (instance,) = done.instances
    assert (instance["reference_time"], instance["files"]) == ("2026-12-05T12:00:00Z", 2)
    with system.reader() as reader:
        found = reader.products.files(instance["instance"])
    assert [each.data.member for each in found] == ["3", "3"]
    again = product.register(
        paths[0], "tides", reference_time="2026120512", member="3", config=system.config
    )
    assert [each["new"] for each in again.files] == [False]


def test_python_moves_and_refuses(system: System, tmp_path: Path) -> None:
    (tmp_path / "a_2026120600.txt").write_text("whole")
    (tmp_path / "b_2026120600.csv").write_text("time,level\n2026-12-06,")
    (tmp_path / "c_2026120600.csv").write_text("time,level\n2026-12-06")
    with pytest.raises(product.FilesRefused, match="row 1 has 1 of 2 fields") as raised:
        product.register(tmp_path, "waves", move=True, config=system.config)
    goal = system.folder / "results" / "2026120600"
    assert names(goal) == ["a_2026120600.txt", "b_2026120600.csv"]
    assert [each["url"] for each in raised.value.registered.files] == [
        (goal / name).as_uri() for name in names(goal)
    ]
    assert names(tmp_path) == ["c_2026120600.csv"]


def test_python_is_told_why(system: System, tmp_path: Path) -> None:
    (tmp_path / "a_2026120700.txt").write_text("x")
    with pytest.raises(NowcastError, match="there is no product 'wave'"):
        product.register(tmp_path, "wave", config=system.config)
    with pytest.raises(UsageError, match="say two things"):
        product.register(tmp_path, "waves", move=True, link=True, config=system.config)
    with pytest.raises(UsageError, match="the reference time must be a time"):
        product.register(tmp_path, "waves", reference_time="noon", config=system.config)
