"""A manager that is stopped before it has a lease is replaced all the same."""

import os
import signal
import subprocess
import sys
import time

from nowcast_cli.daemon.lease import ASK_EVERY, LEASE
from nowcast_cli.manager.following import Leader
from nowcast_cli.process_identity import identity_of


def leader_of(command, run):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *command])
    identity = identity_of(process.pid)
    return process, Leader(identity, os.pidfd_open(process.pid), run / "lease.sock")


def is_frozen_after_its_lease(process, leader):
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.1)  # the kernel stops it a moment later
    frozen = [leader.is_frozen(ASK_EVERY) for _ in range(int(LEASE / ASK_EVERY) + 1)]
    leader.close()
    process.kill()
    process.wait()
    return frozen


def test_a_stopped_manager_without_a_lease_is_frozen_once_that_would_have_run_out(tmp_path):
    process, leader = leader_of(["nowcast_cli.manager", "nowcast.yaml"], tmp_path)
    frozen = is_frozen_after_its_lease(process, leader)
    assert frozen[-1]
    assert not any(frozen[:-2])


def test_a_command_that_somebody_has_stopped_is_not_taken_for_a_manager(tmp_path):
    process, leader = leader_of(["nowcast", "clean"], tmp_path)
    assert not any(is_frozen_after_its_lease(process, leader))
