"""Reading nowcast.yaml."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from nowcast_cli.config import Config
from nowcast_cli.config import config as config_module
from nowcast_cli.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOWCAST_ENV", "NOWCAST_LOGS", "NOWCAST_YAML", "FORECAST_HOME"):
        monkeypatch.delenv(name, raising=False)


def loaded(folder: Path, text: str) -> Config:
    file = folder / "nowcast.yaml"
    file.write_text(text)
    config = Config()
    config.load(file)
    return config


def refused(folder: Path, text: str | bytes) -> ConfigError:
    file = folder / "nowcast.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        Config().load(file)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_new_config_is_empty_and_takes_items() -> None:
    config = Config()
    assert "run" not in config
    config["run"] = {"hosts": 1}
    assert config["run"] == {"hosts": 1}
    assert config.get("else", 5) == 5
    assert list(config) == ["run"]


def test_the_file_is_kept_as_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nowcast.yaml").write_text("a: 1")
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.load("nowcast.yaml")
    assert config.file == tmp_path / "nowcast.yaml"


def test_users_own_sections_keep_integer_keys_and_dates(tmp_path: Path) -> None:
    config = loaded(tmp_path, "archive: {2014: {first: 2014-09-12}, 7: [a, 1.5]}")
    assert config["archive"] == {2014: {"first": date(2014, 9, 12)}, 7: ["a", 1.5]}


def test_variables_are_substituted_in_all_places_that_have_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORECAST_HOME", "/data")
    config = loaded(
        tmp_path,
        """
        checklist file: $(NOWCAST.ENV.FORECAST_HOME)/list.yaml
        state directory: $(NOWCAST.ENV.FORECAST_HOME)/state
        python: $(NOWCAST.ENV.FORECAST_HOME)/bin/python
        logging: {handlers: {a: {filename: $(NOWCAST.ENV.FORECAST_HOME)/a.log}}}
        """,
    )
    assert config["checklist file"] == "/data/list.yaml"
    assert config["state directory"] == "/data/state"
    assert config["python"] == "/data/bin/python"
    assert config["logging"]["handlers"]["a"]["filename"] == "/data/a.log"


def test_variables_are_substituted_in_both_halves_of_distributed_logging(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        logging:
          aggregator: {handlers: {a: {filename: $(NOWCAST.ENV.NOWCAST_LOGS)/a.log}}}
          publisher: {handlers: {b: {filename: $(NOWCAST.ENV.NOWCAST_LOGS)/b.log}, c: {}}}
        """,
    )
    logs = tmp_path / "var"
    assert config["logging"]["aggregator"]["handlers"]["a"]["filename"] == str(logs / "a.log")
    assert config["logging"]["publisher"]["handlers"]["b"]["filename"] == str(logs / "b.log")


@pytest.mark.parametrize("logging", ["{handlers: []}", "{}", "", "{publisher: {}}", "5"])
def test_a_logging_section_without_handlers_loads(tmp_path: Path, logging: str) -> None:
    assert "logging" in loaded(tmp_path, f"logging: {logging}")


def test_variables_of_nowcast_are_derived_where_they_are_not_set(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "checklist file: $(NOWCAST.ENV.NOWCAST_LOGS)/list.yaml\n"
        "python: $(NOWCAST.ENV.NOWCAST_ENV)/bin/python\n",
    )
    assert config["checklist file"] == str(tmp_path / "var" / "list.yaml")
    assert config["python"] == f"{sys.prefix}/bin/python"


def test_the_logs_lie_in_the_state_directory_where_there_is_one(tmp_path: Path) -> None:
    text = "checklist file: $(NOWCAST.ENV.NOWCAST_LOGS)/c.yaml\nstate directory: state"
    assert loaded(tmp_path, text)["checklist file"] == str(tmp_path / "state/logs/c.yaml")


def test_a_variable_that_is_set_goes_before_its_derivation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOWCAST_LOGS", "/var/log/nowcast")
    config = loaded(tmp_path, "checklist file: $(NOWCAST.ENV.NOWCAST_LOGS)/c.yaml")
    assert config["checklist file"] == "/var/log/nowcast/c.yaml"


