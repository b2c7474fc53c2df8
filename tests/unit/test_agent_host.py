"""What an agent tells of its host, as the kernel's files say it."""

import os
import subprocess
from pathlib import Path

import pytest

from nowcast_cli.agent import hand as hand_module
from nowcast_cli.agent import host, machine
from nowcast_cli.agent.mishaps import Mishaps
from nowcast_cli.messages.agent_messages import Gpu

MEMINFO = """\
MemTotal:       24682140 kB
MemFree:         1234567 kB
MemAvailable:   20000000 kB
HugePages_Total:       3
"""
DISKSTATS = """\
   8       0 sda 100 5 2000 40 50 6 3000 70 0 80 110
   8       1 sda1 99 5 1999 40 50 6 3000 70 0 80 110
 253       0 dm-0 1 0 8 0 0 0 0 0 0 0 0
 259       0 nvme0n1 10 0 20 4 5 0 30 7 0 8 11 0 0 0 0
"""
NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0
  eth0: 1000 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0
 wlan0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
"""


def test_memory_is_in_bytes():
    found = machine.meminfo(MEMINFO)
    assert found["MemTotal"] == 24682140 * 1024
    assert found["HugePages_Total"] == 3


def test_disks_count_once_and_in_bytes():
    disks = frozenset({"sda", "nvme0n1"})
    assert machine.disk_bytes(DISKSTATS, disks) == (2020 * 512, 3030 * 512)


def test_the_loopback_does_not_count():
    assert machine.network_bytes(NET_DEV) == (1005, 207)


@pytest.fixture
def contained(tmp_path):
    """Give the places of the files of a process in a control group with limits."""
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    for folder in (proc / "self", groups / "jobs/agent"):
        folder.mkdir(parents=True)
    (proc / "meminfo").write_text(MEMINFO)
    (proc / "self/cgroup").write_text("1:cpu:/x\n0::/jobs/agent\n")
    return proc, groups


def test_a_control_group_bounds_what_there_is(contained):
    proc, groups = contained
    (groups / "jobs/cpu.max").write_text("150000 100000\n")
    (groups / "jobs/agent/cpu.max").write_text("max 100000\n")
    (groups / "jobs/memory.max").write_text("5000000000\n")
    (groups / "jobs/memory.current").write_text("4000000000\n")
    (groups / "jobs/memory.stat").write_text("anon 3\ninactive_file 500000000\n")
    assert machine.cpus(groups, proc) == 1
    assert machine.memory(groups, proc) == 5_000_000_000
    assert machine.free_memory(groups, proc) == 1_500_000_000


def test_without_limits_all_of_the_machine_is_there(contained):
    proc, groups = contained
    assert machine.cpus(groups, proc) == len(os.sched_getaffinity(0))
    assert machine.memory(groups, proc) == 24682140 * 1024
    assert machine.free_memory(groups, proc) == 20000000 * 1024


def test_this_machine_has_something_of_everything(tmp_path):
    report = host.use_now("east", "instance", tmp_path, ("a",))
    assert report.memory_free > 0
    assert report.disks[0].path == str(tmp_path)
    assert 0 < report.disks[0].free <= report.disks[0].total
    assert report.running == ("a",)
    assert machine.memory() >= report.memory_free


def test_gpus_are_read_from_what_the_driver_says():
    text = "NVIDIA A100-SXM4-40GB, 40960\nTesla, with a comma, [N/A]\n\n"
    assert host.gpus_in(text) == (
        Gpu("NVIDIA A100-SXM4-40GB", 40960 << 20),
        Gpu("Tesla, with a comma", None),
    )


def test_tags_are_those_given_and_those_found(monkeypatch, tmp_path):
    for name in ("cdo", "not-asked-for"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = host.tags(("fast-disk", "linux"), (Gpu("x"),))
    assert found == ("fast-disk", "linux", os.uname().machine, "gpu", "cdo")


def test_a_host_without_gpus_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert host.gpus() == ()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Some Card, 1024'\n")
    program.chmod(0o755)
    assert host.gpus() == (Gpu("Some Card", 1 << 30),)
    program.write_text("#!/bin/sh\necho 'Failed, 0'; exit 9\n")
    assert host.gpus() == ()


def test_mishaps_outlive_the_agent_until_they_are_told(tmp_path):
    file = tmp_path / "mishaps.json"
    mishaps = Mishaps(file)
    for text in ("one", "one", "two"):
        mishaps.note(text)
    again = Mishaps(file)
    assert again.first(1) == ("one",)
    assert again.first(9) == ("one", "two")
    again.told(("one",))
    assert Mishaps(file).first(9) == ("two",)


def test_mishaps_are_bounded_and_do_without_a_disk(tmp_path):
    mishaps = Mishaps(tmp_path / "no folder" / "mishaps.json")
    for number in range(200):
        mishaps.note(f"{number}")
    assert mishaps.first(1000) == tuple(f"{number}" for number in range(100, 200))


def test_a_torn_file_of_mishaps_is_no_matter(tmp_path):
    file: Path = tmp_path / "mishaps.json"
    file.write_text('["tor')
    assert Mishaps(file).first(9) == ()


def test_a_hand_that_hangs_is_given_up_and_one_that_cannot_end_keeps_its_place(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(hand_module, "LONGEST_EXCHANGE", 0.2)
    monkeypatch.setattr(hand_module, "_LAST_WAIT", 0.05)
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    hand = hand_module.Hand(str(sleeper), tmp_path)
    with pytest.raises(hand_module.HandTrouble, match="was not carried out within"):
        hand.carry_out({"x": "y" * 1_000_000})
    monkeypatch.setattr(subprocess.Popen, "poll", lambda _: None)
    with pytest.raises(hand_module.HandTrouble, match="hangs in the kernel"):
        hand.carry_out({})


def test_a_python_that_is_not_there_is_told(tmp_path):
    with pytest.raises(hand_module.HandTrouble, match="no process that begins jobs can be started"):
        hand_module.Hand(str(tmp_path / "no python"), tmp_path).carry_out({})
