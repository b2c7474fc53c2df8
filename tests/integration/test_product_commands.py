"""``nowcast product``: what the index says with the system up or down, what is kept, what goes."""

import hashlib
import re
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_until
from nowcast_cli.identifiers import new_id
from nowcast_cli.store.database import Store
from nowcast_cli.store.product_records import ProductPut, ProductRecord
from nowcast_cli.store.products import Products
from nowcast_cli.workers.housekeeping import housekeeping
from nowcast_command import Done, nowcast
from systems import System

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
PRODUCTS = {
    "hrdps": {
        "title": "Surface fields",
        "files": 2,
        "retention": {"keep": "2 cycles"},
        "expected": {"after": "30d"},
    },
    "tides": None,
}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    made = System(
        tmp_path_factory.mktemp("products") / "system", workers=(), settings={"products": PRODUCTS}
    )
    made.start()
    yield made
    made.end()


@pytest.fixture
def product(system: System) -> Any:
    return lambda *arguments: nowcast(system.folder, "product", *map(str, arguments))


def reference(hours_ago: int) -> str:
    return (NOW - timedelta(hours=hours_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def register(system: System, folder: Path, hours_ago: int, *names: str) -> list[Path]:
    paths = []
    files = []
    for name in names:
        path = folder / f"{name}_{hours_ago}.csv"
        path.write_text(f"{name} of {hours_ago} h ago\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        files.append({"url": path.as_uri(), "format": "csv", "size": size, "sha256": digest})
        paths.append(path)
    system.request(
        "register product",
        {"product": "hrdps", "reference_time": reference(hours_ago), "files": files},
    )
    return paths


def history(product: Any) -> list[Any]:
    found: Done = product("history", "hrdps", "--json")
    return list(found.json["instances"])


def test_products_are_listed_shown_kept_and_let_go(system, product, tmp_path):
    assert product("list").out.splitlines()[1].split() == [
        "hrdps", "-", "-", "none", "-", "-", "Surface", "fields",
    ]  # fmt: skip
    unknown = product("show", "hrpds")
    assert (unknown.code, "did you mean 'hrdps'?" in unknown.err) == (4, True)
    none = product("latest", "hrdps")
    assert (none.code, "there is no instance of 'hrdps'" in none.err) == (4, True)

    old = [path for age in (30, 24, 18) for path in register(system, tmp_path, age, "u", "v")]
    register(system, tmp_path, 6, "u")
    listed = product("list", "--json").json["products"]
    assert [(each["product"], each["declared"]) for each in listed] == [
        ("hrdps", True), ("tides", True),
    ]  # fmt: skip
    assert listed[0]["latest"]["missing"] == "1 of 2 files"
    assert re.search(r"\b[67] h\b", product("list").out), "six hours, or more by now"
    assert product("latest", "hrdps", "--json").json["reference_time"] == reference(6)
    complete = product("latest", "hrdps", "--complete", "--json").json
    assert (complete["reference_time"], complete["files"]) == (reference(18), 2)
    cycle = product("latest", "hrdps", "--cycle", reference(24)[11:13], "--json").json
    assert cycle["reference_time"] == reference(24)
    files = product("files", "hrdps", "-r", reference(30), "--json").json["list"]
    assert [each["url"] for each in files] == [path.as_uri() for path in old[:2]]
    assert str(old[0]) in product("files", "hrdps", "-r", reference(30)).out
    shown = product("show", history(product)[1]["instance"][-8:])
    assert "complete" in shown.out
    assert str(old[4]) in shown.out
    assert "Surface fields" in product("show", "hrdps").out

    oldest = history(product)[-1]["instance"]
    assert product("pin", oldest[-8:]).code == 0
    plan = product("expire", "--dry-run", "--json").json
    assert [(each["reference_time"], each["kept"]) for each in plan["instances"]] == [
        (reference(30), "it is pinned"), (reference(24), None),
    ]  # fmt: skip
    assert "beyond the latest 2 reference times" in product("expire", "--dry-run").out
    assert all(path.exists() for path in old)

    expired = product("expire", "hrdps", "--json").json
    assert (expired["files"], expired["failed"]) == (2, {})
    assert [path.exists() for path in old] == [True, True, False, False, True, True]
    assert product("expire").err == "nothing expires\n"
    product("unpin", "hrdps", "-r", reference(30))
    refused = product("delete", "hrdps", "-r", reference(18))
    assert (refused.code, "it is the latest complete one" in refused.err) == (1, True)
    assert product("delete", oldest[-8:]).code == 0
    assert not old[0].exists()
    assert len(history(product)) == 2
    assert len(product("history", "hrdps", "--all", "--json").json["instances"]) == 4
    told = nowcast(system.folder, "events", "--topic", "products~hrdps~expired", "--json")
    assert told.out.count('"gone"') == 1


def test_the_index_is_held_against_the_disk(system, product, tmp_path):
    gone, changed, other, whole = (register(system, tmp_path, age, "w")[0] for age in (3, 2, 1, 0))
    assert product("fsck").code == 0
    gone.unlink()
    changed.write_text("longer than it was before\n")
    other.write_text(other.read_text().upper())

    found = product("fsck", "hrdps", "--checksums", "--json")
    assert found.code == 1
    assert {(each["url"], each["trouble"]) for each in found.json["found"]} == {
        (gone.as_uri(), "missing"),
        (changed.as_uri(), "other size"),
        (other.as_uri(), "other checksum"),
    }
    assert product("fsck").code == 1
    mended = product("fsck", "--checksums", "--mend", "--json")
    assert (mended.code, mended.json["mended"]) == (0, 3)
    assert product("fsck", "--checksums").err == "all files are as the index has them\n"
    assert (changed.exists(), whole.exists()) == (True, True)


def test_what_was_deleted_and_is_there_still_is_removed(system, product, tmp_path):
    (path,) = register(system, tmp_path, 4, "x")
    with system.reader() as reader:
        instance = reader.products.version("hrdps", reference(4))
    system.request("delete product", {"instance": instance.id, "force": True})  # and is killed then
    assert path.exists()

    found = product("fsck", "--json")
    assert [each["trouble"] for each in found.json["found"]] == ["left over"]
    assert product("fsck", "--mend").code == 0
    assert not path.exists()
    with system.reader() as reader:
        assert isinstance(reader.products, Products)
        assert reader.products.leftovers() == []


def test_the_daily_worker_lets_products_expire(system, tmp_path):
    old, *_ = [register(system, tmp_path, age, "d", "e")[0] for age in (50, 49, 48)]

    done = housekeeping(Namespace(backups=0), system.config)

    assert done["removed"]["instances of products"] >= 1
    assert not old.exists()


def test_a_copy_expires_after_its_time(system, product, tmp_path):
    fast, archive = tmp_path / "fast.csv", tmp_path / "archive" / "fast.csv"
    archive.parent.mkdir()
    for path in (fast, archive):
        path.write_text("x")
        file = {
            "url": path.as_uri(), "format": "csv", "size": 1, "name": "fast.csv",
            "sha256": hashlib.sha256(b"x").hexdigest(),
            "expires": reference(1) if path == fast else None,
        }  # fmt: skip
        system.request(
            "register product",
            {"product": "tides", "reference_time": reference(0), "files": [file]},
        )

    assert product("expire", "--dry-run", "--json").json["copies"] == [fast.as_uri()]
    assert product("expire").code == 0
    assert (fast.exists(), archive.exists()) == (False, True)


def test_what_became_late_meanwhile_is_an_event_and_in_the_status(tmp_path):
    products = {"hrdps": {"expected": {"after": "1 s"}}}
    system = System(tmp_path / "system", workers=(), settings={"products": products})
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    system.paths.database.parent.mkdir(parents=True, exist_ok=True)
    with closing(Store(system.paths.database)) as store:
        known = ProductRecord(new_id(), "hrdps", {"expected": {}}, "", "", yesterday)
        store.commit([ProductPut(known)])
    system.start()
    try:
        (found,) = wait_until(lambda: late(system), timeout=60)
        assert found["reference_time"].endswith("T00:00:00Z")
        told = nowcast(system.folder, "events", "--topic", "products~hrdps~late", "--json")
        assert told.out.count('"due"') == 1
        assert "product hrdps of" in nowcast(system.folder, "status").out
    finally:
        system.end()


def late(system: System) -> list[Any]:
    return list(nowcast(system.folder, "status", "--json").json["late products"])


def test_the_index_is_read_with_the_system_down(tmp_path):
    system = System(tmp_path / "system", workers=(), settings={"products": PRODUCTS})
    never = nowcast(system.folder, "product", "list", "--json")
    assert (never.code, len(never.json["products"])) == (0, 2)
    system.start()
    register(system, tmp_path, 6, "u", "v")
    system.end()

    down = nowcast(system.folder, "product", "latest", "hrdps", "--json")
    assert (down.code, down.json["files"]) == (0, 2)
    refused = nowcast(system.folder, "product", "pin", "hrdps")
    assert (refused.code, "does not run" in refused.err) == (3, True)
