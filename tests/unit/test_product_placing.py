"""Files go to the folders of their products, and nothing is lost by who dies on the way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nowcast_cli.config.product_folders import filled_folder, folder_trouble
from nowcast_cli.config.products import product_findings
from nowcast_cli.errors import NowcastError
from nowcast_cli.manager.left_registrations import LeftRegistrations
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import State, Step
from nowcast_cli.manager.turn import Turn
from nowcast_cli.products.placing import FOLDER, left_over, placed


class Killed(BaseException):
    pass


def request_of(*paths: Path, size: int = 4) -> dict[str, object]:
    return {"product": "tides", "files": [{"url": each.as_uri(), "size": size} for each in paths]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.nc"
    path.write_text("tide")
    return path


@pytest.fixture
def goal(tmp_path: Path) -> Path:
    return tmp_path / "results" / "2026112206" / "source.nc"


def folders(state: Path) -> list[str]:
    return [each.name for each in (state / FOLDER).iterdir() if each.name != ".lock"]


@pytest.mark.parametrize("link", [False, True])
def test_a_file_is_put_in_its_place(link: bool, tmp_path: Path, source: Path, goal: Path) -> None:
    request = request_of(goal)
    with placed(tmp_path, "one", request, [(source, goal)], link) as whole:
        assert whole == request
        assert goal.read_text() == "tide"
        assert left_over(tmp_path) == []  # it is in somebody's hands
    assert source.exists() == link
    assert folders(tmp_path) == []


def test_a_place_on_another_file_system(source: Path, tmp_path: Path) -> None:
    goal = Path("/dev/shm") / f"nowcast-{source.stat().st_ino}" / "a.nc"
    try:
        with placed(tmp_path, "one", request_of(goal), [(source, goal)], False) as whole:
            assert len(whole["files"]) == 1
        assert (goal.read_text(), source.exists()) == ("tide", False)
        assert [each.name for each in goal.parent.iterdir()] == ["a.nc"]
    finally:
        goal.unlink(missing_ok=True)
        goal.parent.rmdir()


@pytest.mark.parametrize("link", [False, True])
def test_what_cannot_be_put_anywhere_stays(
    link: bool, tmp_path: Path, source: Path, goal: Path
) -> None:
    (goal / "below").mkdir(parents=True)
    with (
        pytest.raises(NowcastError, match="is a folder"),
        placed(tmp_path, "one", request_of(goal), [(source, goal)], link),
    ):
        raise AssertionError("it is not there")
    assert source.read_text() == "tide"
    assert folders(tmp_path) == []


def test_what_was_decided_is_carried_out_by_others(
    tmp_path: Path, source: Path, goal: Path
) -> None:
    request = request_of(goal, tmp_path / "never there")
    with pytest.raises(Killed), placed(tmp_path, "one", request, [(source, goal)], False):
        raise Killed
    (found,) = left_over(tmp_path)
    assert found.request == request_of(goal)
    assert left_over(tmp_path) == []  # it has been taken in hand
    found.release()
    (again,) = left_over(tmp_path)
    assert again.request == request_of(goal)
    again.end()
    assert (folders(tmp_path), left_over(tmp_path)) == ([], [])


def test_who_enters_waits_for_who_looks(tmp_path: Path, source: Path, goal: Path) -> None:
    begun = threading.Event()

    def enter() -> None:
        begun.wait()
        for number in range(50):
            with placed(tmp_path, f"n{number}", request_of(), [], False):
                pass

    entering = threading.Thread(target=enter)
    entering.start()
    begun.set()
    while entering.is_alive():
        for found in left_over(tmp_path):  # never one that is in use
            raise AssertionError(found)
    entering.join()
    assert folders(tmp_path) == []


# --- the manager


class Index:
    """What the manager would do with a request."""

    def __init__(self, refused: bool = False) -> None:
        self.refused = refused
        self.taken: list[object] = []

    def register(self, turn: Turn, request: object) -> Step:
        if self.refused:
            raise RequestError("there is no product 'tides'", "nowcast.yaml")
        self.taken.append(request)
        return Step(turn.state)


def looked(left: LeftRegistrations) -> None:
    """Let it look once, and take in what it has found."""
    while left.due_in() < 1.0:
        left.step(Turn(State()))
    left.act()


def test_the_manager_registers_what_is_left_over(tmp_path: Path, source: Path, goal: Path) -> None:
    with pytest.raises(Killed), placed(tmp_path, "a", request_of(goal), [(source, goal)], False):
        raise Killed
    clock = [0.0]
    index = Index(refused=True)
    left = LeftRegistrations(tmp_path, index.register, lambda: clock[0])
    looked(left)
    assert (index.taken, folders(tmp_path)) == ([], ["a"])
    index.refused = False
    looked(left)
    assert index.taken == []  # it is not time as yet
    clock[0] += 30
    looked(left)
    assert (index.taken, folders(tmp_path)) == ([request_of(goal)], [])


def test_a_folder_that_makes_no_sense_keeps_no_other(
    tmp_path: Path, source: Path, goal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FOLDER / "a").mkdir(parents=True)
    text = '{"token": "a", "told": 3, "ready": true}'
    (tmp_path / FOLDER / "a" / "publish.json").write_text(text)
    with pytest.raises(Killed), placed(tmp_path, "b", request_of(goal), [(source, goal)], False):
        raise Killed
    clock, index = [0.0], Index()
    left = LeftRegistrations(tmp_path, index.register, lambda: clock[0])
    for _ in range(3):
        looked(left)
        clock[0] += 30
    assert (index.taken, folders(tmp_path)) == ([request_of(goal)], ["a"])
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


# --- where files belong


def test_a_folder_is_filled_in() -> None:
    time = datetime(2026, 11, 22, 6, tzinfo=UTC)
    template = "/results/{product}/{reference:%Y%m%d%H}/{member}"
    assert folder_trouble(template) is None
    assert filled_folder(template, "tides", time, "3") == "/results/tides/2026112206/3"
    assert filled_folder("/r/{reference}{member}", "tides", time, None) == "/r/20261122T060000Z"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("/r/{refrence:%Y}", "{refrence:%Y} is not known; there are {reference}"),
        ("/r/{product:%Y}", "only {reference} takes a format"),
        ("/r/{reference", "a brace stands alone"),
        ("/r/{}", "{} is not known"),
    ],
)
def test_what_is_wrong_with_a_folder(template: str, words: str) -> None:
    config = {"products": {"tides": {"folder": template}}}
    (finding,) = product_findings(config)
    assert finding.path == ("products", "tides", "folder")
    assert words in finding.message
