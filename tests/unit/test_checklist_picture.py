"""The checklist file is written beside the manager's turns, and holds everything in the end."""

import logging
import threading

import pytest

from helpers import wait_until
from nowcast_cli.manager.checklist_picture import ChecklistPicture
from nowcast_cli.store import checklist_file
from nowcast_cli.store.checklist_file import read_checklist, read_header
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import ChecklistPut

LOGGER = logging.getLogger("test")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "nowcast.db")
    yield store
    store.close()


@pytest.fixture
def disk(monkeypatch):
    """A disk that takes its time: it goes on when it is told so."""
    goes_on = threading.Event()
    write = checklist_file.write_atomically

    def slowly(path, data):
        goes_on.wait(10)
        write(path, data)

    monkeypatch.setattr(checklist_file, "write_atomically", slowly)
    return goes_on


def test_what_changes_while_the_file_is_written_is_written_next(tmp_path, store, disk):
    path = tmp_path / "checklist.yaml"
    picture = ChecklistPicture(store, path, LOGGER)
    store.commit([ChecklistPut("a", 1, None)])
    picture.write(1)
    assert not path.exists()
    assert picture.due_in() > 0  # it can be waited for

    store.commit([ChecklistPut("a", 2, None)])
    picture.mark()
    disk.set()
    wait_until(lambda: picture.due_in() == 0.0)
    picture.write(2)
    assert (read_checklist(path), read_header(path)) == ({"a": 1}, 1)
    wait_until(lambda: picture.due_in() == 0.0)
    picture.write(2)
    picture.close(2)
    assert (read_checklist(path), read_header(path)) == ({"a": 2}, 2)
    assert picture.due_in() is None


def test_the_end_waits_for_the_file_and_writes_the_rest(tmp_path, store, disk):
    path = tmp_path / "checklist.yaml"
    picture = ChecklistPicture(store, path, LOGGER)
    picture.write(1)
    store.commit([ChecklistPut("a", 2, None)])
    picture.mark()
    threading.Timer(0.05, disk.set).start()
    picture.close(2)
    assert (read_checklist(path), read_header(path)) == ({"a": 2}, 2)


def test_a_file_that_cannot_be_written_is_told_of_once_and_tried_again(
    tmp_path, store, monkeypatch, caplog
):
    caplog.set_level(logging.INFO)

    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "checklist.yaml"
    picture = ChecklistPicture(store, path, LOGGER)
    with monkeypatch.context() as patch:
        patch.setattr(checklist_file, "write_atomically", full)
        for _ in range(4):
            wait_until(lambda: picture.due_in() == 0.0)
            picture.write(1)
        assert "No space left" in picture.trouble

    def turn():
        if picture.due_in() == 0.0:
            picture.write(1)
        return picture.trouble is None

    wait_until(turn)
    assert read_header(path) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    picture.close(1)
