"""What follows from several workers waits for all of them, also over a manager's death."""

from helpers import wait_until

BARRIER = "[NextWorker('workers.left'), NextWorker('workers.right')], {'left', 'right'}"
WORKERS = ("first", "left", "right", "other", "after_left", "after_right")
FOLLOWERS = {
    "left": "[NextWorker('workers.after_left')]",
    "right": "[NextWorker('workers.after_right')]",
}


def barrier_system(make_system, first=BARRIER):
    return make_system(workers=WORKERS, after={"first": first, **FOLLOWERS})


def waiting(first="left", second="right"):
    """Give a barrier for jobs that wait until a test lets them go."""
    launches = ", ".join(
        f"NextWorker('workers.{name}', args=['--until', '{name}-may-end'])"
        for name in (first, second)
    )
    return f"[{launches}], {{'{first}', '{second}'}}"


def test_what_follows_from_one_is_held_until_the_other_has_ended(make_system):
    system = barrier_system(make_system, waiting()).start()
    chain = system.launch("first")
    wait_until(lambda: sorted(system.ran()[1:]) == ["left", "right"], what="both sides")
    system.touch("left-may-end")
    [held] = wait_until(lambda: system.jobs("after_left"), what="what follows from the left")

    assert held.state == "held"
    with system.reader() as reader:
        assert reader.barriers()[0].waiting_for == ("right",)
    system.touch("right-may-end")
    system.wait_for_chain(chain)
    assert sorted(system.ran()[3:]) == ["after_left", "after_right"]
    with system.reader() as reader:
        assert [each.state for each in reader.barriers(active_only=False)] == ["released"]


def test_a_barrier_and_what_it_holds_outlive_the_manager(make_system):
    system = barrier_system(make_system, waiting()).start()
    chain = system.launch("first")
    wait_until(lambda: len(system.ran()) == 3, what="both sides")
    system.touch("left-may-end")
    wait_until(lambda: system.jobs("after_left"), what="what follows from the left")
    system.restart("manager")

    assert system.jobs("after_left")[0].state == "held"
    system.kill("manager")
    system.touch("right-may-end")
    system.start("manager")
    system.wait_for_chain(chain)
    assert sorted(system.ran()[3:]) == ["after_left", "after_right"]


def test_a_new_barrier_that_shares_a_worker_replaces_the_old_one_with_a_warning(make_system):
    system = barrier_system(make_system, "[], {'left', 'right'}").start()
    system.finish("first")
    system.finish("left")
    [held] = wait_until(lambda: system.jobs("after_left"), what="what follows from the left")
    system.finish("first")
    wait_until(lambda: system.job(held.id).state == "cancelled", what="the held job to be dropped")

    assert "was replaced by that of message" in system.job(held.id).reason
    assert "barrier 1 for left, right is replaced" in system.log()
    system.finish("right")
    system.finish("left")
    wait_until(lambda: len(system.ran()) == 2, what="what the second barrier held")
    assert sorted(system.ran()) == ["after_left", "after_right"]


def test_what_follows_from_a_worker_outside_the_barrier_is_not_held(make_system):
    system = make_system(
        workers=WORKERS,
        after={"first": "[], {'left', 'right'}", "other": "[NextWorker('workers.after_left')]"},
    ).start()
    system.finish("first")
    system.finish("other")

    wait_until(lambda: system.ran() == ["after_left"], what="what follows from the other")


def test_a_worker_that_crashes_or_is_cancelled_does_not_hold_the_barrier_up(make_system):
    system = barrier_system(make_system, waiting()).start()
    chain = system.launch("first")
    wait_until(lambda: len(system.ran()) == 3, what="both sides")
    system.touch("left-may-end")
    wait_until(lambda: system.jobs("after_left"), what="what follows from the left")
    system.request("cancel", {"job": system.jobs("right")[0].id})

    system.wait_for_chain(chain)
    assert system.ran()[3:] == ["after_left"]


def test_a_held_job_can_be_cancelled_and_never_begins(make_system):
    system = barrier_system(make_system, "[], {'left', 'right'}").start()
    system.finish("first")
    system.finish("left")
    [held] = wait_until(lambda: system.jobs("after_left"), what="what follows from the left")
    assert system.request("cancel", {"job": held.id}).type == "ack"
    system.finish("right")

    wait_until(lambda: system.ran() == ["after_right"], what="what follows from the right")
    assert system.job(held.id).state == "cancelled"
