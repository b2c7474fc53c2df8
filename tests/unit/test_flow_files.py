"""Flows as their files declare them: what is read, and what is wrong with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nowcast_cli.config import Config
from nowcast_cli.config.job_settings import Retry
from nowcast_cli.flows.action_key import ActionKey
from nowcast_cli.flows.definition import Action, Conflict, Flow, SubFlow, Work
from nowcast_cli.flows.loading import Declared, declared

CONFIG = """\
zmq: {host: localhost, ports: {workers: 15555, manager: 15556}}
message registry:
  workers:
    crop: {success: cropped}
    model: {success: ran}
    many: {success: ran, members: 1..3}
"""
MAPPING = """\
[actionmapping]
?Mail?send = components.mail.send
"""
COMPONENT = """\
def send(values, context): ...
class Base: ...
class Sender(Base):
    pass
class Plain:
    def go(self): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nowcast.yaml").write_text(CONFIG)
    (tmp_path / "components").mkdir()
    (tmp_path / "components/mail.py").write_text(COMPONENT)
    return tmp_path


def read(folder: Path, *, lines: str = "", actions: str = "", yaml: str = "") -> Declared:
    for name, text in (("flows.ini", lines), ("actions.ini", actions)):
        if text:
            (folder / name).write_text(text)
    file = folder / "nowcast.yaml"
    file.write_text(CONFIG + yaml)
    config = Config()
    config.load(file)
    return declared(config)


def mistakes(folder: Path, **texts: str) -> list[str]:
    found = read(folder, **texts)
    return [problem.text.removeprefix(f"{folder}/") for problem in found.problems]


def flow(folder: Path, yaml: str) -> Flow:
    found = read(folder, yaml=yaml)
    assert not [problem for problem in found.problems if problem.severity == "error"]
    (only,) = found.flows.values()
    return only


# --- the line format


def test_lines_are_steps_that_come_one_after_the_other(folder: Path) -> None:
    found = read(folder, lines="[A]\n?A?Push\n# a comment\n; another\n  ?Mail?send  \n??done\n")
    (first, second) = found.flows["A"].steps
    assert first.does == Action(ActionKey.parse("?A?Push"))
    assert (first.after, second.after) == ((), ("?A?Push",))
    assert second.does == Action(ActionKey.parse("?Mail?send"))
    assert second.place is not None
    assert second.place.line == 5


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("?A?b\n", "flows.ini:1:1: '?A?b' stands before the first [section]"),
        ("[A\n", "flows.ini:1:1: [A is no head of a section; one reads: [name]"),
        ("[A]\n?A?b\n", "flows.ini:2: [A]: does not end with ??done"),
        ("[A]\n??done\n", "flows.ini:1: [A]: has no steps"),
        ("[A b]\n?A@ASYNC?b\n??done\n", "flows.ini:1: [A b]: 'A b' cannot be the name of a flow"),
        ("[A]\n?A?Push\n?A?Push\n??done\n", "flows.ini:3: [A]: the step ?A?Push stands twice"),
        ("[A]\n?A?Push\n??done\n?A?b\n", "flows.ini:4: [A]: ?A?b comes after ??done on line 3"),
        ("[A]\n??\n??done\n", "flows.ini:2: [A]: the action key '??' names nothing"),
        ("[A]\n?A.b?c\n??done\n", "flows.ini:2: [A]: the action key '?A.b?c' has 'A.b' as its"),
        (
            "[A]\n?A?Push\n??done\n[A]\n?B?Push\n??done\n",
            "flows.ini:4:1: [A]: stands twice (first on line 1)",
        ),
    ],
)
def test_a_mistake_in_a_line_is_named_with_its_line(
    folder: Path, lines: str, expected: str
) -> None:
    assert any(text.startswith(expected) for text in mistakes(folder, lines=lines))


def test_of_two_flows_of_a_name_the_first_counts(folder: Path) -> None:
    found = read(folder, lines="[A]\n?A?Push\n??done\n[A]\n?B?Push\n??done\n")
    assert found.flows["A"].steps[0].name == "?A?Push"


