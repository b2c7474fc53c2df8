"""Commands in the message registry: how they are read, checked, and filled in for a job."""

from __future__ import annotations

import shlex
import subprocess
from datetime import date
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast_cli.config.check import check
from nowcast_cli.config.command_step import CommandStep, command_step
from nowcast_cli.config.placeholders import FillError, fill, placeholders, shell_text_of
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.step_filling import StepError, day_of, filled, with_date
from nowcast_cli.config.step_filling import given as given_options

MESSAGES = {"success": "good", "failure": "bad", "crash": "fell"}
FACTS = {"run_date": "2026-11-22", "job_id": "i", "attempt": "1"}
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))


def step_of(**entry):
    step, mistakes = command_step(entry, ("workers", "step"), tuple(MESSAGES))
    assert not [each.message for each in mistakes]
    return step


def run(step, *arguments, **facts):
    return filled(step, arguments, {**FACTS, **facts}, "step")


# --- placeholders


def test_a_command_line_is_split_before_values_are_filled_in():
    step = step_of(command="./plot.sh --name '{name} x' {name}", parameters={"name": "a b"})
    assert run(step)["words"] == ["./plot.sh", "--name", "a b x", "a b"]


def test_braces_that_are_no_placeholders_stay():
    assert fill("${HOME} {{x}} {print $1} {}", {}) == "${HOME} {x} {print $1} {}"


def test_a_date_takes_a_format():
    assert fill("{run_date:%d%b%y}", FACTS) == date(2026, 11, 22).strftime("%d%b%y")
    with pytest.raises(FillError, match="wants a date such as 2026-11-22, not 'soon'"):
        fill("{run_date:%Y}", {"run_date": "soon"})


def test_what_only_the_host_knows_is_left_to_it():
    assert fill("{scratch}/x", {}) == "\0scratch\0/x"


@pytest.mark.parametrize(
    ("words", "index"),
    [
        (["sh", "-c", "x"], 2),
        (["/bin/bash", "-e", "-uc", "x", "y"], 3),
        (["bash", "script", "-c", "x"], None),
        (["bash", "--norc", "x"], None),
        (["python", "-c", "x"], None),
        ([], None),
    ],
)
def test_which_word_a_shell_reads(words, index):
    assert shell_text_of(words) == index


@given(TEXT)
@settings(max_examples=60, deadline=None)
def test_no_value_is_ever_read_by_a_shell(value):
    step = step_of(command=["sh", "-c", "printf %s {text}"], parameters={"text": ""})
    words = run(step, "--text", value)["words"]
    done = subprocess.run(words, capture_output=True, check=True)
    assert done.stdout == value.encode()
    assert not done.stderr


@given(st.lists(TEXT, max_size=4))
def test_words_stay_one_to_one(values):
    names = [f"p{number}" for number in range(len(values))]
    command = shlex.join(["x", *(f"{{{name}}}" for name in names)])
    step = step_of(command=command, parameters=dict.fromkeys(names, ""))
    arguments = [f"--{name}={value}" for name, value in zip(names, values, strict=True)]
    assert run(step, *arguments)["words"] == ["x", *values]


def test_quotes_of_the_shell_are_seen():
    found = [each.quoted for each in placeholders("""{a} "{b}" '{c}' \\"{d} "\\"{e}" {f}""")]
    assert found == [False, True, True, False, True, False]


# --- options and the date


def test_options_of_a_launch():
    step = step_of(command="x {domain} {size}", parameters={"domain": "salish", "size": None})
    assert run(step, "--size=3")["words"] == ["x", "salish", "3"]
    assert run(step, "--size", "3", "--domain", "")["words"] == ["x", "", "3"]
    with pytest.raises(StepError, match="step cannot run without --size"):
        run(step)
    with pytest.raises(StepError, match="wants a value after --size"):
        run(step, "--size")
    with pytest.raises(StepError, match=r"no option '--sise'; did you mean '--size'") as raised:
        run(step, "--sise", "3")
    assert raised.value.hint == "its options are --run-date, --domain, --size"
    with pytest.raises(StepError, match="no option 'x'"):
        given_options(step, "step", ["x"])


