"""The section ``executors``, what jobs ask for, and which executor one goes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.check import check
from nowcast_cli.config.executors import (
    HERE,
    Executors,
    ExecutorSettings,
    Place,
    executors_of,
)
from nowcast_cli.config.registry import registry_of
from nowcast_cli.config.remote_hosts import remote_hosts
from nowcast_cli.config.resources import NO_RESOURCES, Resources
from nowcast_cli.errors import ConfigError, NowcastError
from nowcast_cli.executors.remote_executor import target_of

BASE = """\
zmq: {host: localhost, ports: {workers: 5555, manager: 5556}}
run: {enabled hosts: {head: {}, east: null, apart: {shared storage: false}, localhost: null}}
message registry:
  manager: {ack: a, checklist cleared: b, unregistered worker: c, unregistered message type: d,
            no after_worker function: e}
  workers:
    first: {success: done, WORKER}
executors: {EXECUTORS}
"""


def problems(tmp_path: Path, worker: str = "failure: x", executors: str = "") -> list[str]:
    """Give the lines of ``nowcast validate``, each as its place and sentence."""
    file = tmp_path / "nowcast.yaml"
    file.write_text(BASE.replace("WORKER", worker).replace("EXECUTORS", executors))
    return [found.text.removeprefix(f"{file}:") for found in check(file)]


def executors(text: str, hosts: tuple[str, ...] = ("head", "east")) -> Executors:
    run = {"enabled hosts": dict.fromkeys((*hosts, "localhost"))}
    found, mistakes = executors_of({"run": run, "executors": yaml.safe_load(text)})
    assert mistakes == []
    return found


def test_a_configuration_without_the_section_has_this_machine_and_the_hosts() -> None:
    found = executors("null")
    assert found.default == "local"
    assert found.names() == ["head", "east", "agents", "local", "pbs", "sge", "slurm"]
    assert found.named("slurm") == ExecutorSettings("slurm", "slurm")
    assert found.named("east") == ExecutorSettings("east", "ssh", "east")
    assert found.named("ssh") is None
    assert found.in_use({"first": None, "second": "slurm"}) == ["local", "slurm", "head", "east"]


def test_an_executor_is_read_with_all_its_keys() -> None:
    found = executors(
        "{default: cluster, cluster: {kind: slurm, host: head, poll: 1 min, python: /p,"
        " resources: {account: 17, queue: long, memory: 1.5 GB}, directives: ['#SBATCH -x']},"
        " far: {kind: ssh, host: east}, local: {resources: {walltime: 2h}}}"
    )
    assert found.named("cluster") == ExecutorSettings(
        "cluster", "slurm", "head", 60.0, "/p",
        Resources(account="17", queue="long", memory=1_500_000_000), ("#SBATCH -x",),
    )  # fmt: skip
    assert found.named("far") == ExecutorSettings("far", "ssh", "east")
    assert found.named("local") == ExecutorSettings(
        "local", "local", resources=Resources(walltime=7200.0)
    )


@pytest.mark.parametrize(
    ("worker", "host", "place"),
    [
        (None, "localhost", Place("cluster", "head")),  # the default
        (None, "127.0.0.1", Place("cluster", "head")),
        ("local", "localhost", Place("local", HERE)),
        ("east", "localhost", Place("ssh", "east")),
        ("sge", "localhost", Place("sge", HERE)),
        ("far", "localhost", Place("far", "east")),
        ("east", "sge", Place("sge", HERE)),  # what the launch says goes first
        ("east", "local", Place("local", HERE)),
        (None, "head", Place("ssh", "head")),
        (None, "nowhere", Place("ssh", "nowhere")),  # refused when the job is to begin
    ],
)
def test_the_launch_goes_before_the_worker_and_that_before_the_default(
    worker: str | None, host: str, place: Place
) -> None:
    found = executors("{default: cluster, cluster: {kind: slurm, host: head},"
                      " far: {kind: ssh, host: east}}")  # fmt: skip
    assert found.place_of(worker, host) == place


def test_a_host_of_the_name_local_is_reached_by_a_launch_alone() -> None:
    """As a deployment may have one from before there were executors."""
    found = executors("null", hosts=("local",))
    assert found.place_of(None, "localhost") == Place("local", HERE)
    assert found.place_of("local", "localhost") == Place("local", HERE)
    assert found.place_of(None, "local") == Place("ssh", "local")
    here, there = found.at(Place()), found.at(Place("ssh", "local"))
    assert here is not None
    assert there is not None
    assert (here.kind, there.kind) == ("local", "ssh")


def test_a_place_leads_back_to_its_executor_and_host() -> None:
    config = {"python": "/here/python", "run": {"enabled hosts": {"head": None, "east": None}}}
    hosts = remote_hosts(config, "nowcast.yaml")
    found = executors("{cluster: {kind: slurm, host: head, python: /there}, here: {kind: sge}}")
    cluster = target_of(found, hosts, found.place_named("cluster"))
    assert cluster.settings.kind == "slurm"
    assert cluster.host is not None
    assert (cluster.host.name, cluster.host.python) == ("head", "/there")
    assert target_of(found, hosts, found.place_named("here")).host is None
    east = target_of(found, hosts, Place("ssh", "east"))
    assert east.host == hosts["east"]
    with pytest.raises(NowcastError, match=r"'west' is not among `run: enabled hosts` \(head, e"):
        target_of(found, hosts, Place("ssh", "west"))
    with pytest.raises(NowcastError, match="there is no executor 'old'"):
        target_of(found, hosts, Place("old", HERE))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("default: clustr, cluster: {kind: slurm}",
         "8:13: executors.default: there is no executor 'clustr'; did you mean 'cluster'?"),
        ("c: {kind: slrum}", "executors.c.kind: must be one of the kinds, not 'slrum'; did you "
         "mean 'slurm'?"),
        ("c: {host: head}", "executors.c.kind: is missing"),
        ("c: {kind: slurm, host: haed}",
         "executors.c.host: the host 'haed' is not among `run: enabled hosts`; did you mean "
         "'head'?"),
        ("c: {kind: ssh}", "executors.c.kind: the host 'c' is not among `run: enabled hosts`"),
        ("head: {kind: slurm}", "executors.head.kind: must be ssh: head is an enabled host"),
        ("head: {host: east}", "executors.head.host: must be head, which is an enabled host"),
        ("sge: {kind: pbs}", "executors.sge.kind: must be sge: sge is built in"),
        ("mine: {kind: local}",
         "executors.mine.kind: there is one executor of the kind local, and it has that name"),
        ("local: {poll: 3s}", "executors.local.poll: is not a key of an executor of the kind "
         "local"),
        ("c: {kind: pbs, pol: 3s}", "executors.c.pol: is not a key of this section; did you mean "
         "'poll'?"),
        ("c: 3", "executors.c: must hold keys with values, such as {kind: slurm}, not 3"),
        ("c: null", "executors.c: must hold keys with values, such as {kind: slurm}"),
        ("c: {kind: sge, directives: '#$ -l'}",
         "executors.c.directives: must be a list of texts"),
        ("c: {kind: sge, directives: ['-l gpu=1']}",
         "executors.c.directives: '-l gpu=1' is an option, and not a line of a job script"),
        ("localhost: {kind: slurm}", "executors.localhost: cannot be the name of an executor"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place_and_a_guess(
    tmp_path: Path, text: str, said: str
) -> None:
    found = problems(tmp_path, executors=text)
    assert len(found) == 1, found
    assert said in found[0]


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        ("executor: slrum", "executor: there is no executor 'slrum'; did you mean 'slurm'?"),
        ("executor: [a]", "executor: must be a text of one line, not ['a']"),
        ("resources: {cpus: 0}", "resources.cpus: must be a whole number from 1"),
        ("resources: {memory: 8 GX}", "resources.memory: must be a size such as"),
        ("resources: {walltime: soon}", "resources.walltime: must be a length of time"),
        ("resources: {gpus: some}", "resources.gpus: must be a whole number from 0"),
        ("resources: {extra: --x}", "resources.extra: must be a list of texts"),
        ("resources: {cpu: 1}", "resources.cpu: is not a key of this section; did you mean "
         "'cpus'?"),
        ("resources: 8 GB", "resources: must hold keys with values, such as {cpus: 4"),
        ('directives: ["#SBATCH -q a", "--qos=b"]', "directives: '--qos=b' is an option"),
        (r'directives: ["#SBATCH a\nrm -r /"]', "directives: must be a list of texts, each of "
         "one line"),
    ],
)  # fmt: skip
def test_mistakes_of_a_worker_are_told_with_their_place(
    tmp_path: Path, worker: str, said: str
) -> None:
    (found,) = problems(tmp_path, worker=worker)
    assert found.startswith("7:")
    assert f"message registry.workers.first.{said}" in found


def test_a_batch_system_needs_a_host_that_shares_its_storage(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, executors="cluster: {kind: slurm, host: apart}")
    assert found.startswith("8:36: executors.cluster.host: apart has `shared storage: false`, and")
    assert problems(tmp_path, executors="cluster: {kind: ssh, host: apart}") == []


def test_a_good_configuration_has_no_problems(tmp_path: Path) -> None:
    worker = "executor: cluster, resources: {cpus: 4, memory: 8 GB, walltime: 2h, gpus: 0, "
    worker += "queue: long, account: 7, extra: [--exclusive]}, directives: ['#SBATCH -q high']"
    declared = "cluster: {kind: slurm, host: head, poll: 5s}, default: cluster"
    assert problems(tmp_path, worker, declared) == []


def test_a_broken_section_stops_a_daemon_with_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"executors\.c\.kind: is missing"):
        registry_of({"executors": {"c": {}}})
    with pytest.raises(ConfigError, match=r"executors: must hold keys with values"):
        registry_of({"executors": ["c"]})


def registry(workers: dict[str, Any], **sections: Any) -> Any:
    return registry_of({"message registry": {"workers": workers}, **sections})


def test_the_walltime_is_a_timeout_where_no_batch_system_sees_to_it() -> None:
    found = registry(
        {"a": {"resources": {"walltime": "1h"}}, "b": {"timeout": "5 min", "resources":
         {"walltime": "1h"}}, "c": {}},
        executors={"slurm": {"resources": {"walltime": "2h"}}, "local":
                   {"resources": {"walltime": "3h"}}},
        run={"enabled hosts": {"east": None}},
    )  # fmt: skip
    here, east, slurm = Place(), Place("ssh", "east"), Place("slurm", HERE)
    assert [found.timeout_of("a", place) for place in (here, east, slurm)] == [3600, 3600, None]
    assert [found.timeout_of("b", place) for place in (here, east, slurm)] == [300, 300, 300]
    assert [found.timeout_of("c", place) for place in (here, east, slurm)] == [10800, None, None]
    assert found.resources_of("c", slurm).walltime == 7200
    assert found.timeout_of("unknown", Place("gone", HERE)) is None


def test_a_worker_goes_before_its_executor_and_adds_to_its_lines() -> None:
    found = registry(
        {"a": {"executor": "c", "resources": {"cpus": 4, "extra": ["-b"]}, "directives": ["two"]}},
        executors={"c": {"kind": "sge", "resources": {"cpus": 1, "account": "x", "extra": ["-a"]},
                         "directives": ["one"]}},
    )  # fmt: skip
    place = found.place_of("a", "localhost")
    assert place == Place("c", HERE)
    assert found.resources_of("a", place) == Resources(cpus=4, account="x", extra=("-a", "-b"))
    assert found.directives_of("a", place) == ("one", "two")


amounts = st.none() | st.integers(0, 10**12)
resources = st.builds(
    Resources, amounts, amounts, st.none() | st.floats(0.1, 1e6), amounts,
    st.none() | st.text(min_size=1), st.none() | st.text(min_size=1),
    st.lists(st.text(min_size=1)).map(tuple),
)  # fmt: skip


@given(resources)
def test_what_is_asked_for_comes_back_from_json(asked: Resources) -> None:
    assert Resources.from_json(asked.to_json()) == asked
    assert Resources.from_json({**asked.to_json(), "of a later version": 1}) == asked


@given(resources, resources, resources)
def test_defaults_below_defaults_are_as_one(
    one: Resources, two: Resources, three: Resources
) -> None:
    assert one.over(two).over(three) == one.over(two.over(three))
    assert one.over(NO_RESOURCES) == one == NO_RESOURCES.over(one)