def test_a_flow_with_a_mistake_is_left_out_and_the_others_stay(folder: Path) -> None:
    found = read(folder, lines="[A]\nx\n??done\n[B]\n?B?Push\n??done\n")
    assert list(found.flows) == ["B"]


def test_a_file_that_is_no_text_is_one_mistake(folder: Path) -> None:
    (folder / "flows.ini").write_bytes(b"[A]\n\xff\xfe\n")
    assert mistakes(folder) == ["flows.ini:2: this is not text in UTF-8"]


# --- the mapping


def test_a_mapping_gives_the_nearest_key_and_its_component(folder: Path) -> None:
    found = read(folder, actions=MAPPING + "??send = components.mail.Plain.go\n").actions
    for text, name in (
        ("X?Mail?send", "components.mail.send"),
        ("?Mail@PUBLISH?send", "components.mail.send"),
        ("?Other?send", "components.mail.Plain.go"),
    ):
        answer = found.find(ActionKey.parse(text))
        assert answer is not None
        assert answer[1].name == name
    assert found.find(ActionKey.parse("?Mail?receive")) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("?Mail?send2", "'?Mail?send2' is no mapping"),
        ("Mail = a.b", "the action key 'Mail' has no question mark"),
        ("?? = a.b", "the action key '??' would answer everything"),
        ("?@X? = a.b", "the action key '?@X?' would answer everything"),
        ("?M?x = send", "'send' is not the dotted name of a function"),
        ("?M?x = a.b c", "'a.b c' is not the dotted name"),
        ("?Mail?send = components.mail.send", "?Mail?send is mapped twice (first on line 2)"),
        ("?M?x = nowhere.there.send", "there is no module nowhere.there, looked for from"),
        (
            "?M?x = components.mail.sendd",
            "module components.mail has no sendd; did you mean 'send'",
        ),
        ("?M?x = components.mail.Plain.gone", "class Plain has no gone"),
    ],
)
def test_a_mistake_in_the_mapping_is_named_with_its_line(
    folder: Path, line: str, expected: str
) -> None:
    (found,) = mistakes(folder, actions=MAPPING + line + "\n")
    assert found.startswith("actions.ini:3: ")
    assert expected in found


def test_what_shows_only_when_a_module_runs_is_let_pass(folder: Path) -> None:
    (folder / "components/made.py").write_text("from components.mail import *\n")
    mapping = "?M?x = components.made.whatever\n?M?y = components.mail.Sender.inherited\n"
    assert mistakes(folder, actions=MAPPING + mapping) == []


def test_a_component_with_a_syntax_error_cannot_be_imported(folder: Path) -> None:
    (folder / "components/torn.py").write_text("def send(:\n")
    (found,) = mistakes(folder, actions="[actionmapping]\n?M?x = components.torn.send\n")
    assert "module components.torn cannot be imported: invalid syntax" in found


# --- flows of the configuration

WHOLE = """\
flows:
  forecast:
    description: Of a day
    on: {message: many, parameters: {region: "{payload.region}"}}
    parameters: {date: today, members: 21, region: {type: text}}
    steps:
      crop:
        worker: crop
        args: --date {date} --name 'a b'
        for each: "{members}"
        concurrency: 4
      model:
        worker: model
        after: crop
        executor: slurm
        environment: {N: 3}
        retry: {tries: 3, delay: 30s, factor: 2, on: [crash]}
        timeout: 6h
        on timeout: retry
        on failure: mail
        conflicts: [forecast.crop]
        when: crop.rows > 0
      mail: {action: "?Mail@PUBLISH?send", values: {text: "{model.path}"}}
      other: {flow: forecast2, after: [model, crop]}
"""