def test_a_job_gets_its_date_once():
    step = step_of(command="x {run_date}")
    assert with_date(step, (), "2026-11-22") == ("--run-date", "2026-11-22")
    for arguments in (("--run-date", "2026-11-01"), ("--run_date=2026-11-01",), ("--no", "x")):
        assert with_date(step, arguments, "2026-11-22") == arguments
    assert with_date(step_of(command="x"), (), "2026-11-22") == ()
    needed = step_of(command="x {run_date}", parameters={"run_date": None})
    assert with_date(needed, (), "2026-11-22") == ()


def test_the_day_is_that_of_a_time_zone():
    zone = ZoneInfo("Asia/Tokyo")
    assert day_of("2026-11-22T14:59:59.000Z", zone) == "2026-11-22"
    assert day_of("2026-11-22T15:00:00.000Z", zone) == "2026-11-23"


def test_a_member_is_filled_in_where_there_is_one():
    step = step_of(command="x {member}")
    assert run(step, member="07")["words"] == ["x", "07"]
    with pytest.raises(StepError, match=r"there is no value for \{member\}; launch it as an ens"):
        run(step)


def test_all_that_a_job_is_given():
    step = step_of(
        command=["x"],
        environment={"N": 2, "FLAG": True},
        outputs={"{run_date}.nc": "/r/{run_date}/a.nc", "b": "/r/{run_date}/b.nc"},
        inputs={"copy": ["/in/{run_date}.nc"], "link": {"mesh": "/in/m.nc"}},
        **{"as": "symlink", "success codes": [0, 3], "working directory": "{deployment}"},
    )
    assert run(step) == {
        "words": ["x"],
        "environment": {"N": "2", "FLAG": "true"},
        "directory": "\0deployment\0",
        "success_codes": [0, 3],
        "copy": {"2026-11-22.nc": "/in/2026-11-22.nc"},
        "link": {"mesh": "/in/m.nc"},
        "outputs": [
            ["2026-11-22.nc", "/r/2026-11-22/a.nc", "/r/2026-11-22"],
            ["b", "/r/2026-11-22/b.nc", "/r/2026-11-22"],
        ],
        "marker": None,
        "messages": ["success", "failure", "crash"],
    }