def test_an_unset_variable_is_named_with_its_place_and_a_remedy(tmp_path: Path) -> None:
    error = refused(
        tmp_path,
        "a: 1\nlogging:\n  publisher:\n    handlers:\n      x:\n"
        "        filename: $(NOWCAST.ENV.FORECAST_HOME)/x\n",
    )
    assert error.what == (
        f"{tmp_path}/nowcast.yaml:6:9: logging.publisher.handlers.x.filename: "
        "the environment variable FORECAST_HOME is not set"
    )
    assert error.hint is not None
    assert "export FORECAST_HOME=" in error.hint


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    config = loaded(tmp_path, "checklist file: var/c.yaml\npython: env/bin/python")
    assert config["checklist file"] == str(tmp_path / "var/c.yaml")
    assert config["python"] == str(tmp_path / "env/bin/python")


def test_an_interpreter_without_a_slash_is_looked_up_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "bin" / "python3.99"
    interpreter.parent.mkdir()
    interpreter.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(interpreter.parent))
    assert loaded(tmp_path, "python: python3.99")["python"] == str(interpreter)


def test_without_an_interpreter_workers_run_under_our_own(tmp_path: Path) -> None:
    assert loaded(tmp_path, "a: 1")["python"] == sys.executable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1,\nb: 2", ":3:1: this is not YAML"),
        ("a: 1\nb: !!python/tuple [1]", ":2:4: the tag tag:yaml.org,2002:python/tuple is refused"),
        ("a: 1\nb: 2026-13-45", ":2:4: 2026-13-45 is read as a date, but is none (month must"),
        ("a: !!bool maybe", ":1:4: maybe is read as bool, but is none"),
        ("a: !!timestamp x", ":1:4: x is read as a date, but is none"),
        ("a: !!int ''", ":1:4:  is read as a number, but is none"),
        ("2026-13-45: x", ":1:1: 2026-13-45 is read as a date"),
        ("a: &x\n  b: *x", "an alias (*name) stands inside the value that it names"),
        ("? [1, 2]\n: 3", "a key must be text"),
        ("- 1\n- 2", ":1:1: the file must hold keys with values"),
        ("", ":1:1: the file must hold keys with values"),
        (b"a: 1\nb: \xff\xfe", ":2:4: this is not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    what = refused(tmp_path, text).what
    assert what.startswith(f"{tmp_path}/nowcast.yaml")
    assert words in what


def test_a_file_that_is_not_there_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such configuration file") as caught:
        Config().load(tmp_path / "nowcast.yaml")
    assert "nowcast init" in (caught.value.hint or "")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Config().load(tmp_path)
    assert caught.value.cause == "Is a directory"


def test_duplicate_keys_load_and_the_last_one_counts(tmp_path: Path) -> None:
    assert loaded(tmp_path, "a: 1\na: 2")["a"] == 2


def test_a_failed_load_leaves_what_was_loaded_before(tmp_path: Path) -> None:
    config = loaded(tmp_path, "a: 1")
    (tmp_path / "nowcast.yaml").write_text("a: [")
    with pytest.raises(ConfigError):
        config.load(tmp_path / "nowcast.yaml")
    assert config["a"] == 1


def test_a_file_is_parsed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[Path] = []
    construct = config_module._construct

    def counted(text: bytes, file: Path) -> dict[object, object]:
        parsed.append(file)
        return construct(text, file)

    monkeypatch.setattr(config_module, "_construct", counted)
    assert loaded(tmp_path, "a: 1")["a"] == 1
    again = Config()
    again.load(tmp_path / "nowcast.yaml")
    assert (again["a"], len(parsed)) == (1, 1)
    assert loaded(tmp_path, "a: 100")["a"] == 100
    assert len(parsed) == 2


def test_what_one_user_changes_does_not_reach_another(tmp_path: Path) -> None:
    first = loaded(tmp_path, "run: {hosts: [a, {b: c}]}")
    first["run"]["hosts"][1]["b"] = "changed"
    second = Config()
    second.load(tmp_path / "nowcast.yaml")
    assert second["run"] == {"hosts": ["a", {"b": "c"}]}


def test_loading_needs_nothing_heavier_than_yaml(tmp_path: Path) -> None:
    (tmp_path / "nowcast.yaml").write_text("a: 1")
    code = (
        "import sys\n"
        "from nowcast_cli.config import Config, system_paths\n"
        "from nowcast_cli.config.registry import registry_of\n"
        "config = Config(); config.load(sys.argv[1]); system_paths(config); registry_of(config)\n"
        "heavy = {'pydantic', 'zmq', 'difflib', 'tempfile', 'nowcast_cli.config.positions'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "nowcast.yaml")]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "[]\n"
