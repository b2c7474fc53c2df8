"""Backups of a system that runs, and going back to them."""

from __future__ import annotations

import json
import stat
import tarfile
from io import BytesIO

import pytest

from helpers import wait_until
from nowcast_cli.store.backup import backups_in, extract, manifest_of
from nowcast_command import nowcast


def finish_all(system, first, last):
    for number in range(first, last):
        system.finish("first", {f"k{number}": number})


def stop(system):
    for name in ("manager", "message_broker"):
        system.stop(name)


def test_a_backup_is_made_while_the_system_runs_and_brings_its_state_back(system):
    finish_all(system, 0, 5)
    file = system.folder / "copy.tar.gz"
    made = nowcast(system.folder, "backup", str(file), "--json")
    assert made.code == 0, made.err
    assert made.json["journal"] == 5
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    finish_all(system, 5, 9)
    refused = nowcast(system.folder, "restore", str(file), "--yes")
    assert refused.code == 1
    assert "runs" in refused.err
    assert "nowcast stop" in refused.err
    stop(system)
    system.paths.database.chmod(0o640)
    assert nowcast(system.folder, "restore", str(file)).code == 2  # nobody to ask

    done = nowcast(system.folder, "restore", str(file), "--yes", "--json")

    assert done.code == 0, done.err
    assert done.json["messages"] == {"kept": 5, "saved": 0, "missing": 0, "last": 10}
    assert stat.S_IMODE(system.paths.database.stat().st_mode) == 0o640
    aside = system.paths.state / done.json["set_aside"]
    assert {path.name for path in aside.iterdir()} >= {"nowcast.db", "nowcast_checklist.yaml"}
    system.start()
    assert system.checklist() == {"first": {f"k{number}": number for number in range(5)}}
    finish_all(system, 20, 21)
    assert system.checklist()["first"]["k20"] == 20
    assert [record.number for record in system.messages()] == [1, 2, 3, 4, 5, 10, 11]
    assert nowcast(system.folder, "store", "check").code == 0


def test_each_command_that_reads_a_damaged_store_names_the_one_that_rebuilds_it(system):
    finish_all(system, 0, 5)
    stop(system)
    with system.paths.database.open("r+b") as file:
        file.seek(4096)  # behind the page that an open looks at
        file.write(b"\xff" * (system.paths.database.stat().st_size - 4096))
    for command in (("job", "list"), ("message", "list"), ("backup",), ("clean", "--yes")):
        told = nowcast(system.folder, *command)
        assert told.code == 1, command
        assert "nowcast store repair rebuilds it" in told.err, (command, told.err)
    assert "nowcast store repair rebuilds it" in nowcast(system.folder, "status").out


def test_what_may_have_followed_since_is_not_launched_again(make_system):
    once_told = "iter(lambda: os.path.exists(config.file.parent / 'go'), True)"
    second = f"([time.sleep(0.02) for _ in {once_told}], [NextWorker('workers.second')])[1]"
    system = make_system(after={"first": second}).start()
    system.finish("first", {"tide": 1})
    copied = nowcast(system.folder, "backup", str(system.folder / "copy.tar.gz"))
    assert copied.code == 0
    system.touch("go")
    [job] = wait_until(system.jobs, what="what follows to be launched")
    system.wait_for_process_end(job.id)
    stop(system)

    done = nowcast(system.folder, "restore", str(system.folder / "copy.tar.gz"), "--yes", "--json")

    assert done.json["told"]["undecided"] == ["1"]
    assert done.json["told"]["ended"] == [job.id]
    system.start()
    system.wait_for_message(1, "stuck")
    assert [(each.id, each.state) for each in system.jobs()] == [(job.id, "succeeded")]
    assert system.ran() == ["second"]


