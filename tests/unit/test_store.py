"""The database: whole or not at all, of this version or refused, and read by others."""

import sqlite3
from importlib import resources
from pathlib import Path

import pytest

from nowcast_cli.errors import NotFound, NowcastError
from nowcast_cli.identifiers import new_id
from nowcast_cli.store.checklist_file import ChecklistFile, read_checklist, read_header
from nowcast_cli.store.database import Store
from nowcast_cli.store.network_folders import network_file_system_of
from nowcast_cli.store.reader import Reader
from nowcast_cli.store.records import (
    BarrierPut,
    BarrierRecord,
    ChecklistPut,
    Delay,
    EnsemblePut,
    EnsembleRecord,
    HoldDropped,
    HoldPut,
    HoldRecord,
    JobPut,
    JobRecord,
    Member,
    MessageReceived,
    MessageRecord,
    MessageSettled,
    short_id,
)

NOW = "2026-11-22T03:04:05.678Z"


def a_message(number, **more):
    values = {
        "number": number, "id": f"m{number}", "received": NOW, "source": "first",
        "type": "success", "body": "{payload: 1}", "job": None, "chain": "c", "outcome": "success",
        "state": "received",
    }  # fmt: skip
    return MessageRecord(**(values | more))


def a_job(job_id, **more):
    values = {
        "id": job_id, "worker": "first", "module": "workers.first", "arguments": ("--x", "1"),
        "host": "localhost", "executor": "local", "state": "submitting", "attempt": 1,
        "predecessor": None, "cause": None, "chain": "c", "barrier": None, "created": NOW,
    }  # fmt: skip
    return JobRecord(**(values | more))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nowcast.db"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def test_what_is_committed_is_there_for_the_next_one_who_opens_it(path, store):
    job = a_job(new_id(), exit={"code": 1}, reason="Käse", state="crashed")
    barrier = BarrierRecord(1, 1, ("a", "b"), ("b",), "active", NOW)
    store.commit([MessageReceived(a_message(1)), JobPut(job), BarrierPut(barrier)])
    store.commit([MessageSettled(1, "stuck", NOW, "Traceback")])
    other = Store(path)

    assert other.message_by_id("m1") == a_message(1, state="stuck", decided=NOW, error="Traceback")
    assert other.job(job.id) == job
    assert other.active_barriers() == [barrier]
    assert (other.last_number(), other.last_barrier_number()) == (1, 1)
    assert [message.number for message in other.undecided_messages()] == [1]
    other.close()


def test_holds_and_what_a_job_waits_for_are_kept(path, store):
    job = a_job(new_id(), state="waiting", tried=2, delay=Delay(30.0, "boot", 1234.5))
    running = a_job(new_id(), state="running", timed_out=NOW)
    ending = a_job(new_id(), worker="second", state="succeeded")
    gone = a_job(new_id(), state="succeeded", exit={"code": 0})
    store.commit([JobPut(each) for each in (job, running, ending, gone)])
    store.commit([HoldPut(HoldRecord("first", NOW)), HoldPut(HoldRecord(None, NOW))])
    store.commit([HoldPut(HoldRecord("second", NOW)), HoldDropped("second")])
    store.commit([MessageReceived(a_message(1, state="decided", note="tried again"))])
    note, failure = "tried again as job x", {"outcome": "failure"}
    store.commit([MessageReceived(a_message(2, state="decided", note=note, **failure))])
    store.commit([MessageReceived(a_message(3, **failure))])

    assert store.job(job.id) == job
    assert sorted(store.holds(), key=str) == [HoldRecord("first", NOW), HoldRecord(None, NOW)]
    with Reader(path) as reader:
        assert reader.holds() == [HoldRecord(None, NOW), HoldRecord("first", NOW)]
        assert reader.job(running.id) == running
        assert reader.message("1").note == "tried again"
        assert [message.number for message in reader.news(0, 3, ())] == [3]
        assert [message.number for message in reader.news(0, 3, ("first",))] == [1, 2, 3]
        assert [reader.launched(name) for name in (None, "first", "second")] == [2, 1, 1]


