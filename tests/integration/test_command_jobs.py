"""Workers that are commands: real systems run them, and what follows is what follows a module."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from helpers import wait_until
from nowcast_cli.runner import Exit
from nowcast_command import begin_nowcast, nowcast

MESSAGES = {"success": "has done it", "failure": "could not do it", "crash": "fell over"}


@pytest.fixture
def step(make_system):
    """Give what makes a system whose worker ``step`` is a shell script, with more settings."""

    def make(script, *, after=None, begin=True, **entry):
        system = make_system(workers=["step", "then"], after=after or {})
        system.registry["step"] = {
            "checklist key": "step", "command": "./step.sh", **MESSAGES, **entry,
        }  # fmt: skip
        system.write_config()
        system.write("step.sh", f"#!/bin/sh\n{script}\n").chmod(0o755)
        return system.start() if begin else system

    return make


def run(system, *arguments, worker="workers.step"):
    job = system.launch(worker, *arguments)
    return system.wait_for_process_end(job)


def output(system, job, name="stdout"):
    return (system.job_folder(job.id) / name).read_text()


def test_a_command_that_ends_with_0_has_succeeded_and_its_followers_are_launched(step):
    system = step(
        'echo "$NOWCAST_JOB_ID $PWD $@"',
        after={"step": "[NextWorker('workers.then')]"},
        command="./step.sh --date {run_date} '{scratch} x' {deployment}",
    )
    job = system.launch("workers.step", "--run-date", "2026-11-20")
    system.wait_for_chain(job)
    scratch = system.job_folder(job) / "scratch"
    words = f"--date 2026-11-20 {scratch} x {system.folder}"
    assert output(system, system.job(job)) == f"{job} {scratch} {words}\n"
    assert system.job(job).state == "succeeded"
    assert system.ran() == ["then"]


@pytest.mark.parametrize(
    ("script", "state", "kind", "reason"),
    [
        ("echo bad luck >&2; exit 3", "failed", "failure",
         "it exited with code 3; last on stderr: bad luck"),
        ("kill -9 $$", "crashed", "crash", "it was ended by signal 9 (SIGKILL)"),
        ("exit 4", "succeeded", "success", None),
        ("nowcast tell failure --payload why=fog", "failed", "failure",
         "it has told failure: why: fog"),
        ("nowcast tell fauilure; exit", "failed", "failure",
         "it exited with code 2; last on stderr: "
         "error: there is no message type 'fauilure'; did you mean 'failure'?"),
        ("nowcast tell success; exit 3", "failed", "failure", "it exited with code 3"),
    ],
)  # fmt: skip
def test_the_exit_code_makes_the_message(step, script, state, kind, reason):
    system = step(script, **{"success codes": [0, 4]})
    job = run(system)
    assert (job.state, job.reason) == (state, reason)
    assert [message.type for message in system.messages("step")] == [kind]


def test_what_a_command_tells_takes_effect_when_it_has_ended_and_the_last_word_counts(step):
    system = step(
        """
        nowcast tell success --payload waves=1
        nowcast tell failure --payload waves=2
        echo '{"tide": 1.5, "at": ["here"]}' > payload
        nowcast tell success --payload-file payload --payload wind=strong --payload n=3
        touch told; while [ ! -e "$NOWCAST_YAML.go" ]; do sleep 0.02; done
        """
    )
    job = system.launch("workers.step")
    wait_until(lambda: (system.job_folder(job) / "scratch" / "told").exists())
    assert system.job(job).unfinished
    Path(f"{system.config_file}.go").touch()
    system.wait_for_job(job, "succeeded")
    assert system.checklist() == {"step": {"tide": 1.5, "at": ["here"], "wind": "strong", "n": 3}}


def test_a_message_type_that_is_not_registered_is_an_error_at_once(step):
    system = step("nowcast tell succes && exit 0; exit 5")
    job = run(system)
    assert job.exit["code"] == 5
    assert "there is no message type 'succes'; did you mean 'success'?" in output(
        system, job, "stderr"
    )


def test_outputs_are_there_when_what_follows_begins(step):
    system = step(
        "echo ssh > forecast.nc; mkdir plots; echo png > plots/a.png",
        outputs={"forecast.nc": "results/{run_date}/forecast.nc", "plots": "results/plots"},
        after={"step": "[NextWorker('workers.then')] if os.path.exists('results/plots/a.png') "
                       "and msg.payload is None else []"},
    )  # fmt: skip
    job = system.launch("workers.step", "--run-date=2026-11-20")
    system.wait_for_chain(job)
    assert (system.folder / "results/2026-11-20/forecast.nc").read_text() == "ssh\n"
    assert system.ran() == ["then"]
    left = {path.name for path in (system.folder / "results").rglob("*")}
    assert left == {"2026-11-20", "forecast.nc", "plots", "a.png"}


def test_a_failure_leaves_destinations_and_scratch_as_they_are(step):
    system = step("echo new > forecast.nc; exit 1", outputs={"forecast.nc": "forecast.nc"})
    (system.folder / "forecast.nc").write_text("old")
    job = run(system)
    assert job.state == "failed"
    assert (system.folder / "forecast.nc").read_text() == "old"
    assert (system.job_folder(job.id) / "scratch" / "forecast.nc").read_text() == "new\n"


def test_an_output_that_was_not_made_is_a_failure_that_names_it(step):
    system = step("true", outputs={"forecast.nc": "forecast.nc"})
    job = run(system)
    assert job.state == "failed"
    assert job.reason == "declared output was not made: forecast.nc"


def test_nowcast_publish_puts_files_in_place_when_the_command_has_succeeded(step):
    system = step(
        """
        echo one > a; echo two > b
        nowcast publish a "$NOWCAST_YAML.a" && nowcast publish b "$NOWCAST_YAML.b" --as symlink
        [ ! -e "$NOWCAST_YAML.a" ] && exit $1
        """,
        command="./step.sh {code}",
        parameters={"code": 0},
    )
    a, b = (Path(f"{system.config_file}.{name}") for name in "ab")
    assert run(system, "--code", "1").state == "failed"
    assert not a.exists()
    assert run(system).state == "succeeded"
    assert (a.read_text(), b.read_text(), b.is_symlink()) == ("one\n", "two\n", True)


def test_inputs_are_brought_into_scratch(step):
    system = step(
        "echo more >> restart.nc; cat restart.nc; readlink mesh.nc; cat mesh.nc",
        inputs={"copy": {"restart.nc": "in/{run_date:%d%b%y}.nc"}, "link": ["in/mesh.nc"]},
    )
    (system.folder / "in").mkdir()
    (system.folder / "in/20Nov26.nc").write_text("restart\n")
    (system.folder / "in/mesh.nc").write_text("mesh\n")
    job = run(system, "--run-date", "2026-11-20")
    mesh = system.folder / "in/mesh.nc"
    assert output(system, job) == f"restart\nmore\n{mesh}\nmesh\n"
    assert (system.folder / "in/20Nov26.nc").read_text() == "restart\n"
    job = run(system, "--run-date", "2026-11-21")
    assert job.state == "failed"
    assert "No such file or directory: " in job.reason
    assert "in/21Nov26.nc" in job.reason


def test_a_command_that_cannot_be_run_is_a_failure_that_says_so(step):
    system = step("true", command="./stp.sh")
    job = run(system)
    assert job.state == "failed"
    assert job.reason == f"{system.folder}/./stp.sh could not be run: No such file or directory"


def test_arguments_that_are_wrong_are_said_at_once(step):
    system = step("true", command="./step.sh {domain}", parameters={"domain": None})
    job = run(system, "--domian", "x")
    assert job.state == "crashed"
    assert "has no option '--domian'; did you mean '--domain'?" in job.reason
    job = run(system)
    assert "step cannot run without --domain" in job.reason


def test_environment_and_working_directory(step):
    system = step(
        'echo "$OMP $WHERE"; pwd; command -v nowcast > /dev/null && echo has nowcast',
        environment={"OMP": 2, "WHERE": "{scratch}/x"},
        **{"working directory": "."},
    )
    job = run(system)
    scratch = system.job_folder(job.id) / "scratch"
    assert output(system, job) == f"2 {scratch}/x\n{system.folder}\nhas nowcast\n"


def test_a_list_is_run_as_it_stands_and_values_are_quoted_for_a_shell(step):
    system = step(
        "true", command=["sh", "-c", "printf '%s|' {text} | tr a b", "unused"],
        parameters={"text": "a $(touch no) 'x'"},
    )  # fmt: skip
    assert output(system, run(system)) == "b $(touch no) 'x'|"


def test_a_worker_that_a_script_starts_is_not_the_job(step):
    system = step('python="$1"; "$python" -m workers.then "$NOWCAST_YAML"; exit 3',
                  command=["./step.sh", sys.executable], **{"working directory": "."})  # fmt: skip
    job = run(system)
    assert (job.state, system.ran()) == ("failed", ["then"])
    assert [message.type for message in system.messages("step")] == ["failure"]


def test_a_command_that_is_a_worker_itself_ends_the_job_once(step):
    system = step(
        'exec "$1" -m workers.step "$NOWCAST_YAML" --payload "{tide: 3}"',
        command=["./step.sh", sys.executable], **{"working directory": "."},
    )  # fmt: skip
    job = run(system)
    assert job.state == "succeeded"
    assert [message.state for message in system.messages("step")] == ["decided"]
    assert system.checklist() == {"step": {"tide": 3}}


def test_retry_timeout_and_cancel_are_those_of_any_worker(step):
    system = step(
        '[ $NOWCAST_ATTEMPT = 2 ] || exit 1; trap "" TERM; sleep 60',
        retry={"tries": 2, "on": "failure"},
        timeout="0.3s",
    )
    first = system.launch("workers.step")
    system.wait_for_job(first, "failed")
    second = wait_until(lambda: next((j for j in system.jobs() if j.predecessor == first), None))
    assert second.attempt == 2
    system.wait_for_job(second.id, "running")
    system.request("cancel", {"job": second.id})
    assert system.wait_for_process_end(second.id, timeout=30).state in ("cancelled", "timed out")


def test_a_job_that_runs_longer_than_its_timeout_is_timed_out(step):
    system = step("exec sleep 60", timeout="0.3s")
    job = run(system)
    assert job.state == "timed out"
    assert "ran for longer than its timeout" in job.reason


def test_a_job_keeps_its_date_when_it_is_run_again(step):
    system = step("echo $1", command="./step.sh {run_date}")
    job = run(system)
    assert job.arguments[0] == "--run-date"
    again = system.request("rerun", {"job": job.id}).payload["job"]
    assert system.wait_for_process_end(again).arguments == job.arguments


def test_the_folder_of_a_job_tells_how_it_ended(step):
    system = step("exit 3")
    job = run(system)
    ending = Exit.from_json(job.exit)
    assert (ending.code, ending.signal, ending.reason) == (3, None, None)
    assert ending.peak_memory > 0


def test_run_worker_streams_what_a_command_prints_and_ends_with_its_code(step):
    system = step("echo one; while [ ! -e ../../../../../go ]; do sleep 0.02; done; exit 3")
    command = begin_nowcast(system.folder, "run-worker", "step")
    assert command.stdout is not None
    assert command.stdout.readline() == "one\n"
    assert system.jobs("step")[0].unfinished
    system.touch("go")
    _, said = command.communicate(timeout=60)
    assert command.returncode == 3
    assert "step failed after " in said
    assert "it exited with code 3" in said


def test_another_success_code_than_0_is_a_success_for_who_ran_it_by_hand(step):
    system = step("exit 3", **{"success codes": [0, 3]})
    done = nowcast(system.folder, "run-worker", "step")
    assert (done.code, "step succeeded" in done.err) == (0, True), done.err
    done = nowcast(system.folder, "run-worker", "--debug", "step")
    assert (done.code, "the message success" in done.err) == (0, True), done.err


def test_job_show_says_what_was_run(step):
    system = step("true", command="./step.sh {run_date} '{scratch} x'")
    job = run(system, "--run-date", "2026-11-20")
    shown = nowcast(system.folder, "job", "show", job.id).out
    assert "command    ./step.sh 2026-11-20 '{scratch} x'\n" in shown


def test_run_worker_knows_the_options_of_a_command(step):
    system = step("true", command="./step.sh {domain} {run_date}", parameters={"domain": None})
    done = nowcast(system.folder, "run-worker", "step", "--", "--domian", "x")
    assert done.code == 2
    assert "step has no option '--domian'; did you mean '--domain'?" in done.err
    done = nowcast(system.folder, "run-worker", "step")
    assert done.code == 2
    assert "nowcast run-worker step -- --domain VALUE" in done.err
    shown = nowcast(system.folder, "run-worker", "step", "--", "--help").out
    assert "  --domain VALUE    required" in shown
    assert "  --run-date VALUE  default: the day of the job" in shown
    assert not system.jobs()


def test_run_worker_for_many_dates(step):
    system = step("echo {run_date}", outputs={"out": "out/{run_date}"})
    system.write("step.sh", "#!/bin/sh\necho > out\n").chmod(0o755)
    dates = ["--from", "2026-11-01", "--to", "2026-11-03"]
    assert nowcast(system.folder, "run-worker", "step", *dates).code == 0
    made = sorted(path.name for path in (system.folder / "out").iterdir())
    assert made == ["2026-11-01", "2026-11-02", "2026-11-03"]


def test_a_command_can_be_run_by_hand_without_daemons(step):
    system = step(
        "echo here; nowcast tell success --payload n=1; echo x > a; exit 0",
        begin=False,
        outputs={"a": "results/a", "b": "results/b"},
    )
    done = nowcast(system.folder, "run-worker", "--debug", "step")
    assert (done.code, done.out) == (1, "here\n")  # an output is missing
    assert "as a job it would end with the message success, with {'n': 1}" in done.err
    assert f"to {system.folder}/results/a" in done.err
    assert "as a job it would fail: there is no /" in done.err
    assert not (system.folder / "results").exists()


@pytest.mark.ssh
def test_a_command_runs_on_a_host_without_nowcast_and_finds_its_tools_there(remote):
    results = remote.there.folder / "results"
    for system in (remote.system, remote.there):
        system.registry["first"] = {
            "checklist key": "first",
            "command": "./step.sh {deployment}",
            "outputs": {"made": str(results / "made")},
            **MESSAGES,
        }
        system.write_config()
    script = "#!/bin/sh\necho $1 > made; command -v nowcast\nnowcast tell success --payload n=3\n"
    remote.there.write("step.sh", script).chmod(0o755)
    assert remote.system.request("reload").type == "ack"
    job = remote.system.launch("first", host="east")
    ended = remote.system.wait_for_process_end(job, 30)
    assert ended.state == "succeeded", ended.reason
    assert (results / "made").read_text() == f"{remote.there.folder}\n"
    assert remote.system.checklist() == {"first": {"n": 3}}
    assert "/nowcast" in (remote.system.job_folder(job) / "stdout").read_text()


def test_the_schedule_launches_a_command(step):
    system = step("true", begin=False)
    system.settings["scheduled workers"] = [{"step": {"every": "1s"}}]
    system.write_config()
    system.start("message_broker", "manager", "scheduler")
    job = wait_until(lambda: next(iter(system.jobs("step")), None))
    assert system.wait_for_process_end(job.id).state == "succeeded"


def test_no_more_of_a_command_run_at_once_than_may(step):
    system = step(
        "d=../../at-once; mkdir -p $d/$$; ls $d | wc -l; sleep 0.1; rmdir $d/$$", concurrency=2
    )
    jobs = [system.launch("workers.step") for _ in range(6)]
    ended = [system.wait_for_process_end(job, timeout=30) for job in jobs]
    assert {int(output(system, job)) for job in ended} <= {1, 2}


def test_validate_looks_for_the_program_and_for_no_module(step):
    system = step("true", begin=False)
    done = nowcast(system.folder, "validate")
    assert done.code == 0, done.err
    (system.folder / "step.sh").chmod(0o644)
    done = nowcast(system.folder, "validate")
    assert f"{system.folder}/step.sh cannot be run" in done.out + done.err
    (system.folder / "step.sh").unlink()
    done = nowcast(system.folder, "validate")
    assert done.code != 0
    assert f"there is no program {system.folder}/step.sh" in done.out + done.err
    system.registry["step"]["command"] = "no-such-program {run_date}"
    system.write_config()
    done = nowcast(system.folder, "validate")
    assert done.code == 0
    assert "there is no program no-such-program on the PATH" in done.out + done.err
