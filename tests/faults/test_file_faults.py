"""Files that come while file watcher, manager and broker are killed: each begins one run."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from helpers import wait_until
from systems import MakeSystem, System

FILES = 150
KILLS = 9
STEPS = {"wait": {"action": "?Files@ASYNC?wait"}}
DAEMONS = ("file_watcher", "manager", "message_broker")


def begun(system: System) -> Counter[str]:
    """Count the runs by the file that they are of."""
    with system.reader() as reader:
        return Counter(str(run.parameters["path"]) for run in reader.flow_runs("take", 20_000))


def test_each_file_begins_one_run_whatever_is_killed(
    make_system: MakeSystem, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    on = {"file": f"{data}/**/*.nc", "settled": "0.1s", "parameters": {"path": "{file.path}"}}
    flow = {"on": on, "parameters": {"path": {"type": "path"}}, "steps": STEPS}
    system = make_system(settings={"flows": {"take": flow}})
    system.start().start("file_watcher").supervise()
    chance = random.Random(20261122)
    expected = []
    for number in range(FILES):
        if number % (FILES // KILLS) == 0:
            some = chance.randrange(number + 1)
            wait_until(lambda: len(begun(system)) >= some, what=f"{some} runs")  # noqa: B023
            system.kill(chance.choice(DAEMONS))
        file = data / str(number % 3) / f"{number}.nc"
        file.parent.mkdir(exist_ok=True)
        if number % 2:
            file.write_text(str(number))
        else:
            part = file.with_suffix(".part")
            part.write_text(str(number))
            part.rename(file)
        expected.append(str(file))

    def done() -> bool:
        health = system.health("file_watcher")
        said = health is not None and (health["waiting"], health["not complete"]) == (0, 0)
        return said and set(expected) <= set(begun(system))

    wait_until(done, timeout=120, what="a run for each file")
    assert begun(system) == Counter(expected)
