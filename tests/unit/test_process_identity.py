import os
import subprocess
import sys
from dataclasses import replace

import pytest

from helpers import wait_until
from nowcast_cli.process_identity import from_json, identity_of, is_alive, to_json


def test_this_process_is_alive_and_is_who_it_says():
    identity = identity_of(os.getpid())
    assert identity is not None
    assert identity.pid == os.getpid()
    assert is_alive(identity)


def test_a_process_with_the_same_number_that_began_at_another_time_is_another_one():
    identity = identity_of(os.getpid())
    assert not is_alive(replace(identity, started=identity.started + 1))


def test_a_process_of_another_boot_is_not_alive():
    assert not is_alive(replace(identity_of(os.getpid()), boot="another"))


def test_a_zombie_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = identity_of(child.pid)
    assert is_alive(identity)
    child.kill()
    wait_until(lambda: not is_alive(identity), what="the end of a process that nobody waits for")
    assert identity_of(child.pid) == identity
    child.wait()
    child.stdin.close()
    assert identity_of(child.pid) is None


def test_a_name_with_spaces_and_parentheses_does_not_confuse(tmp_path):
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as child:
        try:
            identity = identity_of(child.pid)
            assert is_alive(identity)
            assert identity.started >= identity_of(os.getpid()).started
        finally:
            child.kill()


def test_an_identity_survives_json():
    identity = identity_of(os.getpid())
    assert from_json(to_json(identity)) == identity


@pytest.mark.parametrize("value", [{}, [], None, 5, {"pid": "1", "started": 2, "boot": "x"}])
def test_what_is_no_identity_is_refused(value):
    with pytest.raises(ValueError):
        from_json(value)