def test_a_backup_of_a_stopped_system_moves_it_to_another_machine(system, tmp_path):
    finish_all(system, 0, 3)
    stop(system)
    file = tmp_path / "moved.tar.gz"
    assert nowcast(system.folder, "backup", str(file)).code == 0
    elsewhere = tmp_path / "elsewhere"

    done = nowcast(elsewhere, "restore", str(file), "--yes")

    assert done.code == 0, done.err
    assert (elsewhere / "nowcast.yaml").read_text() == system.config_file.read_text()
    assert (elsewhere / "next_workers.py").exists()
    listed = nowcast(elsewhere, "message", "list", "--json").json["messages"]
    assert [message["type"] for message in listed] == ["store restored", *["success"] * 3]


def test_the_newest_backups_are_kept_and_keys_only_when_asked_for(system):
    system.paths.keys.mkdir(mode=0o700, exist_ok=True)
    (system.paths.keys / "manager.key").write_text("secret")
    folder = system.paths.state / "backups"
    folder.mkdir()
    for day in ("01", "02", "03"):
        (folder / f"nowcast-202601{day}T000000Z.tar.gz").touch()
    (folder / "notes.txt").touch()

    done = nowcast(system.folder, "backup", "--keep", "2", "--json")

    newest, older = backups_in(folder)
    assert done.json["backup"] == str(newest)
    assert older.name == "nowcast-20260103T000000Z.tar.gz"
    assert (folder / "notes.txt").exists()
    assert not [name for name in manifest_of(newest).files if name.startswith("keys/")]
    assert nowcast(system.folder, "backup", "x.tar.gz", "--keep", "2").code == 2

    with_keys = system.folder / "with-keys.tar.gz"
    assert nowcast(system.folder, "backup", str(with_keys), "--with-keys").code == 0
    assert "keys/manager.key" in manifest_of(with_keys).files
    stop(system)
    (system.paths.keys / "manager.key").write_text("another")
    assert nowcast(system.folder, "restore", str(with_keys), "--yes").code == 0
    assert (system.paths.keys / "manager.key").read_text() == "secret"
    assert stat.S_IMODE(system.paths.keys.stat().st_mode) == 0o700
    assert stat.S_IMODE((system.paths.keys / "manager.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["cut", "overwritten", "foreign", "empty", "other tar"])
def test_a_damaged_backup_is_refused_and_the_state_stays(system, damage, tmp_path):
    finish_all(system, 0, 3)
    file = system.folder / "copy.tar.gz"
    assert nowcast(system.folder, "backup", str(file)).code == 0
    stop(system)
    content = file.read_bytes()
    if damage == "other tar":
        with tarfile.open(file, "w:gz") as tar:
            tar.add(system.config_file, "manifest.json")
    else:
        file.write_bytes(
            {
                "cut": content[: len(content) * 2 // 3],
                "overwritten": content[:2000] + b"\xff" * 500 + content[2500:],
                "foreign": b"not a backup",
                "empty": b"",
            }[damage]
        )
    before = system.paths.database.read_bytes()

    done = nowcast(system.folder, "restore", str(file), "--yes")

    assert done.code == 1
    assert "is damaged, or is no backup" in done.err
    assert "Traceback" not in done.err
    assert system.paths.database.read_bytes() == before
    assert not list(system.paths.state.glob(".mending-*"))


def test_nothing_of_a_backup_is_written_outside_of_its_folder(system, tmp_path):
    file = system.folder / "copy.tar.gz"
    assert nowcast(system.folder, "backup", str(file)).code == 0
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(file) as source, tarfile.open(evil, "w:gz") as target:
        for member in source:
            data = source.extractfile(member)
            if member.name == "manifest.json":
                text = data.read().replace(b'"nowcast.db"', b'"../../evil.db"')
                member.size = len(text)
                data = BytesIO(text)
                assert json.loads(text)
            elif member.name == "nowcast.db":
                member.name = "../../evil.db"
            target.addfile(member, data)
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    with pytest.raises(Exception, match="damaged") as raised:
        extract(evil, place)
    assert "outside" in raised.value.cause
    assert not (tmp_path / "evil.db").exists()


def test_there_is_nothing_to_back_up_before_the_first_start(make_system):
    done = nowcast(make_system().folder, "backup")
    assert (done.code, "there is no store" in done.err) == (4, True)
