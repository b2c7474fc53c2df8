"""A deployment of production size in NEMO_Nowcast's form: it loads, validates, and runs a day.

47 workers with 292 message types, barriers, distributed logging, remote hosts, all as it would
stand in a group's repository; only the work is simulated. The day runs once with all hosts being
this machine, and once with two hosts behind ssh.
"""

import copy
import importlib.util
import json
import shutil
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml

from helpers import wait_until
from nowcast_cli.config.check import check
from nowcast_cli.messages.message import Message
from nowcast_cli.store.checklist_file import read_checklist
from ports import free_ports
from remote_host import SSHD, Sshd
from systems import System

DEPLOYMENT = Path(__file__).parents[1] / "production_deployment"
HOSTS = ("model host", "waves host", "agrif host", "hindcast host")
WORKER = """\
from nowcast.simulated import main

if __name__ == "__main__":
    main({name!r})
"""
BUILT_IN = {"clear_checklist", "rotate_logs"}


class Production(System):
    """A copy of the deployment with daemons, and with its two hosts behind ``sshd``, if given.

    ``there`` is the copy on those hosts.
    """

    def __init__(self, folder, sshd=None):
        self.folder, self.there = folder, folder.with_name("there")
        self.port, manager_port = free_ports(2)
        changes = {
            "host: forecast-gw.example.org": "host: localhost",
            "manager: 5554": f"manager: {manager_port}",
            "workers: 5555": f"workers: {self.port}",
        }
        if sshd is None:
            changes |= {f"{name}: cluster": f"{name}: localhost" for name in HOSTS}
            changes |= {f"{name}: east": f"{name}: localhost" for name in HOSTS}
        else:
            reached = f"ssh options: {json.dumps(sshd.options)}\n      state directory: "
            changes |= {
                "ssh key: fundy_id_rsa": f"{reached}{folder.with_name('home')}",
                "envvars: /nfs/fundy/envvars.sh": "envvars: /dev/null",
                "envvars: /home/fundy/envvars.sh": "envvars: /dev/null",
                "python: /nfs/fundy/env/bin/python": f"python: {sys.executable}",
                "python: /home/fundy/env/bin/python": f"python: {sys.executable}",
                "/nfs/fundy/config/nowcast.yaml": f"{self.there}/nowcast.yaml",
                "/home/fundy/config/nowcast.yaml": f"{self.there}/nowcast.yaml",
            }
        for copy_of_it in (self.there, folder):
            self._plant(copy_of_it, changes)
        self.settings = yaml.safe_load(self.config_file.read_text())
        self.workers = tuple(self.registry)
        self._begin()

    @staticmethod
    def _plant(folder, changes):
        shutil.copytree(DEPLOYMENT, folder)
        file = folder / "nowcast.yaml"
        text = file.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        file.write_text(text)
        (folder / "nowcast" / "workers").mkdir()
        for name in set(yaml.safe_load(text)["message registry"]["workers"]) - BUILT_IN:
            (folder / "nowcast" / "workers" / f"{name}.py").write_text(WORKER.format(name=name))

    def effects_there(self):
        file = self.there / "effects.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [tuple(line.split()) for line in lines]

    def journal(self):
        """Give all messages of workers, the oldest first."""
        with self.reader() as reader:
            messages = reader.messages(limit=None)[::-1]
        return [message for message in messages if message.source in self.workers]


@pytest.fixture
def production(tmp_path):
    yield from running(Production(tmp_path / "fundy"))


@pytest.fixture(params=["hosts here", "hosts behind ssh"])
def day(request, tmp_path):
    if request.param == "hosts here":
        yield from running(Production(tmp_path / "fundy"))
        return
    if SSHD is None:
        pytest.skip("there is no sshd: apt-get install openssh-server")
    sshd = Sshd(tmp_path / "sshd")
    sshd.start()
    yield from running(Production(tmp_path / "fundy", sshd))
    sshd.stop()


def running(system):
    yield system
    system.end()
    if system.paths.logs.exists():
        print(system.everything_written()[-20_000:])