def test_a_store_that_no_manager_has_brought_up_to_date_can_be_read(path):
    old = sorted(resources.files("nowcast_cli.store.schema").iterdir(), key=lambda file: file.name)
    with sqlite3.connect(path) as connection:
        for version, file in enumerate(old[:2], start=1):
            connection.executescript(f"{file.read_text()} PRAGMA user_version = {version};")
        connection.execute(
            "INSERT INTO job VALUES ('j', 'first', 'first', '[]', 'localhost', 'local', 'held', 1, "
            f"NULL, 1, 'c', NULL, '{NOW}', NULL, NULL, NULL, NULL, NULL, NULL)"
        )
        connection.execute(
            "INSERT INTO message VALUES "
            f"(1, 'm', '{NOW}', 'first', 'crash', NULL, 'j', 'c', 'crash', 'decided', NULL, "
            "NULL, NULL, NULL, NULL)"
        )
    connection.close()

    with Reader(path) as reader:
        (job,) = reader.jobs()
        assert (job.tried, job.delay, job.timed_out) == (1, None, None)
        assert reader.message("1").note is None
        assert [message.number for message in reader.news(0, 1, ())] == [1]
        assert reader.holds() == []
        assert reader.launched() == 0


def test_a_commit_that_fails_leaves_nothing_of_it(store):
    store.commit([MessageReceived(a_message(1)), ChecklistPut("old", 1, None)])
    job = a_job(new_id())
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(
            [JobPut(job), ChecklistPut("new", 2, None), MessageReceived(a_message(2, id="m1"))]
        )

    assert store.job(job.id) is None
    assert store.text.document() == "old: 1\n"
    store.commit([MessageReceived(a_message(2)), JobPut(job)])
    assert store.job(job.id) == job


def test_a_store_that_a_newer_nowcast_wrote_is_refused(path, store):
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(NowcastError) as raised:
        Store(path)
    assert "newer nowcast (schema 99" in raised.value.what
    assert "upgrade" in raised.value.hint


@pytest.mark.parametrize(
    "content", [b"not a database at all " * 100, b"SQLite format 3\0" + b"x" * 8000]
)
def test_a_damaged_store_is_an_error_that_says_what_to_do(path, content):
    path.write_bytes(content)

    with pytest.raises(NowcastError) as raised:
        Store(path)
    assert str(path) in raised.value.what
    assert "nowcast store repair" in raised.value.hint
    with pytest.raises(NowcastError):
        Reader(path)


