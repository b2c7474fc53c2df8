"""What PBS tells, as its documentation and its users show it, and what is made of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.resources import Resources
from nowcast_cli.executors.batch_system import (
    Answer,
    BatchSystem,
    Later,
    NativeState,
    Outage,
    Refused,
    TooEarly,
)
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict
from nowcast_cli.executors.pbs import Pbs

SYSTEM: BatchSystem = Pbs()
TOKEN = "0193502c-1a8b-7def-8123-456789abcdef.1"
JOB = JobRequest(
    id="0193502c-1a8b-7def-8123-456789abcdef",
    attempt=1,
    worker="run_model",
    module="workers.run_model",
    arguments=(),
    folder="/data/jobs/2026-11-22/0193502c-run_model",
    config_file="/data/nowcast.yaml",
    working_directory="/data",
    environment={},
)

JOBS = """\
Job Id: 101.pbs-head
    Job_Name = nc-0193502c-1a8b-7def-8123-456789abcdef.1
    Job_Owner = me@pbs-head
    resources_used.cput = 00:00:01
    resources_used.mem = 5200kb
    resources_used.walltime = 00:00:04
    job_state = R
    queue = workq
    Output_Path = pbs-head:/data/jobs/2026-11-22/0193502c-1a8b-7def-8123-456789abc
\tdef-run_model/batch.out
    Resource_List.select = 1:ncpus=4
    Resource_List.walltime = 00:10:00
    substate = 42
    Variable_List = PBS_O_HOME=/home/me,PBS_O_LANG=C.UTF-8,PBS_O_LOGNAME=me,
\tjob_state = F
    comment = Job run at Sun Nov 22 at 09:40 on (node01:ncpus=4)

Job Id: 102.pbs-head
    Job_Name = nc-another
    job_state = Q
    comment = Not Running: Insufficient amount of resource: ncpus
    substate = 10

Job Id: 103.pbs-head
    Job_Name = nc-third
    job_state = F
    substate = 92
    Exit_status = 0
