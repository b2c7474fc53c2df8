"""The names of NEMO_Nowcast, as deployments and their tests use them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import arrow
import pytest

import nemo_nowcast
import nowcast_cli
from nemo_nowcast import CommandLineInterface, Config, Message, NextWorker, NowcastWorker
from nemo_nowcast.fileutils import FilePerms


def test_the_names_are_the_very_classes_of_nowcast_cli() -> None:
    for name in ("NowcastWorker", "NextWorker", "WorkerError", "get_web_data", "Message", "Config"):
        assert getattr(nemo_nowcast, name) is getattr(nowcast_cli, name)
    assert set(nemo_nowcast.__all__) >= {"CommandLineInterface"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'NoSuchThing'"):
        _ = nemo_nowcast.NoSuchThing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "expression",
    [
        "nemo_nowcast.cli.CommandLineInterface.arrow_date",
        "nemo_nowcast.fileutils.FilePerms",
        "nemo_nowcast.worker.NextWorker",
        "nemo_nowcast.message.Message",
        "nemo_nowcast.config.Config",
        "nemo_nowcast.workers",
    ],
)
def test_a_module_is_there_after_import_nemo_nowcast_alone(expression: str) -> None:
    code = f"import nemo_nowcast; print({expression})"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_importing_the_name_alone_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import nemo_nowcast;"
        "print(sorted(set(sys.modules) - before - {'__future__'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, text=True, capture_output=True)
    assert found.stdout.strip() == "['nemo_nowcast']"


@pytest.mark.parametrize("name", ["sleep", "awaken", "clear_checklist", "rotate_logs"])
def test_a_built_in_worker_is_importable_by_its_old_name(name: str) -> None:
    module = __import__(f"nemo_nowcast.workers.{name}", fromlist=["main"])
    assert name == module.NAME
    assert all(callable(getattr(module, each)) for each in ("main", "success", "failure", name))


@pytest.mark.parametrize(
    ("user", "group", "other", "mode"),
    [
        ("rw", "rw", "r", 0o664),
        ("rwx", "rwx", "rx", 0o775),
        ("wr", "r", "", 0o640),
        ("", "", "", 0),
    ],
)
def test_permissions_in_words_give_the_mode(user: str, group: str, other: str, mode: int) -> None:
    assert int(FilePerms(user=user, group=group, other=other)) == mode


def test_a_letter_that_is_no_permission_is_refused() -> None:
    with pytest.raises(ValueError, match="the letters are r, w, x"):
        FilePerms(user="rq")


class MockNowcastWorker:
    """The stand-in of deployments' tests: four attributes, and the real init_cli."""

    def __init__(
        self, name: str, description: str | None, package: str = "nowcast.workers"
    ) -> None:
        self.name, self.description, self.package = name, description, package
        self.cli: CommandLineInterface | None = None

    def init_cli(self) -> None:
        NowcastWorker.init_cli(self)  # type: ignore[arg-type]

    def run(self, *args: object) -> None:
        pass


def a_workers_main(worker_class: type) -> NowcastWorker:
    """Stand in for the main() of a deployment's worker."""
    worker = worker_class("collect_tides", description="Collect tides.\n\nAnd more.")
    worker.init_cli()
    worker.cli.add_argument("gauge", choices={"Saint John", "Yarmouth"}, help="Name of the gauge.")
    worker.cli.add_date_option(
        "--run-date", default=arrow.get("2026-11-22"), help="Date to collect tides for."
    )
    worker.run(None, None, None)
    return worker  # type: ignore[no-any-return]


def test_arguments_stand_where_deployments_tests_index_them() -> None:
    actions = a_workers_main(MockNowcastWorker).cli.parser._actions
    assert [action.dest for action in actions] == [
        "help",
        "config_file",
        "debug",
        "gauge",
        "run_date",
    ]
    assert actions[3].choices == {"Saint John", "Yarmouth"}
    assert actions[4].type == nemo_nowcast.cli.CommandLineInterface.arrow_date
    assert actions[4].default == arrow.get("2026-11-22")
    assert actions[4].help == (
        "Date to collect tides for. Use YYYY-MM-DD format. Defaults to 2026-11-22."
    )