# --- what is wrong


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"command": ""}, "must not be empty"),
        ({"command": "a 'b"}, "cannot be split into words: no closing quotation"),
        ({"command": {"a": 1}}, "must be a command line or a list of words"),
        ({"command": "x --day {run_date"}, "{run_date has no end"),
        ({"command": ["sh", "-c", "f() { echo {run_date; }"]}, "{run_date has no end"),
        ({"command": "x {run_dat}"}, "nothing is known of {run_dat}; did you mean 'run_date'?"),
        ({"command": "x {scratch:%Y}"}, "only a date has a format, not {scratch}"),
        ({"command": "sh -c 'echo \"{run_date}\"'"}, "stands between quotes of the shell"),
        ({"command": "x", "module": "workers.x"}, "is of no use to a worker that has a `command`"),
        ({"command": "x", "environment": {"A B": 1}}, "is no name of a variable"),
        ({"command": "x", "environment": {"NOWCAST_X": 1}}, "is set by nowcast itself"),
        ({"command": "x", "environment": {"A": [1]}}, "must be text or a number"),
        ({"command": "x", "success codes": [0, 256]}, "must be exit codes from 0 to 255"),
        ({"command": "x", "success codes": True}, "must be exit codes from 0 to 255"),
        ({"command": "x", "parameters": {"a-b": 1}}, "is no name of letters, digits and _"),
        ({"command": "x", "parameters": {"scratch": 1}}, "is filled in by nowcast itself"),
        ({"command": "x", "inputs": {"cop": []}}, "not a key of this section; did you mean 'copy'"),
        ({"command": "x", "inputs": {"copy": ["a/x", "b/x"]}}, "two of them are called x"),
        ({"command": "x", "inputs": {"copy": ["x"], "link": ["b/x"]}}, "copied into scratch"),
        ({"command": "x", "outputs": {"../x": "/y"}}, "'../x' is no name of a file in scratch"),
        ({"command": "x", "outputs": {"x": ""}}, "must be a path, not ''"),
        ({"command": "x", "outputs": {"x": "/a", "y": "/a"}}, "is the place of another output"),
        ({"command": "x", "outputs": {"x": "/a/"}}, "name and all, such as /a/x"),
        ({"command": "x", "outputs": ["x"]}, "must hold keys with values"),
        ({"command": "x", "as": "symlink"}, "is for outputs, and there are none"),
        ({"command": "x", "outputs": {"x": "/a/x"}, "as": "link"}, "can only be symlink"),
        ({"command": "x", "outputs": {"x": "/a/x", "y": "/b/y"}, "as": "symlink"}, "one folder"),
        ({"command": "x", "outputs": {"x": "/x"}, "as": "symlink"}, "one folder"),
        ({"command": "x", "marker": "/m"}, "tells of outputs, and there are none"),
        ({"command": "x", "outputs": {"x": "/m"}, "marker": "/m"}, "the place of an output, too"),
        ({"command": "x", "outputs": {"x": "/m/x"}, "marker": "/n", "as": "symlink"}, "choose one"),
    ],
)
def test_mistakes_are_found(entry, words):
    _, mistakes = command_step(entry, ("workers", "step"), tuple(MESSAGES))
    assert [each.message for each in mistakes if words in each.message], mistakes


def configuration(tmp_path, **entry):
    file = tmp_path / "nowcast.yaml"
    sections = {
        "zmq": {"host": "localhost", "ports": {"workers": 5555, "manager": 5556}},
        "security": "none",
        "message registry": {"workers": {"step": {**entry}}},
    }
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    return file


def test_validate_says_where_it_stands(tmp_path):
    file = configuration(tmp_path, command="./step.sh {run_dat}", success="good")
    texts = [problem.text for problem in check(file) if problem.severity == "error"]
    assert texts == [
        f"{file}:9:5: message registry.workers.step: a command ends with success, failure or "
        "crash: failure, crash are missing",
        f"{file}:10:7: message registry.workers.step.command: nothing is known of {{run_dat}}; "
        "did you mean 'run_date'?",
    ]


def test_a_module_may_have_message_types_that_are_called_as_keys_of_commands(tmp_path):
    registry = registry_of(
        {"message registry": {"workers": {"w": {"outputs": "are there", "as": "it should"}}}}
    )
    assert registry.workers["w"].messages == {"outputs": "are there", "as": "it should"}
    assert registry.workers["w"].step is None


def test_keys_of_a_command_at_a_module_are_mistakes(tmp_path):
    file = configuration(tmp_path, outputs={"a": "/r/a"}, marker="is set", success="good")
    texts = [problem.text for problem in check(file) if problem.severity == "error"]
    assert texts == [
        f"{file}:10:7: message registry.workers.step.outputs: is for a worker that is a command, "
        "and this one has no `command`"
    ]


def test_who_misspells_a_key_is_not_told_to_quote_its_value(tmp_path):
    file = configuration(tmp_path, command="true", **MESSAGES, **{"success code": 0})
    problems = [each for each in check(file) if each.path.endswith(".success code")]
    assert {each.hint for each in problems} == {None}
    assert "did you mean 'success codes'?" in " ".join(each.message for each in problems)


def test_the_registry_knows_commands():
    entry = {"command": "x", "checklist key": "X", "marker": "/r/done", "outputs": {"a": "/r/a"}}
    registry = registry_of({"message registry": {"workers": {"w": {**entry, **MESSAGES}}}})
    step = registry.workers["w"].step
    assert isinstance(step, CommandStep)
    assert step.messages == tuple(registry.workers["w"].messages) == tuple(MESSAGES)
