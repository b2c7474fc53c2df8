"""The key of another host: brought there by ssh, private, replaced, and missing."""

import stat

import pytest

from helpers import wait_until
from nowcast_cli.security.key import key_file, read_key

pytestmark = pytest.mark.ssh


def keys_there(remote):
    return list((remote.home / "keys").glob("*.key"))


def test_a_job_there_connects_with_the_key_that_was_brought(guarded_remote):
    system = guarded_remote.system
    system.keys.add("east", "worker", "east")
    job = system.launch("first", "--payload", "{tide: 3}", host="east")
    assert system.wait_for_job(job, "succeeded", timeout=30)
    system.wait_for_process_end(job, 20)
    (file,) = keys_there(guarded_remote)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert read_key(file) == read_key(key_file(system.paths.keys, "east"))
    folder = system.job_folder(job)
    assert not list((folder / "outbox").glob("*"))  # told by the port, not by way of ssh
    assert read_key(file).secret not in (folder / "job.json").read_text()
    assert read_key(file).secret not in (guarded_remote.folder(job) / "job.json").read_text()


def test_a_job_there_without_a_key_is_told_so_and_its_message_is_not_lost(guarded_remote):
    system = guarded_remote.system
    job = system.launch("first", "--payload", "{tide: 4}", host="east")
    system.wait_for_job(job, "succeeded", timeout=30)
    assert system.checklist()["first"] == {"tide": 4}
    files = [file for file in guarded_remote.folder(job).iterdir() if file.is_file()]
    assert any("refuses connections without a key" in file.read_text() for file in files)
    assert not keys_there(guarded_remote)


def test_a_key_that_is_replaced_reaches_the_job_that_runs(guarded_remote):
    system = guarded_remote.system
    system.keys.add("east", "worker", "east")
    job = system.launch("first", "--tell", "progress", "1", "--until", "go", host="east")
    wait_until(lambda: "success" not in str(system.messages()) and system.messages("first"),
               timeout=30, what="the first message of the job")  # fmt: skip
    system.keys.rotate("broker")
    system.keys.rotate("east")
    (file,) = keys_there(guarded_remote)
    current = read_key(key_file(system.paths.keys, "east"))
    wait_until(lambda: read_key(file) == current, timeout=30, what="the new key to be there")
    guarded_remote.there.touch("go")
    assert system.wait_for_job(job, "succeeded", timeout=30)
    system.wait_for_process_end(job, 20)
    assert not list((system.job_folder(job) / "outbox").glob("*"))
