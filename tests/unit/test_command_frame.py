"""The frame of the command line: errors, exit codes, common options, lazy commands, output."""

from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, run
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer

from nowcast_cli.cli import root
from nowcast_cli.cli.app import main
from nowcast_cli.cli.commands import COMMANDS, CommandEntry
from nowcast_cli.cli.context import invocation_of, output_of, system_of
from nowcast_cli.cli.options import command_app, group_app
from nowcast_cli.cli.output import Output, Painted, wants_color
from nowcast_cli.errors import ConfigError, NotFound, NowcastError

Command = Callable[..., Any]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Command], None]:
    """Put a function in the place of the command ``status``."""

    def install(function: Command) -> None:
        app = command_app()
        app.command()(function)
        module = ModuleType("stand_in")
        module.app = app  # type: ignore[attr-defined]
        monkeypatch.setattr(root, "import_module", lambda name: module)

    return install


def raising(error: BaseException) -> Command:
    def status() -> None:
        raise error

    return status


def test_an_error_is_told_as_what_why_and_the_remedy(
    command: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(NotFound("there is no job 7", cause="it was cleaned", hint="nowcast job list")))
    assert main(["status"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: there is no job 7\ncaused by: it was cleaned\nhint: nowcast job list\n"


def test_every_mistake_of_a_configuration_is_an_error_line(
    command: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(ConfigError("nowcast.yaml:1:2: a: bad\nnowcast.yaml:3:4: b: bad")))
    assert main(["status"]) == 2
    assert capsys.readouterr().err == (
        "error: nowcast.yaml:1:2: a: bad\nerror: nowcast.yaml:3:4: b: bad\n"
    )


def test_a_traceback_is_shown_only_with_debug(
    command: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(NowcastError("no")))
    assert main(["status"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main(["status", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_called_one_and_asks_for_a_report(
    command: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(ZeroDivisionError("by zero")))
    assert main(["status"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: a mistake in nowcast itself\ncaused by: ZeroDivisionError")
    assert "--debug" in err
    assert "Traceback" not in err


def test_a_disk_that_is_read_only_is_no_mistake_of_nowcast(
    command: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(OSError(errno.EROFS, "Read-only file system", "/var/x.lock")))
    assert main(["status"]) == 1
    assert capsys.readouterr().err == (
        "error: /var/x.lock cannot be used\n"
        "caused by: Read-only file system\n"
        "hint: nowcast doctor\n"
    )


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 0), (typer.Exit(124), 124)]
)
def test_an_interruption_and_a_reader_that_has_gone_are_quiet(
    error: BaseException,
    code: int,
    command: Callable[[Command], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(raising(error))
    assert main(["status"]) == code
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_output_that_has_no_room_is_one_sentence(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(
            [sys.executable, "-m", "nowcast_cli.cli", *arguments],
            stdout=full,
            stderr=PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_closed_standard_output_is_no_error() -> None:
    command = f"{sys.executable} -m nowcast_cli.cli --help >&-"
    done = run(["/bin/sh", "-c", command], stderr=PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_command_returns_is_the_exit_code(command: Callable[[Command], None]) -> None:
    def status() -> int:
        return 5

    command(status)
    assert main(["status"]) == 5


@pytest.mark.parametrize(
    "line", [["-C", "DIR", "status"], ["status", "-C", "DIR"], ["status", "-C", "DIR", "word"]]
)
def test_common_options_stand_before_or_after_the_command(
    line: list[str], command: Callable[[Command], None]
) -> None:
    seen = []

    def status(ctx: typer.Context, word: Annotated[str | None, typer.Argument()] = None) -> None:
        seen.append(invocation_of(ctx).directory)

    command(status)
    assert main(line) == 0
    assert seen == [Path("DIR")]


def test_a_command_keeps_an_option_of_its_own_that_has_a_common_name(
    command: Callable[[Command], None],
) -> None:
    seen = []

    def status(ctx: typer.Context, debug: Annotated[bool, typer.Option("--debug")] = False) -> None:
        seen.append((debug, invocation_of(ctx).debug))

    command(status)
    main(["status", "--debug"])
    assert seen == [(True, False)]


def test_commands_of_a_group_take_the_common_options_too(monkeypatch: pytest.MonkeyPatch) -> None:
    app = group_app("Jobs.")
    seen = []

    @app.command("list")
    def list_jobs(ctx: typer.Context) -> None:
        seen.append(invocation_of(ctx).config)

    module = ModuleType("stand_in")
    module.app = app  # type: ignore[attr-defined]
    monkeypatch.setattr(root, "import_module", lambda name: module)
    assert main(["job", "list", "--config", "x.yaml"]) == 0
    assert seen == [Path("x.yaml")]


def test_no_system_is_exit_4(
    command: Callable[[Command], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("NOWCAST_YAML", raising=False)

    def status(ctx: typer.Context) -> None:
        system_of(ctx)

    command(status)
    assert main(["-C", str(tmp_path), "status"]) == 4
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        (["statsu"], "No such command 'statsu'. Did you mean 'status'", "nowcast --help"),
        (["status", "--jsno"], "No such option: --jsno", "nowcast status --help"),
        (["-C"], "Option '-C' requires an argument", "nowcast --help"),
    ],
)
def test_a_wrong_command_line_is_exit_2_and_names_the_help(
    line: list[str], says: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {says}")
    assert err.endswith(f"hint: {hint}\n")


def test_nowcast_alone_prints_its_help_as_a_mistake_of_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "Examples:" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command_in_80_columns(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option]) == 0
    text = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert f"  {name} " in text
        assert entry.help in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(("name", "entry"), COMMANDS.items())
def test_the_table_says_what_the_commands_say_of_themselves(
    name: str, entry: CommandEntry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert entry.help in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def leaves(name: str) -> list[list[str]]:
    """Name the commands below ``nowcast NAME`` that do something themselves."""
    command = root.load_command(name, root.build_root())
    inner = getattr(command, "commands", {})
    return [[name, each] for each in inner] if inner else [[name]]


@pytest.mark.parametrize("command", [each for name in COMMANDS for each in leaves(name)])
def test_the_help_of_each_command_has_examples_and_no_mark_of_the_source(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "\n  Examples:\n    nowcast " in text
    assert "\\b" not in text


@pytest.mark.parametrize("name", [name for name in COMMANDS if leaves(name) != [[name]]])
def test_no_line_of_a_groups_help_is_cut(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    commands = capsys.readouterr().out.partition("Commands:")[2]
    assert "..." not in commands


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_is_printed_alone_and_among_other_options(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option]) == 0
    alone = capsys.readouterr().out
    assert main(["-C", "somewhere", option]) == 0
    assert capsys.readouterr().out == alone
    assert alone.startswith("nowcast ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "stream", "environment", "colored"),
    [
        ("auto", Terminal(), {}, True),
        ("auto", io.StringIO(), {}, False),
        ("auto", Terminal(), {"NO_COLOR": "1"}, False),
        ("auto", Terminal(), {"TERM": "dumb"}, False),
        ("never", Terminal(), {}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
    ],
)
def test_colour_goes_where_it_is_wanted(
    choice: Any, stream: io.StringIO, environment: dict[str, str], colored: bool
) -> None:
    assert wants_color(choice, stream, environment) is colored


def test_columns_align_on_the_text_without_its_colour(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output("always")
    out.columns([["a", Painted("ok", "green"), "x"], ["long", Painted("crashed", "red"), "y"]])
    assert capsys.readouterr().out == (
        "a     \x1b[32mok\x1b[0m       x\nlong  \x1b[31mcrashed\x1b[0m  y\n"
    )


def test_a_table_without_rows_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(["id"], [])
    assert capsys.readouterr().out == ""


def test_a_row_whose_last_cells_are_empty_ends_without_blanks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output().table(["id", "took", "reason"], [["1", "2.0 s", ""], ["2", "", Painted("killed")]])
    assert capsys.readouterr().out == "ID  TOOK   REASON\n1   2.0 s\n2          killed\n"


def test_json_says_its_schema_first_and_a_stream_is_one_object_a_line(
    command: Callable[[Command], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def status(ctx: typer.Context) -> None:
        output_of(ctx).json({"jobs": []})
        output_of(ctx).json_line({"line": 1})

    command(status)
    main(["status"])
    text = capsys.readouterr().out
    assert list(json.loads(text[: text.rindex('{"schema')])) == ["schema", "jobs"]
    assert text.splitlines()[-1] == '{"schema": 1, "line": 1}'
