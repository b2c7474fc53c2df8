"""Finding workers by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.config import Config
from nowcast_cli.config.workers import find_worker_module, known_workers
from nowcast_cli.errors import NotFound


def deployment(folder: Path, text: str = "a: 1", modules: tuple[str, ...] = ()) -> Config:
    for module in modules:
        file = folder / f"{module.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("raise SystemExit('a worker must not be imported to be found')")
    (folder / "nowcast.yaml").write_text(text)
    config = Config()
    config.load(folder / "nowcast.yaml")
    return config


def test_a_worker_is_found_in_the_workers_folder(tmp_path: Path) -> None:
    config = deployment(tmp_path, modules=("workers.rain",))
    assert find_worker_module(config, "rain") == "workers.rain"


def test_neither_the_worker_nor_its_package_is_imported(tmp_path: Path) -> None:
    config = deployment(tmp_path, modules=("workers.__init__", "workers.rain"))
    assert find_worker_module(config, "rain") == "workers.rain"


def test_packages_are_searched_in_the_order_given_and_ours_is_the_last(tmp_path: Path) -> None:
    config = deployment(
        tmp_path,
        "worker packages: [second, first.inner]",
        ("first.inner.rain", "second.rain", "first.inner.sleep"),
    )
    assert find_worker_module(config, "rain") == "second.rain"
    assert find_worker_module(config, "sleep") == "first.inner.sleep"


def test_the_registry_names_a_module_that_the_name_does_not_lead_to(tmp_path: Path) -> None:
    text = "message registry: {workers: {rain: {module: other.place}}}"
    config = deployment(tmp_path, text, ("other.place", "workers.rain"))
    assert find_worker_module(config, "rain") == "other.place"


def test_a_dotted_name_is_taken_as_it_is(tmp_path: Path) -> None:
    config = deployment(tmp_path, modules=("a.b.c",))
    assert find_worker_module(config, "a.b.c") == "a.b.c"


@pytest.mark.parametrize("name", ["a.b.gone", "gone.b", "a..b", ".a", "a.b.c.d", "."])
def test_a_dotted_name_of_no_module_is_not_found(tmp_path: Path, name: str) -> None:
    config = deployment(tmp_path, modules=("a.b.c",))
    with pytest.raises(NotFound, match="there is no module"):
        find_worker_module(config, name)


def test_an_unknown_name_is_answered_with_those_that_are_known(tmp_path: Path) -> None:
    text = "message registry: {workers: {collect_weather: {}}}"
    config = deployment(tmp_path, text, ("workers.make_plots",))
    with pytest.raises(NotFound, match="did you mean 'make_plots'") as caught:
        find_worker_module(config, "make_plot")
    assert caught.value.exit_code == 4
    assert "collect_weather" in (caught.value.hint or "")


def test_a_module_of_the_registry_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    text = "message registry: {workers: {rain: {module: other.place}}}"
    with pytest.raises(NotFound, match=r"there is no module other\.place") as caught:
        find_worker_module(deployment(tmp_path, text), "rain")
    assert "message registry.workers.rain.module" in (caught.value.cause or "")


def test_known_workers_are_those_of_the_registry_and_of_the_packages(tmp_path: Path) -> None:
    config = deployment(
        tmp_path,
        "message registry: {workers: {rain: {}}}",
        ("workers.snow", "workers._helper", "workers.__init__"),
    )
    known = known_workers(config)
    assert {"rain", "snow"} <= set(known)
    assert "_helper" not in known
    assert known == sorted(known)