def test_all_that_a_step_can_say_is_read(folder: Path) -> None:
    found = flow(folder, WHOLE.replace("flow: forecast2", "worker: crop"))
    crop, model, mail, other = found.steps
    assert crop.does == Work("crop", ("--date", "{date}", "--name", "a b"))
    assert (crop.for_each, crop.concurrency, crop.after) == ("{members}", 4, ())
    assert model.does == Work("model", (), "slurm", {"N": "3"})
    assert (model.after, model.timeout, model.on_timeout) == (("crop",), 21600.0, "retry")
    assert model.retry == Retry(3, 30.0, 2.0, frozenset({"crash"}))
    assert (model.on_failure, model.when) == ("mail", "crop.rows > 0")
    assert model.conflicts == (Conflict("forecast", "crop"),)
    assert mail.does == Action(ActionKey.parse("?Mail@PUBLISH?send"), {"text": "{model.path}"})
    assert other.after == ("model", "crop")
    assert found.stand_ins == {"mail"}
    assert found.followers("crop") == ("model", "other")
    assert [trigger.words for trigger in found.triggers] == ["message success of many"]
    assert {each.name: (each.type, each.required) for each in found.parameters} == {
        "date": ("date", False), "members": ("whole", False), "region": ("text", True),
    }  # fmt: skip


def test_the_plain_word_on_is_no_trap_in_a_flow(folder: Path) -> None:
    from nowcast_cli.config.check import check

    read(folder, yaml=WHOLE)
    assert not [each for each in check(folder / "nowcast.yaml") if "read as true" in each.message]


