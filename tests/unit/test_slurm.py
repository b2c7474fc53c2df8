"""What Slurm tells, as it was recorded from 22.05, and what is made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.resources import Resources
from nowcast_cli.executors.batch_system import Answer, BatchSystem, Later, Outage, Refused
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict
from nowcast_cli.executors.slurm import Slurm

SYSTEM: BatchSystem = Slurm()
TOKEN = "0193502c-1a8b-7def-8123-456789abcdef.1"
JOB = JobRequest(
    id="0193502c-1a8b-7def-8123-456789abcdef",
    attempt=1,
    worker="run_model",
    module="workers.run_model",
    arguments=(),
    folder="/data/100%/0193502c-run_model",
    config_file="/data/nowcast.yaml",
    working_directory="/data",
    environment={},
)
AWAY = "Unable to contact slurm controller (connect failure)"


def explained(answer: Answer) -> Verdict | None:
    return SYSTEM.explained(answer, TOKEN)


def complaint(text: str, code: int = 1) -> Answer:
    return Answer(code, "", text)


def shown(state: str, more: str = "") -> Answer:
    return Answer(0, f"JobId=7 JobName=x UserId=me(1) JobState={state} Reason=None {more}\n", "")


def test_resources_become_directives_and_what_is_said_verbatim_comes_last():
    asked = Resources(4, 8 << 30, 7261.5, 1, "long", "ocean", ("--exclusive",))
    job = replace(JOB, resources=asked, directives=("#SBATCH --qos=high",))
    assert SYSTEM.header(job) == [
        "#SBATCH --partition=long",
        "#SBATCH --account=ocean",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=8388608K",
        "#SBATCH --time=0-02:01:02",
        "#SBATCH --gpus=1",
        "#SBATCH --qos=high",
    ]
    command = SYSTEM.submit("/data/batch.sh", TOKEN, job)
    assert command[0] == "sbatch"
    assert command[-1] == "/data/batch.sh"
    # Of an option the last one counts: nobody's extra ones can take ours.
    assert command.index("--exclusive") < command.index("--no-requeue")
    assert f"--comment=nowcast:{TOKEN}" in command
    assert "--output=/data/100%%/0193502c-run_model/batch.out" in command


def test_a_job_that_asks_for_nothing_has_no_directives():
    assert SYSTEM.header(JOB) == []


@given(st.integers(1, 1 << 50), st.floats(0.001, 1e8))
def test_no_job_gets_less_than_it_asks_for(memory, walltime):
    lines = SYSTEM.header(replace(JOB, resources=Resources(memory=memory, walltime=walltime)))
    given_memory = int(lines[0].removeprefix("#SBATCH --mem=").removesuffix("K")) * 1024
    days, _, clock = lines[1].removeprefix("#SBATCH --time=").partition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    given_time = ((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds
    assert memory <= given_memory < memory + 1024
    assert walltime <= given_time < walltime + 1


@pytest.mark.parametrize("stdout", ["4711\n", "4711;cluster\n", "a greeting\n4711\n"])
def test_the_id_of_a_job(stdout):
    assert SYSTEM.submitted(Answer(0, stdout, "")) == "4711"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (complaint(f"sbatch: error: Batch job submission failed: {AWAY}"), Outage, "takes no jobs"),
        (Answer(0, "", ""), Outage, "has not told the id"),
        (
            complaint("sbatch: error: Batch job submission failed: Job violates accounting/QOS "
                      "policy (job submit limit, user's size and/or time limits)"),
            Later, "no more jobs of this user for now",
        ),
        (
            complaint("sbatch: error: invalid partition specified: lnog\nsbatch: error: Batch job "
                      "submission failed: Invalid partition name specified"),
            Refused, "Slurm has refused the job: invalid partition specified: lnog; ",
        ),
        (
            complaint("/usr/bin/sbatch: unrecognized option '--bogus'\nTry \"sbatch --help\" for "
                      "more information", 255),
            Refused, "unrecognized option '--bogus'",
        ),
    ],
)  # fmt: skip
def test_why_a_job_was_not_taken(answer, error, words):
    with pytest.raises(error) as caught:
        SYSTEM.submitted(answer)
    assert words in str(caught.value)


def test_the_states_of_all_jobs():
    told = "1|PENDING|Resources\n2_3|RUNNING|None\n3|COMPLETING|None\n4|NODE_FAIL|NodeDown\n"
    told += "5|COMPLETED|None\n6|MOONSTRUCK|None\n"
    ids = ["1", "2_3", "3", "4", "5", "6", "77"]
    states = SYSTEM.polled(Answer(0, told, ""), ids)
    assert {native_id: state.state for native_id, state in states.items()} == {
        "1": "pending", "2_3": "running", "3": "running", "4": "ended", "5": "ended",
        "6": "unknown", "77": "ended",
    }  # fmt: skip
    assert (states["1"].native, states["1"].reason) == ("PENDING", "Resources")
    assert (states["2_3"].reason, states["77"].native) == ("", "")


def test_an_unknown_id_has_ended_and_an_outage_says_nothing():
    unknown = complaint("slurm_load_jobs error: Invalid job id specified")
    assert SYSTEM.polled(unknown, ["77"])["77"].state == "ended"
    with pytest.raises(Outage, match="squeue does not answer: Unable to contact"):
        SYSTEM.polled(complaint(f"slurm_load_jobs error: {AWAY}"), ["77"])
    with pytest.raises(Outage):
        SYSTEM.found(complaint("", 127), [TOKEN])


def test_thousands_of_jobs_are_asked_for_with_one_command_that_can_be_run():
    many = [str(number) for number in range(1_000_000, 1_010_000)]
    assert len(max(SYSTEM.poll(many), key=len)) < 1 << 17
    assert "--me" in SYSTEM.poll([*many, "1"])


def test_jobs_are_found_by_their_tokens():
    told = f"8|(null)\n9|nowcast:{TOKEN}\n10|nowcast:other.1\n11|somebody's|nowcast:{TOKEN}\n"
    assert SYSTEM.found(Answer(0, told, ""), [TOKEN, "gone.1"]) == {TOKEN: "9"}


def test_cancelling_what_has_ended_is_no_trouble():
    SYSTEM.cancelled(complaint("scancel: error: Kill job error on job id 7: Invalid job id", 1))
    with pytest.raises(Outage):
        SYSTEM.cancelled(complaint(f"scancel: error: Kill job error on job id 7: {AWAY}", 8))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (shown("TIMEOUT", "ExitCode=0:0 TimeLimit=02:00:00"), "timed out", "limit of 02:00:00"),
        (shown("OUT_OF_MEMORY", "ExitCode=0:125"), "crashed", "more memory than it may have"),
        (shown("CANCELLED", "ExitCode=0:15"), "crashed", "and not by nowcast"),
        (shown("PREEMPTED"), "crashed", "a job that goes first"),
        (shown("NODE_FAIL", "ExitCode=0:0 BatchHost=n2"), "lost", "lost the node n2"),
        (shown("BOOT_FAIL", "NodeList=n2"), "crashed", "node n2 could not be started"),
        (shown("DEADLINE"), "timed out", "deadline"),
        (Answer(0, "CANCELLED by 1000|0:15\n", "slurm_load_jobs error: Invalid job id specified"),
         "crashed", "and not by nowcast"),
        (Answer(0, "TIMEOUT|0:0\n", "slurm_load_jobs error: Invalid job id specified"),
         "timed out", "at its time limit (TIMEOUT)"),
    ],
)  # fmt: skip
def test_why_slurm_ended_a_job(answer, kind, words):
    verdict = explained(answer)
    assert verdict.kind == kind
    assert words in verdict.reason


def test_a_job_that_ended_by_itself_has_no_verdict():
    assert explained(shown("FAILED", "ExitCode=3:0")) is None
    assert explained(shown("COMPLETED")) is None
    forgotten = (
        "slurm_load_jobs error: Invalid job id specified\nSlurm accounting storage is disabled"
    )
    assert explained(complaint(forgotten)) is None
    with pytest.raises(Outage):
        explained(complaint(f"slurm_load_jobs error: {AWAY}\n{AWAY}"))


@pytest.mark.parametrize(
    ("output", "kind", "words"),
    [
        ("slurmstepd-n1: error: *** JOB 2 ON n1 CANCELLED AT 2026-11-22T09:32:05 DUE TO TIME LIMIT"
         " ***\n", "timed out", "time limit"),
        ("slurmstepd-n1: error: StepId=3.batch exceeded memory limit (434786304 > 104857600), "
         "being killed\nslurmstepd-n1: error: *** JOB 3 ON n1 CANCELLED AT 2026-11-22T09:31:38 ***",
         "crashed", "memory"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=9.batch. Some of your "
         "processes may have been killed by the cgroup out-of-memory handler.\n",
         "crashed", "memory"),
        ("slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-11-22T09:31:38 ***\n",
         "crashed", "scancel"),
    ],
)  # fmt: skip
def test_what_slurmstepd_writes_when_it_ends_a_job(output, kind, words):
    verdict = SYSTEM.said(f"some shell\n{output}")
    assert verdict.kind == kind
    assert words in verdict.reason


def test_what_others_print_of_slurm_ends_nothing():
    assert SYSTEM.said("we wait for job 5, which was CANCELLED AT noon\n") is None
