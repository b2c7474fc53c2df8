"""Agents on hosts that share nothing with the manager's, while they are killed, frozen, cut off.

Nothing runs twice, and what has ended is known in the end. A lease of three seconds stands in for
one of a minute.
"""

from __future__ import annotations

from collections import Counter


def test_jobs_are_placed_on_all_hosts_and_what_they_say_comes_back(lab):
    for name in ("east", "west", "north"):
        lab.add(name)
    jobs = [lab.launch("--payload", str(n), "--print", f"number {n}") for n in range(12)]
    for number, job in enumerate(jobs):
        assert lab.system.wait_for_job(job, "succeeded", timeout=60)
        lab.system.wait_for_process_end(job, 30)
        assert f"number {number}" in (lab.system.job_folder(job) / "stderr").read_text()
    assert all(agent.jobs() for agent in lab.agents.values())
    begun = Counter(job for agent in lab.agents.values() for job in agent.jobs())
    assert begun == dict.fromkeys(jobs, 1)
    assert lab.system.effects() == []  # nothing is shared