STEP = "flows: {f: {parameters: {date: today}, steps: {one: {worker: crop}, two: {%s}}}}\n"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("", "two: says nothing to do; a step has one of worker, action and flow"),
        ("after: one", "two: says nothing to do; a step has one of worker, action and flow"),
        ("worker: crop, flow: f", "two: says worker and flow to do"),
        ("worker: crop, afer: one", "two.afer: is not a key of this section; did you mean 'after'"),
        (
            "worker: crop, values: {a: 1}",
            "two.values: belongs beside `action:`, and this step has `worker:`",
        ),
        ("worker: corp", "two.worker: the worker corp is not in the message registry; did you"),
        ("worker: crop, after: on", "two.after: must be a name or a list of names, not True"),
        ("worker: crop, after: oen", "two.after: there is no step oen; did you mean 'one'?"),
        ("worker: crop, after: two", "two.after: no step of a circle can begin: two after two"),
        ("worker: crop, timeout: soon", "two.timeout: must be a length of time"),
        ("worker: crop, retry: {trys: 3}", "two.retry.trys: is not a key"),
        ("worker: crop, on timeout: die", "two.on timeout: must be fail or retry, not 'die'"),
        ("worker: crop, on failure: fial", "two.on failure: there is no step fial; did you mean"),
        ("worker: crop, conflicts: one", "two.conflicts: 'one' names no step of a flow"),
        ("worker: crop, conflicts: g.one", "two.conflicts: there is no flow g"),
        ("worker: crop, conflicts: f.oen", "two.conflicts: flow f has no step oen"),
        ("worker: crop, when: 'f(x)'", "two.when: 'f(x)' has 'f(x)'; names, values"),
        ("worker: crop, when: 'rows >'", "two.when: 'rows >' is no condition"),
        ("worker: crop, when: dat > 1", "two.when: {dat} is no parameter of the flow"),
        ("worker: crop, when: one.rows > 1", "two.when: {one.rows} is of a step that need not"),
        ("worker: crop, after: one, when: one > 1", "two.when: {one} is a step; name a value"),
        ("worker: crop, executor: slrum", "two.executor: there is no executor slrum; did you mean"),
        ("worker: crop, args: '{'", "two.args: '{' has a { alone; write {{ for it"),
        ("worker: crop, args: '{1x}'", "two.args: {1x} names nothing"),
        ('worker: crop, args: "a \'b"', 'two.args: "a \'b" is no command line'),
        ("worker: crop, args: '{dte}'", "two.args: {dte} is no parameter of the flow, and no step"),
        ("worker: crop, args: '{item}'", "two.args: {item} is no parameter"),
        ("flow: g", "two.flow: there is no flow g"),
        ("flow: f", "two.flow: this flow would run itself without an end"),
        ("action: a?b", "two.action: the action key 'a?b' has one question mark"),
        ("action: '??done'", "two.action: ??done ends a flow of the line format"),
        ("action: '?M?x'", "two.action: no action is mapped to ?M?x"),
    ],
)
def test_a_mistake_in_a_step_is_named_with_its_keys(folder: Path, step: str, expected: str) -> None:
    found = mistakes(folder, yaml=STEP % step)
    assert any(f"flows.f.steps.{expected}" in text for text in found), found
    assert all(text.startswith("nowcast.yaml:7:") for text in found)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("flows: 3\n", "flows: must hold flows by name, not 3"),
        ("flows: {f: {}}\n", "flows.f.steps: has no steps"),
        ("flows: {f: {on: request}}\n", "flows.f.steps: has no steps"),
        ("flows: {'a b': {steps: {x: {worker: crop}}}}\n", "'a b' cannot be the name of a flow"),
        ("flows: {jobs: {steps: {x: {worker: crop}}}}\n", "'jobs' cannot be the name of a flow"),
        ("flows: {f: {steps: {1: {worker: crop}}}}\n", "'1' cannot be its name"),
        ("flows: {f: {on: sunrise, steps: {x: {worker: crop}}}}\n", "flows.f.on: must be one of"),
        ("flows: {f: {on: {message: corp}, steps: {x: {worker: crop}}}}\n", "worker corp is not"),
        (
            "flows: {f: {on: {message: crop, type: failed}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: worker crop sends no message failed",
        ),
        (
            "flows: {f: {on: {flow: f}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: the end of this flow would begin it again",
        ),
        (
            "flows: {f: {on: {flow: g}, steps: {x: {flow: g}}}, g: {steps: {x: {worker: crop}}}}\n",
            "flows.f.on: the end of this flow would begin it again",
        ),
        (
            "flows: {f: {on: {message: crop}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: the message of a step's job would begin this flow again",
        ),
        (
            "flows: {f: {on: {message: crop}, steps: {x: {flow: g}}}, "
            "g: {steps: {x: {worker: crop}}}}\n",
            "flows.f.on: the message of a step's job would begin this flow again",
        ),
        (
            "flows: {f: {on: {message: crop}, steps: {x: {worker: model}}}, "
            "g: {on: {flow: f}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: the message of a step's job would begin this flow again",
        ),
        ("flows: {f: {on: {flow: g}, steps: {x: {worker: crop}}}}\n", "flows.f.on: there is no f"),
        (
            "flows: {f: {steps: {x: {worker: many}}}}\n",
            "flows.f.steps.x.worker: the worker many has members, and a step is one job of it",
        ),
        (
            "flows: {f: {on: {product: hrdps}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: no run begins by a product in this version",
        ),
        (
            "flows: {f: {on: {message: crop, parameters: {n: 1}}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: flow f has no parameter n",
        ),
        (
            "flows: {f: {on: {message: crop}, parameters: {n: }, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: a run that begins so needs a value for n",
        ),
        (
            "flows: {f: {on: {schedule: {every: dya}}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on.schedule.every: must be day",
        ),
        (
            "flows: {f: {on: {schedule: {every: day}, parameters: {n: '{schedule.tiem}'}}, "
            "parameters: {n: }, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: {schedule.tiem} is nothing that a schedule gives; did you mean "
            "'schedule.time'?",
        ),
        (
            "flows: {f: {on: {file: '/d/*', parameters: {n: '{match.day}'}}, "
            "parameters: {n: }, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: {match.day} is nothing that a file gives",
        ),
        (
            "flows: {f: {on: {message: crop, parameters: {n: '{paylod.a}'}}, "
            "parameters: {n: }, steps: {x: {worker: crop}}}}\n",
            "flows.f.on: {paylod.a} is nothing that a message gives; did you mean 'payload'?",
        ),
        (
            "flows: {f: {on: {file: /d/**}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on.file: '/d/**' names folders",
        ),
        (
            "flows: {f: {on: {file: '/d/*', match: '('}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on.match: '(' is no regular expression",
        ),
        (
            "flows: {f: {on: {file: '/d/*', settled: soon}, steps: {x: {worker: crop}}}}\n",
            "flows.f.on.settled: ",
        ),
        (
            "flows: {f: {parameters: {n: {type: whole, default: x}}, steps: {x: {worker: a}}}}\n",
            "flows.f.parameters.n.default: n must be a whole number, not 'x'",
        ),
        (
            "flows: {f: {parameters: {n: {type: int}}, steps: {x: {worker: crop}}}}\n",
            "flows.f.parameters.n.type: must be text or whole or",
        ),
    ],
)
def test_a_mistake_in_a_flow_is_named_with_its_keys(
    folder: Path, section: str, expected: str
) -> None:
    found = mistakes(folder, yaml=section)
    assert any(expected in text for text in found), found


