"""What ``nowcast store check`` finds in stores that SQLite calls sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nowcast_cli.cli.app import main
from nowcast_cli.config import Config, SystemPaths, system_paths
from nowcast_cli.identifiers import new_id
from nowcast_cli.manager.checking import problems_of
from nowcast_cli.messages import wire
from nowcast_cli.store.checklist_file import header_line
from nowcast_cli.store.database import Store
from nowcast_cli.store.records import (
    ChecklistPut,
    JobPut,
    JobRecord,
    MessageReceived,
    MessageRecord,
)

NOW = "2026-11-22T10:00:00.000Z"


@pytest.fixture
def paths(tmp_path) -> SystemPaths:
    (tmp_path / "nowcast.yaml").write_text(
        "zmq: {ports: {workers: 5555, manager: 5556}}\nmessage registry: {workers: {}}\n"
    )
    config = Config()
    config.load(tmp_path / "nowcast.yaml")
    paths = system_paths(config)
    paths.state.mkdir()
    return paths


def fill(paths: SystemPaths, count: int = 5, without: tuple[int, ...] = ()) -> Store:
    store = Store(paths.database)
    for number in range(1, count + 1):
        if number not in without:
            body = wire.dump({"source": "first", "type": "success", "payload": {number: "x"}})
            record = MessageRecord(
                number, f"m{number}", NOW, "first", "success", body, None, f"c{number}", "success",
                "decided", effect="put", checklist_key="tide\n...\n",
            )  # fmt: skip
            store.commit([MessageReceived(record)])
    store.commit([ChecklistPut("tide", dict.fromkeys(range(1, count + 1), "x"), None)])
    document = store.save_checklist(count)
    show(paths, count, document)
    return store


def show(paths: SystemPaths, number: int, document: str) -> None:
    paths.checklist_file.write_text(header_line(number, NOW) + document)


def test_a_sound_store_has_no_problems(paths):
    fill(paths).close()
    assert list(problems_of(paths)) == []


def test_messages_that_are_missing_are_counted(paths):
    fill(paths, without=(2, 3)).close()
    problems = list(problems_of(paths))
    assert problems[0] == "2 of the messages 1 to 5 are not there"


def test_a_store_that_is_older_than_the_file_is_found_out(paths):
    fill(paths).close()
    show(paths, 9, "tide: {}\n")
    assert "ends at message 5, but the checklist file shows message 9" in " ".join(
        problems_of(paths)
    )


@pytest.mark.parametrize("document", ["tide: {1: y}\n", "wind: 3\n", "[1"])
def test_a_checklist_file_that_says_something_else_is_found_out(paths, document):
    fill(paths).close()
    show(paths, 5, document)
    assert "checklist" in " ".join(problems_of(paths))


def test_a_checklist_that_the_journal_does_not_make_is_found_out(paths):
    store = fill(paths)
    store.commit([ChecklistPut("tide", {1: "other"}, None)])
    show(paths, 5, store.save_checklist(5))
    store.close()
    assert list(problems_of(paths)) == [
        "what it keeps of the checklist is not what the journal says, at: tide"
    ]


def test_what_an_older_system_left_in_the_checklist_is_no_problem(paths):
    store = fill(paths)
    store.commit([ChecklistPut("of NEMO_Nowcast", 1, None)])
    show(paths, 5, store.save_checklist(5))
    store.close()
    assert list(problems_of(paths)) == []


def test_jobs_that_cannot_be_are_found_out(paths):
    store = fill(paths)
    running = JobRecord(
        new_id(), "first", "workers.first", (), "localhost", "local", "running", 1, None, None, "c",
        None, NOW,
    )  # fmt: skip
    held = JobRecord(
        new_id(), "first", "workers.first", (), "localhost", "local", "held", 1, None, None, "c",
        7, NOW, final_message=3,
    )  # fmt: skip
    store.commit([JobPut(running), JobPut(held)])
    store.close()
    assert [problem.partition(":")[0] for problem in problems_of(paths)] == [
        "1 running jobs have no folder",
        "1 held jobs have no barrier that holds them",
        "1 jobs have sent their last message and not ended",
    ]


def test_the_command_ends_with_1_and_names_the_remedy(paths, capsys):
    store, folder = fill(paths, without=(2,)), str(Path(paths.config_file).parent)
    assert main(["-C", folder, "store", "check", "--json"]) == 1  # while it is written
    assert len(json.loads(capsys.readouterr().out)["problems"]) > 0
    store.close()
    assert main(["-C", folder, "store", "check"]) == 1
    assert "nowcast store repair" in capsys.readouterr().err


def test_there_is_nothing_to_check_before_the_first_start(paths, capsys):
    folder = str(Path(paths.config_file).parent)
    for command in ("check", "repair"):
        assert main(["-C", folder, "store", command]) == 4
        assert "never been started" in capsys.readouterr().err