def next_workers_of(system):
    """Import the deployment's own module."""
    file = system.folder / "nowcast" / "next_workers.py"
    spec = importlib.util.spec_from_file_location("production_next_workers", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_of_production_size_and_validates(production):
    registered = production.registry.values()
    types = sum(len(entry) - ("checklist key" in entry) for entry in registered)
    assert (len(registered), types) == (47, 292)
    (warning,) = check(DEPLOYMENT / "nowcast.yaml")  # it has no keys, and its ports are open
    assert (warning.severity, warning.path) == ("warning", "zmq.host")
    checked = subprocess.run(
        [Path(sys.executable).with_name("nowcast"), "-C", production.folder, "validate"],
        text=True, capture_output=True,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout


@pytest.mark.timeout(240)
def test_a_simulated_day_runs_to_its_end_and_nothing_is_lost(day):
    system = day
    hold = system.folder / "hold"
    hold.touch()
    hindcast = system.config["run"]["hindcast host"]
    system.start("message_broker", "manager", "log_aggregator")
    chains = [
        system.launch("nowcast.workers.download_weather", "00", "2.5km"),
        system.launch("nowcast.workers.download_live_boundary"),
        system.launch("nowcast.workers.check_disk_space", "--threshold", "90"),
        system.launch("nowcast.workers.make_monthly_report"),
        system.launch("nowcast.workers.run_hindcast", hindcast, host=hindcast),
    ]

    def several_barriers():
        with system.reader() as reader:
            return len(reader.barriers()) >= 2

    wait_until(several_barriers, timeout=30, what="two barriers at once")
    hold.unlink()
    for chain in chains:
        system.wait_for_chain(chain, timeout=200)

    assert what_should_have_followed(system) == what_followed(system)
    jobs = system.jobs()
    assert {job.state for job in jobs} == {"succeeded"}
    began = Counter(system.effects() + system.effects_there())
    assert began == Counter((job.id, job.worker) for job in jobs)
    elsewhere = [(job.id, job.worker) for job in jobs if job.host != "localhost"]
    assert Counter(system.effects_there()) == Counter(elsewhere)
    assert (len(elsewhere) > 15) == (hindcast != "localhost")
    outcomes = Counter(message.job for message in system.journal() if message.outcome)
    assert outcomes == Counter(job.id for job in jobs)
    with system.reader() as reader:
        barriers = reader.barriers(active_only=False)
    assert {barrier.state for barrier in barriers} == {"released"}
    assert len(barriers) >= 4
    assert len(jobs) > 90
    ran = {job.worker for job in jobs}
    not_of_this_day = {"launch_remote_worker", *BUILT_IN}
    assert ran == set(system.workers) - not_of_this_day

    checklist = system.checklist()
    assert checklist == replayed(system)[0]
    assert checklist["tide gauges"][40]["last"] == date(2026, 10, 31)
    assert checklist["averaged dataset"]["physics"]["run date"] == date(2026, 10, 31)
    assert checklist["hindcast run"]["chunk"] == 2

    ended = system.launch("nemo_nowcast.workers.clear_checklist")
    system.wait_for_chain(ended)
    wait_until(lambda: "log rotation" in read_checklist(system.paths.checklist_file))
    assert "tide gauges" not in system.checklist()
    assert "'tide gauges'" in (system.folder / "var" / "checklist.log.1").read_text()
    assert "Traceback" not in (system.folder / "var" / "nowcast.debug.log.1").read_text()


def replayed(system):
    """Give what the journal makes of the checklist, and what follows from each message."""
    checklist, follows = {}, {}
    module = next_workers_of(system)
    for record in system.journal():
        payload = yaml.safe_load(record.body)["payload"]
        if record.type == "need":
            continue
        key = system.registry[record.source].get("checklist key")
        if isinstance(payload, dict) and isinstance(checklist.get(key), dict):
            checklist[key] = {**checklist[key], **payload}
        elif payload is not None:
            checklist[key] = payload
        decide = getattr(module, f"after_{record.source}")
        message = Message(record.source, record.type, payload)
        result = decide(message, system.config, copy.deepcopy(checklist))
        launched = result[0] if isinstance(result, tuple) else result
        follows[record.number] = Counter(
            (each.module, tuple(str(argument) for argument in each.args), each.host)
            for each in launched
        )
    return checklist, follows


def what_should_have_followed(system):
    return {number: workers for number, workers in replayed(system)[1].items() if workers}


def what_followed(system):
    followed = {}
    for job in system.jobs():
        if job.cause is not None and job.chain != job.id:
            launch = (job.module, job.arguments, job.host)
            followed.setdefault(job.cause, Counter())[launch] += 1
    return followed
