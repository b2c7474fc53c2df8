"""The arguments of a worker, in the order that tests of deployments count on."""

import argparse
import types

import arrow
import pytest

from nowcast_cli import NowcastWorker
from nowcast_cli.worker.command_line import CommandLineInterface


@pytest.fixture
def worker():
    worker = NowcastWorker("make_plots", description="Make plots.", package="ocean.workers")
    worker.init_cli()
    return worker


def test_help_configuration_and_debug_come_first_then_the_workers_own(worker):
    worker.cli.add_argument("run_type")
    worker.cli.add_date_option("--run-date", default=arrow.get("2026-11-22"), help="Day.")

    names = [action.dest for action in worker.cli.parser._actions]
    assert names == ["help", "config_file", "debug", "run_type", "run_date"]


def test_a_date_option_gives_midnight_utc_and_says_its_form(worker):
    worker.cli.add_date_option("--run-date", default=arrow.get("2026-11-22"), help="Day to plot.")

    parsed = worker.cli.parser.parse_args(["nowcast.yaml", "--run-date", "2026-02-28"])
    assert parsed.run_date == arrow.get("2026-02-28T00:00:00+00:00")
    assert worker.cli.parser.parse_args(["nowcast.yaml"]).run_date == arrow.get("2026-11-22")
    assert worker.cli.parser._actions[3].help == (
        "Day to plot. Use YYYY-MM-DD format. Defaults to 2026-11-22."
    )


@pytest.mark.parametrize("text", ["22-11-2026", "2026-02-30", "yesterday", ""])
def test_what_is_no_date_is_refused_with_the_form(text):
    with pytest.raises(argparse.ArgumentTypeError, match="not a date of the form YYYY-MM-DD"):
        CommandLineInterface.arrow_date(text)


def test_the_usage_names_the_module_as_it_is_run(worker):
    assert worker.cli.parser.prog == "python -m ocean.workers.make_plots"
    assert worker.cli.parser.description == "Make plots."


def test_the_command_line_can_be_made_for_a_stand_in_of_a_worker():
    stand_in = types.SimpleNamespace(
        name="make_plots", description=None, package="nowcast.workers", cli=None
    )

    NowcastWorker.init_cli(stand_in)

    assert stand_in.cli.parser.parse_args(["x.yaml", "--debug"]).debug is True


def test_a_worker_has_the_attributes_that_deployments_read():
    worker = NowcastWorker("sleep", "Sleep.")

    assert (worker.name, worker.description, worker.package) == (
        "sleep",
        "Sleep.",
        "nowcast.workers",
    )
    assert (worker.cli, worker.logger, dict(worker.config)) == (None, None, {})
