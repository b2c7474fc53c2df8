"""``nowcast adopt``: what becomes of a deployment, line by line; nothing is written unasked."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from nowcast_cli.cli.app import main

PRODUCTION = Path(__file__).parents[1] / "production_deployment"
SUPERVISORD_INI = """\
[supervisord]
logfile = %(ENV_NOWCAST_LOGS)s/supervisor.log

[program:message_broker]
command = %(ENV_NOWCAST_ENV)s/bin/python3 -m nemo_nowcast.message_broker %(ENV_NOWCAST_YAML)s

[program:manager]
command = %(ENV_NOWCAST_ENV)s/bin/python3 -m nemo_nowcast.manager %(ENV_NOWCAST_YAML)s

[program:sarracenia]
command = sr_subscribe foreground hrdps.conf
"""


@pytest.fixture
def fundy(tmp_path):
    """A repository as a group has it: configuration in config/, the package beside it."""
    folder = tmp_path / "Fundy"
    (folder / "config").mkdir(parents=True)
    shutil.copy(PRODUCTION / "nowcast.yaml", folder / "config")
    shutil.copytree(PRODUCTION / "nowcast", folder / "config" / "nowcast")
    (folder / "config" / "supervisord.ini").write_text(SUPERVISORD_INI)
    (folder / "envvars.sh").write_text(
        "export NOWCAST_ENV=/opt/fundy/env\n"
        "export NOWCAST_LOGS=/var/log/fundy\n"
        "export SLACK_FUNDY_OPS=https://hooks.example.org/x\n"
        "export WGRIB2=/usr/bin/wgrib2\n"
    )
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def adopt(capsys, *arguments):
    code = main(["adopt", *map(str, arguments)])
    return code, capsys.readouterr().out


def findings(capsys, folder):
    code, out = adopt(capsys, folder, "--json")
    answer = json.loads(out)
    assert answer["schema"] == 1
    return code, {
        (Path(each["file"]).name, each["what"].partition(": ")[0]): each
        for each in answer["findings"]
    }


def test_a_deployment_of_production_size_has_nothing_to_mend(fundy, capsys):
    code, found = findings(capsys, fundy)
    mend = [each for each in found.values() if each["verdict"] == "mend"]
    assert (code, mend) == (0, [])
    workers = found["nowcast.yaml", "message registry.workers"]
    assert workers["verdict"] == "used"
    assert workers["why"] == "47 workers with 292 message types"
    verdicts = {what: each["verdict"] for (file, what), each in found.items()}
    assert verdicts["weather"] == verdicts["run.model host"] == verdicts["WGRIB2"] == "yours"
    assert verdicts["SLACK_FUNDY_OPS"] == verdicts["NOWCAST_LOGS"] == "used"
    assert verdicts["zmq.host"] == "differs"
    assert verdicts["scheduled workers[0]"] == verdicts["slack notifications"] == "used"
    [missing] = [each for each in found.values() if "no module was found" in each["why"]]
    assert missing["verdict"] == "differs"
    assert "check_disk_space, launch_remote_worker, make_monthly_report, " in missing["why"]
    assert " and 40 more in workers, nowcast.workers, " in missing["why"]


def test_each_line_is_the_line_of_its_key(fundy, capsys):
    _, found = findings(capsys, fundy)
    lines = (fundy / "config" / "nowcast.yaml").read_text().splitlines()
    for (file, what), each in found.items():
        if what.startswith("scheduled workers["):
            number = int(what.partition("[")[2].partition("]")[0])
            assert lines[each["line"] - 1].startswith("  - nowcast.workers.")
            assert ["weather", "boundary", "space", "report"][number] in lines[each["line"] - 1]
        elif file == "nowcast.yaml":
            assert lines[each["line"] - 1].split(":")[0].strip() == what.split(".")[-1]


def test_a_package_beside_the_folder_of_the_configuration_is_to_be_installed(fundy, capsys):
    (fundy / "config" / "nowcast").rename(fundy / "nowcast")
    code, found = findings(capsys, fundy)
    module = found["nowcast.yaml", "message registry.next workers module"]
    assert (code, module["verdict"]) == (2, "mend")
    assert module["why"].endswith(f"it is in {fundy}: pip install --editable {fundy}")


def test_programs_of_the_framework_are_taken_over_and_others_are_not(fundy, capsys):
    _, found = findings(capsys, fundy)
    assert found["supervisord.ini", "[program:manager]"]["verdict"] == "used"
    assert found["supervisord.ini", "[program:manager]"]["line"] == 7
    other = found["supervisord.ini", "[program:sarracenia]"]
    assert other["verdict"] == "ignored"
    assert "keep your process manager for it" in other["why"]


def test_watchers_of_circus_are_read_too(fundy, capsys):
    (fundy / "circus.ini").write_text(
        "[circus]\n"
        "[watcher:log_aggregator]\ncmd = python\nargs = -m nemo_nowcast.log_aggregator x\n"
        "[watcher:odd]\ncmd = python\nargs = -m nemo_nowcast.odd x\n"
    )
    code, found = findings(capsys, fundy)
    assert found["circus.ini", "[watcher:log_aggregator]"]["verdict"] == "used"
    assert found["circus.ini", "[watcher:odd]"]["verdict"] == "mend"
    assert code == 2


def test_what_would_bring_upstream_over_this_package_is_to_mend(fundy, capsys):
    (fundy / "pyproject.toml").write_text(
        '# NEMO_Nowcast is the framework\ndependencies = [\n    "NEMO_Nowcast",\n]\n'
    )
    code, found = findings(capsys, fundy)
    requirement = found["pyproject.toml", '"NEMO_Nowcast",']
    assert (code, requirement["line"], requirement["verdict"]) == (2, 3, "mend")
    assert "require nowcast-cli instead" in requirement["why"]


def test_an_import_that_is_not_there_is_to_mend(fundy, capsys):
    (fundy / "worker.py").write_text(
        "from nemo_nowcast import NowcastWorker, WorkerError\n"
        "from nemo_nowcast.fileutils import FilePerms, AtomicSaver\n"
        "import nemo_nowcast.workers.sleep\n"
    )
    _, found = findings(capsys, fundy)
    missing = found["worker.py", "import nemo_nowcast.fileutils.AtomicSaver"]
    assert (missing["line"], missing["verdict"]) == (2, "mend")
    [imports] = [each for (_, what), each in found.items() if what.startswith("imports of")]
    assert imports["verdict"] == "used"
    assert "nemo_nowcast.fileutils.FilePerms (1)" in imports["what"]


def test_mistakes_of_the_configuration_are_to_mend(fundy, capsys):
    file = fundy / "config" / "nowcast.yaml"
    file.write_text(file.read_text().replace("workers: 5555", "workers: many"))
    code, found = findings(capsys, fundy)
    assert code == 2
    assert found["nowcast.yaml", "zmq.ports.workers"]["verdict"] == "mend"


def test_nothing_is_written_without_being_asked(fundy, capsys):
    before = {path: path.read_bytes() for path in fundy.rglob("*") if path.is_file()}
    code, out = adopt(capsys, fundy)
    assert code == 0
    assert "to add   state directory: var" in out
    assert "to add   /config/var/" in out
    assert {path: path.read_bytes() for path in fundy.rglob("*") if path.is_file()} == before


def test_write_adds_two_lines_and_keeps_every_other(fundy, capsys):
    file = fundy / "config" / "nowcast.yaml"
    before = file.read_text()
    code, out = adopt(capsys, fundy, "--write")
    assert code == 0
    assert "added    state directory: var" in out
    assert (fundy / ".gitignore").read_text() == "/config/var/\n"
    after = file.read_text()
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line for line in added if not line.startswith("#")] == ["state directory: var"]
    assert yaml.safe_load(after) == {**yaml.safe_load(before), "state directory": "var"}
    kept = [line for line in after.splitlines() if line and line not in added]
    assert kept == [line for line in before.splitlines() if line]

    code, out = adopt(capsys, fundy, "--write")
    assert "added" not in out
    assert file.read_text() == after


def test_an_existing_gitignore_gets_one_line_more(fundy, capsys):
    (fundy / ".gitignore").write_text("*.pyc")
    adopt(capsys, fundy, "--write")
    assert (fundy / ".gitignore").read_text() == "*.pyc\n/config/var/\n"


def test_the_common_options_name_a_deployment_too(fundy, capsys):
    assert main(["-C", str(fundy), "adopt"]) == 0
    assert "47 workers with 292 message types" in capsys.readouterr().out


def test_a_folder_without_a_deployment_is_not_found(tmp_path, capsys):
    assert main(["adopt", str(tmp_path)]) == 4
    assert "holds no nowcast.yaml" in capsys.readouterr().err


def test_a_file_that_is_no_yaml_is_an_error_with_its_place(tmp_path, capsys):
    (tmp_path / "nowcast.yaml").write_text("a: [1\nb: 2\n")
    assert main(["adopt", str(tmp_path)]) == 2
    assert "nowcast.yaml:2" in capsys.readouterr().err