def test_what_else_deployments_tests_look_at_in_the_parser_is_there() -> None:
    worker = a_workers_main(MockNowcastWorker)
    assert worker.cli.parser.prog == "python -m nowcast.workers.collect_tides"
    assert worker.cli.parser.description == "Collect tides.\n\nAnd more."
    assert worker.cli.module_name == "collect_tides"
    assert isinstance(worker.cli.parser._actions[0], argparse._HelpAction)
    assert worker.cli.parser._positionals._actions[1].dest == "config_file"


def test_a_worker_may_be_replaced_by_a_mock() -> None:
    mock = Mock(name="NowcastWorker")
    worker = a_workers_main(mock)
    mock.assert_called_once_with("collect_tides", description="Collect tides.\n\nAnd more.")
    worker.init_cli.assert_called_once_with()  # type: ignore[attr-defined]
    assert worker.cli.add_argument.call_args.args == ("gauge",)  # type: ignore[attr-defined]


def test_a_command_line_has_no_parser_before_it_is_built() -> None:
    interface = CommandLineInterface("tides")
    assert interface.parser is None
    assert (interface.package, interface.description) == ("nowcast", None)
    interface.build_parser(add_help=False)
    assert [action.dest for action in interface.parser._actions] == ["config_file"]


def test_a_date_is_midnight_in_utc() -> None:
    date = CommandLineInterface.arrow_date("2026-11-22")
    assert date == arrow.get(datetime(2026, 11, 22, tzinfo=UTC))
    assert CommandLineInterface("tides").arrow_date("2026-11-22") == date
    with pytest.raises(argparse.ArgumentTypeError):
        CommandLineInterface.arrow_date("226-7-261")


def test_a_worker_has_the_attributes_that_tests_look_at() -> None:
    worker = NowcastWorker("tides", description="Collect.\n")
    assert (worker.name, worker.description, worker.package) == (
        "tides",
        "Collect.\n",
        "nowcast.workers",
    )
    assert worker.cli is None
    assert worker.logger is None
    assert isinstance(worker.config, Config)
    worker.init_cli()
    assert worker.cli.parser.parse_args(["nowcast.yaml"]).debug is False


def test_next_workers_are_compared_by_value() -> None:
    assert NextWorker("nowcast.workers.tides") == NextWorker("nowcast.workers.tides", [])
    assert NextWorker("tides", ["a"], "cluster") == NextWorker("tides", args=["a"], host="cluster")
    assert NextWorker("tides", ["a"]) != NextWorker("tides", ["b"])
    assert NextWorker("tides").host == "localhost"
    assert NextWorker("tides").args == []


def test_messages_take_their_parts_by_position_and_are_yaml() -> None:
    message = Message("tides", "success", {"gauges": {40: "Saint John"}})
    assert Message.deserialize(message.serialize()) == message
    bare = Message("tides", "crash")
    assert (bare.source, bare.type, bare.payload) == ("tides", "crash", None)
    by_hand = Message.deserialize("source: tides\ntype: success\npayload: {1: 2026-11-22}\n")
    assert by_hand.payload[1].isoformat() == "2026-11-22"


def test_a_test_can_write_a_configuration_and_load_it(tmp_path: Path) -> None:
    file = tmp_path / "nowcast.yaml"
    file.write_text(
        "checklist file: nowcast_checklist.yaml\nlogging: {handlers: []}\ntides: {1: a}"
    )
    config = Config()
    config.load(file)
    assert Path(config.file) == file
    assert config["tides"][1] == "a"
    assert "tides" in config
    assert config.get("weather") is None


def test_success_functions_work_on_plain_namespaces() -> None:
    from nemo_nowcast.workers import sleep

    assert sleep.success(SimpleNamespace(sleep_time=5)) == "success"  # type: ignore[arg-type]