"""
AWAY = "Connection refused\nqstat: cannot connect to server pbs-head (errno=15010)\n"


def explained(answer: Answer) -> Verdict | None:
    return SYSTEM.explained(answer, TOKEN)


def ended(**attributes: str) -> Answer:
    lines = {"job_state": "F", "substate": "93", **attributes}
    text = "".join(f"    {key} = {value}\n" for key, value in lines.items())
    return Answer(0, f"Job Id: 101.pbs-head\n{text}", "")


# --- what is asked for


def test_what_a_job_asks_for_becomes_directives():
    wanted = Resources(
        cpus=4, memory=8_000_000_000, walltime=93784.4, gpus=1, queue="long", account="ocean"
    )
    assert SYSTEM.header(replace(JOB, resources=wanted, directives=("#PBS -l place=excl",))) == [
        "#PBS -q long",
        "#PBS -A ocean",
        "#PBS -l select=1:ncpus=4:mem=8000000000b:ngpus=1",
        "#PBS -l walltime=26:03:04",
        "#PBS -l place=excl",
    ]


def test_a_job_that_asks_for_nothing_has_no_directives():
    assert SYSTEM.header(JOB) == []
    assert SYSTEM.header(replace(JOB, resources=Resources(gpus=0))) == []


@given(walltime=st.floats(0.01, 10**7))
def test_the_walltime_is_what_was_asked_for(walltime: float):
    (line,) = SYSTEM.header(replace(JOB, resources=Resources(walltime=walltime)))
    hours, minutes, seconds = map(int, line.rpartition("=")[2].split(":"))
    assert minutes < 60
    assert seconds < 60
    assert 3600 * hours + 60 * minutes + seconds == max(1, round(walltime))


def test_a_script_is_submitted_under_its_token():
    job = replace(JOB, resources=Resources(extra=("-m", "n")))
    assert SYSTEM.submit("/data/batch.sh", TOKEN, job) == [
        "qsub", "-m", "n", "-N", f"nc-{TOKEN}", "-r", "n", "-j", "oe",
        "-o", f"{JOB.folder}/batch.out", "-S", "/bin/sh", "/data/batch.sh",
    ]  # fmt: skip


# --- what it answers


@pytest.mark.parametrize("native_id", ["101.pbs-head", "12[].pbs-head", "7.head.cluster.org"])
def test_the_id_of_a_job(native_id: str):
    assert SYSTEM.submitted(Answer(0, f"{native_id}\n", "")) == native_id


@pytest.mark.parametrize(
    ("complaint", "error", "words"),
    [
        ("qsub: Unknown queue", Refused, "PBS refused the job: Unknown queue"),
        ("qsub: illegal -N value", Refused, "illegal -N value"),
        ("qsub: Job violates queue and/or server resource limits", Refused, "violates"),
        ("Connection refused\nqsub: cannot connect to server pbs (errno=15010)", Outage, "connect"),
        (
            "qsub: would exceed queue workq's per-user limit of jobs in 'Q' state",
            Later,
            "takes no more jobs at present",
        ),
        ("qsub: Maximum number of jobs already in queue", Later, "at present"),
        ("sh: 1: qsub: not found", Outage, "not found"),
        ("", Outage, "exit code 1"),
    ],
)
def test_a_job_is_not_taken(complaint: str, error: type[Exception], words: str):
    with pytest.raises(error) as caught:
        SYSTEM.submitted(Answer(1, "", complaint))
    assert words in str(caught.value)


def test_one_look_tells_of_all_jobs():
    assert SYSTEM.poll(["101.pbs-head", "102.pbs-head"]) == [
        "qstat", "-x", "-f", "101.pbs-head", "102.pbs-head",
    ]  # fmt: skip
    answer = Answer(153, JOBS, "qstat: Unknown Job Id 104.pbs-head\n")
    assert SYSTEM.polled(
        answer, ["101.pbs-head", "102.pbs-head", "103.pbs-head", "104.pbs-head"]
    ) == {
        "101.pbs-head": NativeState("running", "R"),
        "102.pbs-head": NativeState(
            "pending", "Q", "Not Running: Insufficient amount of resource: ncpus"
        ),
        "103.pbs-head": NativeState("ended", "F"),
        "104.pbs-head": NativeState("ended", ""),
    }


@pytest.mark.parametrize(
    ("letter", "state", "reason"),
    [
        ("H", "pending", "it is held"),
        ("W", "pending", ""),
        ("T", "pending", ""),
        ("S", "running", "it is suspended"),
        ("E", "running", "it is ending"),
        ("B", "running", ""),
        ("M", "unknown", ""),
    ],
)
def test_what_the_letters_mean(letter: str, state: str, reason: str):
    answer = Answer(0, f"Job Id: 7.a\n    job_state = {letter}\n", "")
    assert SYSTEM.polled(answer, ["7.a"]) == {"7.a": NativeState(state, letter, reason)}


def test_a_job_that_has_finished_and_is_kept_apart_has_ended():
    words = "7.a Job has finished, use -x or -H to obtain historical job information"
    assert SYSTEM.polled(Answer(35, "", f"qstat: {words}\n"), ["7.a"])["7.a"].state == "ended"


@pytest.mark.parametrize("answer", [Answer(255, "", AWAY), Answer(0, "", ""), Answer(0, JOBS, "")])
def test_an_outage_is_no_word_of_jobs(answer: Answer):
    with pytest.raises(Outage, match="qstat: "):
        SYSTEM.polled(answer, ["7.pbs-head"])


@given(cut=st.integers(0, len(JOBS)))
def test_what_is_cut_off_never_reads_as_an_end(cut: int):
    try:
        states = SYSTEM.polled(Answer(0, JOBS[:cut], ""), ["101.pbs-head", "102.pbs-head"])
    except Outage:
        return
    assert {state.state for state in states.values()} <= {"running", "pending", "unknown"}


def test_a_job_is_found_by_its_token():
    assert SYSTEM.find([TOKEN])[-1] == TOKEN
    answer = Answer(0, f"{TOKEN} 101.pbs-head\n", "")
    assert SYSTEM.found(answer, [TOKEN, "absent.1"]) == {TOKEN: "101.pbs-head"}
    with pytest.raises(Outage, match="qselect: cannot connect"):
        SYSTEM.found(Answer(1, "", "qselect: cannot connect to server a (errno=15010)"), [TOKEN])


def test_deleting_what_has_ended_is_no_matter():
    SYSTEM.cancelled(Answer(0, "", ""))
    for complaint in (
        "qdel: Unknown Job Id 7.a",
        "qdel: Job has finished 7.a",
        "qdel: Request invalid for state of job 7.a",
    ):
        SYSTEM.cancelled(Answer(153, "", complaint))
    for complaint in (AWAY, "qdel: Unknown Job Id 7.a\nqdel: Unauthorized Request  8.a", ""):
        with pytest.raises(Outage, match="qdel: "):
            SYSTEM.cancelled(Answer(1, "", complaint))


# --- why a job ended


@pytest.mark.parametrize("status", ["0", "3", "127", "139", "143"])
def test_a_job_that_ended_by_itself_has_no_verdict(status: str):
    assert explained(ended(Exit_status=status)) is None


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            ended(
                **{
                    "Exit_status": "-29",
                    "Resource_List.walltime": "00:10:00",
                    "resources_used.walltime": "00:10:07",
                }
            ),
            "timed out",
            "its time limit (walltime=00:10:00): it used 00:10:07",
        ),
        (
            ended(
                **{
                    "Exit_status": "271",
                    "Resource_List.walltime": "00:10:00",
                    "resources_used.walltime": "00:10:07",
                }
            ),
            "timed out",
            "its time limit",
        ),
        (
            ended(**{"Exit_status": "-27", "Resource_List.mem": "4gb"}),
            "crashed",
            "its memory limit (mem=4gb)",
        ),
        (ended(Exit_status="-24"), "crashed", "its limit (ncpus)"),
        (ended(Exit_status="271"), "crashed", "deleted in PBS (qdel), and not by nowcast"),
        (ended(Exit_status="265", substate="91"), "crashed", "deleted in PBS (qdel)"),
        (ended(Exit_status="0", substate="91"), "crashed", "deleted in PBS (qdel)"),
        (ended(Exit_status="265"), "crashed", "ended by signal 9"),
        (ended(substate="91"), "crashed", "deleted in PBS (qdel), and not by nowcast, before it"),
        (
            ended(Exit_status="-1", comment="job held, too many failed attempts to run"),
            "crashed",
            "could not run it: Exit_status -1; job held, too many failed attempts",
        ),
    ],
)
def test_why_pbs_ended_a_job(answer: Answer, kind: str, words: str):
    verdict = explained(answer)
    assert verdict is not None
    assert verdict.kind == kind
    assert words in verdict.reason


def test_a_job_that_is_still_ending_has_no_verdict_as_yet():
    with pytest.raises(TooEarly):
        explained(ended(job_state="E"))


def test_a_server_without_history_knows_nothing():
    assert explained(Answer(153, "", "qstat: Unknown Job Id 101.pbs-head\n")) is None
    with pytest.raises(Outage):
        explained(Answer(255, "", AWAY))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("=>> PBS: job killed: walltime 61 exceeded limit 60", "timed out"),
        ("=>> PBS: job killed: mem 204800kb exceeded limit 102400kb", "crashed"),
        ("=>> PBS: job killed: ncpus 4.2 exceeded limit 1 (sum)", "crashed"),
    ],
)
def test_what_pbs_writes_into_the_output(line: str, kind: str):
    verdict = SYSTEM.said(f"hello\n{line}\n")
    assert verdict is not None
    assert verdict.kind == kind
    assert line.partition("killed: ")[2] in verdict.reason
    assert SYSTEM.said("hello\n") is None


def test_how_its_queues_are():
    head = "Queue              Max   Tot Ena Str   Que   Run   Hld   Wat   Trn   Ext Type\n"
    workq = "workq                0     0 yes yes     0     0     0     0     0     0 Exec\n"
    night = "night                0     0 yes  no     0     0     0     0     0     0 Exec\n"
    assert SYSTEM.well(Answer(0, head + workq + night, "")) == "queues that take jobs: workq"
    with pytest.raises(Outage, match="enabled and started"):
        SYSTEM.well(Answer(0, head + night, ""))
    with pytest.raises(Outage, match="cannot connect"):
        SYSTEM.well(Answer(255, "", AWAY))