def test_a_folder_where_nothing_can_be_written_is_an_error_and_no_traceback(tmp_path):
    with pytest.raises(NowcastError):
        Store(tmp_path / "no such folder" / "nowcast.db")


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local\\040disk ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
user@host: /run/user/sshfs fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/data/nowcast", None),
        ("/home", "nfs4"),
        ("/home/me/nowcast", "nfs4"),
        ("/homestead", None),
        ("/home/local disk/nowcast", None),
        ("/run/user/sshfs/x", "fuse.sshfs"),
    ],
)
def test_a_folder_on_a_network_file_system_is_told_from_a_local_one(tmp_path, folder, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert network_file_system_of(Path(folder), mounts) == kind


def test_a_store_on_a_network_file_system_is_refused(path, monkeypatch):
    monkeypatch.setattr("nowcast_cli.store.database.network_file_system_of", lambda folder: "nfs4")
    with pytest.raises(NowcastError) as raised:
        Store(path)
    assert "network file system (nfs4)" in raised.value.what
    assert "`state directory`" in raised.value.hint


# --- reading


def test_a_system_that_was_never_started_says_so(path):
    with pytest.raises(NotFound, match="never been started"):
        Reader(path)


def test_a_reader_reads_beside_the_writer_and_after_it_and_leaves_no_file(path, store):
    store.commit([MessageReceived(a_message(1))])
    with Reader(path) as reader:
        store.commit([MessageReceived(a_message(2))])
        assert [message.number for message in reader.messages()] == [2, 1]
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Reader(path) as reader:
        assert reader.message("2").id == "m2"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_reader_cannot_write(path, store):
    with Reader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM message")


def test_a_job_is_found_by_its_id_its_end_or_its_beginning(path, store):
    one, two = (a_job(new_id()) for _ in range(2))
    store.commit([JobPut(one), JobPut(two)])
    with Reader(path) as reader:
        assert reader.job(one.id) == one
        assert reader.job(short_id(two.id)) == two
        assert reader.jobs() == [two, one]
        with pytest.raises(NowcastError, match="several jobs"):
            reader.job(one.id[:8])
        for nobody in ("", "zzz", "00000000", "%", "*", "'"):
            with pytest.raises(NotFound):
                reader.job(nobody)


def test_jobs_and_messages_are_chosen_by_what_they_are(path, store):
    jobs = [
        a_job(new_id(), worker="first", state="running", chain="c1"),
        a_job(new_id(), worker="second", state="failed", chain="c1"),
        a_job(new_id(), worker="first", state="crashed", chain="c2"),
    ]
    messages = [a_message(1, state="decided"), a_message(2, state="stuck", source="second")]
    store.commit([*map(JobPut, jobs), *map(MessageReceived, messages)])
    with Reader(path) as reader:
        assert reader.jobs(worker="first", chain="c1") == [jobs[0]]
        assert reader.jobs(states=["failed", "crashed"]) == [jobs[2], jobs[1]]
        assert reader.jobs(limit=1) == [jobs[2]]
        assert reader.messages(states=["stuck"]) == [messages[1]]
        assert not reader.chain_is_over("c1")
        assert reader.chain_is_over("c2")
        counts = reader.counts()
        assert (counts["running"], counts["failed"], counts["crashed"]) == (1, 1, 1)
        assert (counts["stuck"], counts["undecided"]) == (1, 0)
        assert reader.counts(since="2027")["failed"] == 0


# --- the checklist file


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_the_checklist_file_is_written_at_once_and_then_five_times_a_second(tmp_path):
    clock = Clock()
    file = ChecklistFile(tmp_path / "checklist.yaml", clock)
    assert file.due_in() is None
    file.mark()
    assert file.due_in() == 0.0

    written = 0
    for _ in range(1000):  # a change each millisecond, for a second
        file.mark()
        if file.due_in() == 0.0:
            file.write("a: 1\n", written, NOW)
            written += 1
        clock.now += 0.001
    assert written == 5
    assert 0 <= file.due_in() <= 0.2


def test_the_checklist_file_says_which_messages_it_holds_and_can_be_read(tmp_path):
    path = tmp_path / "checklist.yaml"
    file = ChecklistFile(path, Clock())
    file.write("tide: {1: höher}\n", 123, NOW)

    assert path.read_text().splitlines()[0] == f"# nowcast checklist: journal 123, written {NOW}"
    assert read_header(path) == 123
    assert read_checklist(path) == {"tide": {1: "höher"}}
    assert file.due_in() is None


def test_a_file_that_could_not_be_written_stays_due_and_the_old_one_whole(tmp_path, monkeypatch):
    path, clock = tmp_path / "checklist.yaml", Clock()
    file = ChecklistFile(path, clock)
    file.write("old: 1\n", 1, NOW)
    file.mark()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("nowcast_cli.atomic_files.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            file.write("new: 1\n" * 1000, 2, NOW)
    assert read_checklist(path) == {"old": 1}
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    clock.now += 1
    assert file.due_in() == 0.0


@pytest.mark.parametrize("content", [b"a: [1", b"- 1\n", b"3", b"\xff"])
def test_a_checklist_file_that_is_none_is_an_error_with_a_remedy(tmp_path, content):
    path = tmp_path / "checklist.yaml"
    path.write_bytes(content)

    with pytest.raises(NowcastError, match="cannot be read") as raised:
        read_checklist(path)
    assert "move it away" in raised.value.hint
    assert read_header(path) is None


def test_a_checklist_file_that_is_missing_is_told_from_an_empty_one(tmp_path):
    assert read_header(tmp_path / "none.yaml") is None
    with pytest.raises(NotFound):
        read_checklist(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").touch()
    assert read_checklist(tmp_path / "empty.yaml") == {}


def test_the_last_job_of_a_member_is_its_last_attempt_also_where_the_clock_was_set_back(store):
    ensemble = EnsembleRecord("e1", "first", "1", 1, None, None, "open", None, "c", None, NOW)
    member = {"ensemble": "e1", "member": Member(1, 0, 1)}
    first = a_job("01a2036e-dd0f", state="timed out", **member)
    again = a_job("01a20337-fa98", attempt=2, predecessor=first.id, state="succeeded", **member)
    store.commit([EnsemblePut(ensemble), JobPut(first), JobPut(again)])
    assert [job.id for job in store.last_members(ensemble, ()).values()] == [again.id]