def test_a_flow_of_both_files_is_a_mistake_and_the_first_counts(folder: Path) -> None:
    yaml = "flows: {A: {steps: {x: {worker: crop}}}}\n"
    found = read(folder, lines="[A]\n?A?Push\n??done\n", yaml=yaml)
    assert [problem.message for problem in found.problems] == [
        f"is declared twice, first at {folder / 'flows.ini'}:1"
    ]
    assert found.flows["A"].steps[0].name == "?A?Push"


def test_sub_flows_are_held_against_the_parameters_of_their_flow(folder: Path) -> None:
    yaml = """\
flows:
  g: {parameters: {date: }, steps: {x: {worker: crop}}}
  f: {steps: {x: {flow: g, parameters: {dat: 1}}}}
"""
    found = mistakes(folder, yaml=yaml)
    assert [text.partition(": ")[2] for text in found] == [
        "flows.f.steps.x.parameters: flow g has no parameter dat; did you mean 'date'?",
        "flows.f.steps.x.parameters: flow g needs a value for date",
    ]


def test_a_long_circle_is_named_with_all_its_steps(folder: Path) -> None:
    steps = "a: {worker: crop, after: c}, b: {worker: crop, after: a}, c: {worker: crop, after: b}"
    (found,) = mistakes(folder, yaml=f"flows: {{f: {{steps: {{z: {{worker: crop}}, {steps}}}}}}}\n")
    assert "no step of a circle can begin: a after c after b after a" in found


def test_a_step_that_stands_in_sees_the_values_of_the_one_that_failed(folder: Path) -> None:
    yaml = """\
flows: {f: {steps: {a: {worker: crop}, b: {worker: model, after: a, on failure: c},
                    c: {worker: crop, args: "{a.x} {b.reason}"}}}}
"""
    assert mistakes(folder, yaml=yaml) == []


def test_to_move_a_flow_in_its_file_does_not_change_its_digest(folder: Path) -> None:
    one = read(folder, lines="[A]\n?A?Push\n??done\n").flows["A"]
    moved = read(folder, lines="# x\n\n[A]\n\n?A?Push\n??done\n").flows["A"]
    other = read(folder, lines="[A]\n?A?Push\n?Mail?send\n??done\n").flows["A"]
    assert one.digest == moved.digest
    assert one.digest != other.digest


def test_a_sub_flow_is_read(folder: Path) -> None:
    yaml = "flows: {g: {steps: {x: {worker: crop}}}, f: {steps: {x: {flow: g}}}}\n"
    assert read(folder, yaml=yaml).flows["f"].steps[0].does == SubFlow("g")


def test_a_flow_with_a_mistake_can_be_looked_at_and_not_be_run(folder: Path) -> None:
    yaml = "flows: {g: {steps: {x: {worker: crop}}}, f: {steps: {x: {worker: corp}}}}\n"
    found = read(folder, yaml=yaml)
    assert set(found.flows) == {"f", "g"}
    assert set(found.usable) == {"g"}
