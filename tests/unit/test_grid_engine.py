"""What Grid Engine tells, as it was recorded from one, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.executors import executors_of
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
from nowcast_cli.executors.grid_engine import GridEngine
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.native import Verdict

SYSTEM: BatchSystem = GridEngine()
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

LISTED = """\
<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
{running}  </queue_info>
  <job_info>
{pending}  </job_info>
</job_info>
"""
LINE = """\
    <job_list state="{kind}">
      <JB_job_number>{number}</JB_job_number>
      <JAT_prio>0.25000</JAT_prio>
      <JB_name>{name}</JB_name>
      <JB_owner>root</JB_owner>
      <state>{state}</state>
      <JAT_start_time>2026-11-22T09:29:01</JAT_start_time>
      <queue_name>all.q@localhost</queue_name>
      <slots>1</slots>
{tasks}    </job_list>
"""
IN_ERROR = """\
<?xml version='1.0'?>
<detailed_job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/detailed_job_info.xsd">
  <djob_info>
    <element>
      <JB_job_number>{number}</JB_job_number>
      <JB_mail_list>
        <element>
          <MR_user>root</MR_user>
        </element>
      </JB_mail_list>
      <JB_ja_tasks>
        <ulong_sublist>
          <JAT_status>0</JAT_status>
          <JAT_task_number>1</JAT_task_number>
          <JAT_message_list>
            <ulong_sublist>
              <QIM_type>1</QIM_type>
              <QIM_message>11/22/2026 09:29:01 [0:14265]: error: can&apos;t open output file &quot;/nosuch/dir&quot;: No such file or directory</QIM_message>
            </ulong_sublist>
          </JAT_message_list>
        </ulong_sublist>
      </JB_ja_tasks>
    </element>
  </djob_info>
  <messages>
    <element>
      <SME_global_message_list>
        <element>
          <MES_message>queue instance &quot;all.q@localhost&quot; dropped</MES_message>
        </element>
      </SME_global_message_list>
    </element>
  </messages>
