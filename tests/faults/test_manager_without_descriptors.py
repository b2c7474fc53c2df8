"""A manager that can open nothing more takes no running job for lost."""

import resource
import time
from pathlib import Path

from helpers import wait_until


def test_a_manager_without_descriptors_loses_no_job_and_goes_on_when_it_has_some(make_system):
    system = make_system(after={"first": "[NextWorker('workers.second')]"}).start()
    jobs = [system.launch("first", "--until", "go on") for _ in range(3)]
    for job in jobs:
        system.wait_for_job(job, "running")
    manager = system.pid("manager")
    before = resource.prlimit(manager, resource.RLIMIT_NOFILE)
    taken = max(int(entry.name) for entry in Path(f"/proc/{manager}/fd").iterdir())
    resource.prlimit(manager, resource.RLIMIT_NOFILE, (taken + 1, before[1]))
    # As many as fill the gaps between those that are open.
    system.touch("go on")
    wait_until(lambda: len(system.ran()) == 6, timeout=30, what="what follows, all the same")
    time.sleep(0.6)  # a look at all folders comes twice a second
    resource.prlimit(manager, resource.RLIMIT_NOFILE, before)

    for job in system.jobs():
        system.wait_for_process_end(job.id)
    assert {job.state for job in system.jobs()} == {"succeeded"}
    assert system.pid("manager") == manager


def test_a_manager_that_cannot_begin_for_want_of_descriptors_says_so_in_a_sentence(make_system):
    system = make_system()
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))"
    assert system.popen("manager", prelude=few).wait(30) == 1
    said = system.log("manager.out")
    assert "error: the manager cannot go on" in said
    assert "Too many open files" in said
    assert "hint: raise the limit on open files" in said
    assert "Traceback" not in said