</detailed_job_info>
"""  # noqa: E501
ACCOUNT = """\
==============================================================
qname        all.q               
hostname     localhost           
owner        root                
jobname      run_model-nc-{token}
jobnumber    12                  
taskid       undefined
qsub_time    Sun Nov 22 09:29:28 2026
granted_pe   NONE                
slots        {slots}                   
failed       {failed}
exit_status  {status}
ru_wallclock {wallclock}
ru_maxrss    4.449KB
cpu          1.900s
maxvmem      {memory}
category     {category}
"""  # noqa: W291


def explained(answer: Answer) -> Verdict | None:
    return SYSTEM.explained(answer, TOKEN)


def listed(number: str, state: str, name: str = "nc-x", tasks: str = "") -> str:
    kind = "running" if set(state) & set("rtsST") else "pending"
    tasks = f"      <tasks>{tasks}</tasks>\n" if tasks else ""
    return LINE.format(kind=kind, number=number, state=state, name=name, tasks=tasks)


def listing(*lines: str, errors: Sequence[str] = ()) -> Answer:
    running = "".join(line for line in lines if 'state="running"' in line)
    pending = "".join(line for line in lines if 'state="pending"' in line)
    text = LISTED.format(running=running, pending=pending)
    return Answer(0, text + "".join(IN_ERROR.format(number=number) for number in errors), "")


def account(
    failed: str = "0    ",
    status: str = "0                   ",
    wallclock: str = "3s",
    memory: str = "1.676MB",
    category: str = "NONE",
    slots: int = 1,
    token: str = TOKEN,
) -> Answer:
    text = ACCOUNT.format(
        token=token,
        failed=failed,
        status=status,
        wallclock=wallclock,
        memory=memory,
        category=category,
        slots=slots,
    )
    return Answer(0, text, "")


# --- what is asked for


def test_what_a_job_asks_for_becomes_directives():
    wanted = Resources(
        cpus=4, memory=8_000_000_001, walltime=7200, gpus=1, queue="long.q", account="ocean"
    )
    assert SYSTEM.header(replace(JOB, resources=wanted, directives=("#$ -l fast",))) == [
        "#$ -q long.q",
        "#$ -P ocean",
        "#$ -pe smp 4",
        "#$ -l h_vmem=2000000001",  # for each slot, and together no less than was asked for
        "#$ -l h_rt=7200",
        "#$ -l gpu=1",
        "#$ -l fast",
    ]


def test_a_job_that_asks_for_nothing_has_no_directives():
    assert SYSTEM.header(JOB) == []
    assert SYSTEM.header(replace(JOB, resources=Resources(cpus=1, gpus=0))) == []


def test_the_parallel_environment_is_that_of_the_site():
    wanted = replace(JOB, resources=Resources(cpus=2))
    assert GridEngine("threaded").header(wanted) == ["#$ -pe threaded 2"]


@given(cpus=st.integers(1, 128), memory=st.integers(1, 2**45))
def test_the_slots_have_together_what_was_asked_for(cpus: int, memory: int):
    header = SYSTEM.header(replace(JOB, resources=Resources(cpus=cpus, memory=memory)))
    (line,) = [line for line in header if "h_vmem" in line]
    given_memory = int(line.partition("h_vmem=")[2]) * cpus
    assert memory <= given_memory < memory + cpus


def test_a_script_is_submitted_under_its_token():
    command = SYSTEM.submit(
        "/data/batch.sh", TOKEN, replace(JOB, resources=Resources(extra=("-V",)))
    )
    assert command == [
        "qsub", "-V", "-terse", "-N", f"run_model-nc-{TOKEN}", "-notify", "-r", "n", "-j", "y",
        "-o", f"{JOB.folder}/batch.out", "-S", "/bin/sh", "/data/batch.sh",
    ]  # fmt: skip


@pytest.mark.parametrize(("worker", "name"), [("run_model", "run_model"), ("3d-var", "_3d_var")])
def test_a_job_has_the_name_of_its_worker_as_far_as_grid_engine_allows(worker: str, name: str):
    command = SYSTEM.submit("/data/batch.sh", TOKEN, replace(JOB, worker=worker))
    assert f"{name}-nc-{TOKEN}" in command


# --- what it answers


@pytest.mark.parametrize(
    ("stdout", "native_id"),
    [("12\n", "12"), ("23.1-5:1\n", "23"), ("Checked by the site.\n12\n", "12")],
)
def test_the_number_of_a_job(stdout: str, native_id: str):
    assert SYSTEM.submitted(Answer(0, stdout, "")) == native_id


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ('job rejected: the requested project "nosuch" does not exist', 'project "nosuch"'),
        ('Job was rejected because job requests unknown queue "nosuch.q"', "unknown queue"),
        ('unknown resource "gpu"', 'unknown resource "gpu"'),
        (
            'job rejected: the requested parallel environment "mpi" does not exist',
            "`parallel environment:` of the executor",
        ),
    ],
)
def test_a_job_is_refused(complaint: str, words: str):
    with pytest.raises(Refused, match=words):
        SYSTEM.submitted(Answer(1, "", f"Unable to run job: {complaint}\nExiting.\n"))


AWAY = (
    "error: commlib error: got select error (Connection refused)\n"
    'error: unable to send message to qmaster using port 6444 on host "head": got send error\n'
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(
                1,
                "",
                "error: commlib error: got select error (Connection refused)\n"
                "Unable to run job: unable to send message to qmaster using port 6444 on host "
                '"head": got send error\nExiting.\n',
            ),
            "Connection refused",
        ),
        (Answer(127, "", "sh: 1: qsub: not found\n"), "not found"),
        (Answer(0, "", ""), "exit code 0"),
    ],
)
def test_nobody_knows_whether_a_job_was_taken(answer: Answer, words: str):
    with pytest.raises(Outage) as caught:
        SYSTEM.submitted(answer)
    assert words in str(caught.value)


def test_no_more_jobs_are_taken_for_now():
    said = "job rejected: only 1 jobs are allowed per user (current job count: 1)"
    with pytest.raises(Later, match="takes no more jobs at present: job rejected: only 1 jobs"):
        SYSTEM.submitted(Answer(25, "", f"Unable to run job: {said}\nExiting.\n"))


@pytest.mark.parametrize(
    ("letters", "state", "reason"),
    [
        ("qw", "pending", ""),
        ("hqw", "pending", "it is held"),
        ("t", "running", ""),
        ("r", "running", ""),
        ("Rr", "running", ""),
        ("s", "running", "it is suspended"),
        ("S", "running", "its queue is suspended"),
        ("T", "running", "it is suspended at a threshold"),
        ("dr", "running", "it is being deleted"),
        ("dt", "running", "it is being deleted"),
        ("!", "unknown", ""),
    ],
)
def test_what_the_letters_mean(letters: str, state: str, reason: str):
    answer = listing(listed("12", letters))
    assert SYSTEM.polled(answer, ["12"]) == {"12": NativeState(state, letters, reason)}


def test_a_job_in_error_state_waits_and_tells_why_and_what_to_do():
    answer = listing(listed("3", "Eqw"), listed("4", "r"), errors=["3"])
    states = SYSTEM.polled(answer, ["3", "4"])
    assert states["3"] == NativeState(
        "pending",
        "Eqw",
        'can\'t open output file "/nosuch/dir": No such file or directory; '
        "qmod -cj 3 has it tried again once that is mended",
    )
    assert states["4"].state == "running"


def test_a_job_that_is_not_listed_has_ended():
    answer = listing(listed("12", "r"))
    assert SYSTEM.polled(answer, ["13"]) == {"13": NativeState("ended", "")}
    assert SYSTEM.polled(listing(), ["13"]) == {"13": NativeState("ended", "")}


def test_elements_of_an_array_have_their_own_states():
    answer = listing(
        listed("23", "r", tasks="1"), listed("23", "Eqw", tasks="4"),
        listed("23", "qw", tasks="5-9:2,12"),
    )  # fmt: skip
    states = SYSTEM.polled(answer, [f"23.{task}" for task in (1, 2, 4, 5, 6, 7, 9, 11, 12)])
    assert [state.native for state in states.values()] == [
        "r", "", "Eqw", "qw", "", "qw", "qw", "", "qw",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        Answer(1, "", AWAY),
        Answer(0, "", ""),
        Answer(0, listing(listed("12", "r")).stdout[:400], ""),
        Answer(127, "", "sh: 1: qstat: not found\n"),
    ],
)
def test_an_outage_is_no_word_of_jobs(answer: Answer):
    with pytest.raises(Outage, match="qstat: "):
        SYSTEM.polled(answer, ["12"])
    with pytest.raises(Outage, match="qstat: "):
        SYSTEM.found(answer, [TOKEN])


@given(cut=st.integers(0, 10_000))
def test_what_is_cut_off_never_reads_as_an_end(cut: int):
    whole = listing(*(listed(str(number), "r") for number in range(8)), errors=["3"]).stdout
    text = whole[: min(cut, whole.rindex("</job_info>"))]
    with pytest.raises(Outage):
        SYSTEM.polled(Answer(0, text, ""), ["7"])


def test_a_job_is_found_by_its_token():
    answer = listing(listed("7", "r", f"dance-nc-{TOKEN}"), listed("8", "qw", "another"))
    assert SYSTEM.found(answer, [TOKEN, "absent.1"]) == {TOKEN: "7"}


def test_deleting_what_has_ended_is_no_matter():
    SYSTEM.cancelled(Answer(0, "root has registered the job 1 for deletion\n", ""))
    SYSTEM.cancelled(
        Answer(
            1, 'denied: job "99" does not exist\nroot has registered the job 1 for deletion\n', ""
        )
    )
    with pytest.raises(Outage, match="unable to send message"):
        SYSTEM.cancelled(
            Answer(
                1, 'unable to send message to qmaster using port 6444 on host "head"\n', AWAY[:60]
            )
        )


# --- why a job ended


def test_a_job_that_ended_by_itself_has_no_verdict():
    assert explained(account()) is None
    assert explained(account(status="3")) is None


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            account(
                failed="37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
                status="137                  (Killed)",
                category="-l h_rt=2",
            ),
            "timed out",
            "its time limit (h_rt=2): it ran for 3s",
        ),
        (
            account(
                failed="37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
                wallclock="1s",
                memory="93.992MB",
                category="-l h_rt=7200,h_vmem=60M",
            ),
            "crashed",
            "its memory limit (h_vmem=60M a slot): it used 93.992MB",
        ),
        (
            account(
                failed="37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
                wallclock="2",  # older ones tell no unit
                category="-l h_vmem=60M -pe smp 2",
                memory="93.992M",
                slots=2,
            ),
            "crashed",
            "at a limit (h_rt, h_cpu or h_vmem) of its own or of its queue: it ran for 2",
        ),
        (
            account(
                failed="37  : qmaster enforced h_rt, h_cpu, or h_vmem limit",
                wallclock="3600s",
                category="-l h_rt=1:00:00",
            ),
            "timed out",
            "h_rt=1:00:00",
        ),
        (
            account(failed="100 : assumedly after job", status="137                  (Killed)"),
            "crashed",
            "was killed (SIGKILL), by none of Grid Engine's limits",
        ),
        (
            account(failed="100 : assumedly after job", status="139        (Segmentation fault)"),
            "crashed",
            "ended by signal 11",
        ),
        (
            account(failed="26  : opening input/output file"),
            "crashed",
            "could not run it: opening input/output file (failed 26)",
        ),
    ],
)
def test_why_grid_engine_ended_a_job(answer: Answer, kind: str, words: str):
    verdict = explained(answer)
    assert verdict is not None
    assert verdict.kind == kind
    assert words in verdict.reason


def test_of_several_jobs_with_a_number_the_one_with_the_token_counts():
    other = account(failed="26  : opening input/output file", token=TOKEN.replace("0", "1")).stdout
    for text in (other + account().stdout, account().stdout + other):
        assert explained(Answer(0, text, "")) is None
    with pytest.raises(TooEarly):
        explained(Answer(0, other, ""))


def test_the_accounting_does_not_know_of_it_as_yet():
    with pytest.raises(TooEarly):
        explained(Answer(1, "", "error: job id 12 not found\n"))
    with pytest.raises(Outage, match="qacct: "):
        explained(Answer(1, "", "/sge/default/common/accounting: No such file\n"))
    assert SYSTEM.explain("12") == ["qacct", "-j", "12"]
    assert SYSTEM.explain("12.3") == ["qacct", "-j", "12", "-t", "3"]


def test_a_warning_without_a_limit_is_a_deletion():
    assert SYSTEM.said("hello\n") is None
    verdict = SYSTEM.said("hello\nnowcast: told to end by SIGUSR2\n")
    assert verdict is not None
    assert "qdel" in verdict.reason


def test_how_its_queues_are():
    queue = "<cluster_queue_summary><name>{}</name><available>{}</available><total>{}</total>"
    queue += "</cluster_queue_summary>"
    text = f"<job_info>{queue.format('all.q', 3, 4)}{queue.format('long.q', 0, 16)}</job_info>"
    words = SYSTEM.well(Answer(0, text, ""))
    assert words == "3 of 4 slots free in all.q, 0 of 16 slots free in long.q"
    with pytest.raises(Outage, match="no queue with slots"):
        SYSTEM.well(Answer(0, "<job_info></job_info>", ""))
    with pytest.raises(Outage, match="Connection refused"):
        SYSTEM.well(Answer(1, "", AWAY))


def test_the_parallel_environment_is_a_key_of_grid_engine_alone():
    named = {"kind": "sge", "parallel environment": "threaded"}
    executors, findings = executors_of({"executors": {"cluster": named}})
    cluster = executors.named("cluster")
    assert cluster is not None
    assert (cluster.parallel_environment, findings) == ("threaded", [])
    _, findings = executors_of({"executors": {"cluster": {**named, "kind": "slurm"}}})
    (finding,) = findings
    assert finding.message == "is not a key of an executor of the kind slurm"
