"""What goes to a host without shared storage with a job, and what comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.remote_hosts import RemoteHost, remote_hosts
from nowcast_cli.errors import ConfigError
from nowcast_cli.executors.carried_files import as_carried, carried_files
from nowcast_cli.executors.file_digests import differing, digests_of, files_of
from nowcast_cli.executors.file_transfer import NotTransferred
from nowcast_cli.executors.job_folder import JobRequest
from nowcast_cli.executors.job_outputs import published_here
from nowcast_cli.executors.remote_files import take_in
from nowcast_cli.executors.transfer_note import Notes, TransferNote, read_note

EAST = RemoteHost("east", None, "python", "nowcast.yaml", "~/.cache/nowcast", (), False)
COMMAND: dict[str, Any] = {
    "words": ["./step.sh"], "environment": {}, "directory": None, "success_codes": [0],
    "copy": {"in/forcing": "\0deployment\0/data/forcing"}, "link": {"tide": "/data/tide"},
    "outputs": [["plots", "/www/plots", None], ["a.nc", "/results/a.nc", "/results"]],
    "marker": "/results/done", "messages": ["success"],
}  # fmt: skip
JOB = JobRequest(
    id="1", attempt=1, worker="step", module="step", arguments=(), folder="/var/jobs/d/1-step",
    config_file="/tides/nowcast.yaml", working_directory="/tides", environment={},
    command=COMMAND,
)  # fmt: skip


def test_inputs_are_carried_from_where_they_are_here() -> None:
    carried = carried_files(EAST, JOB)
    assert carried is not None
    assert carried.inputs == {
        "in/forcing": Path("/tides/data/forcing"),
        "tide": Path("/data/tide"),
    }
    assert carried.outputs == ("plots", "a.nc")
    assert carried.names == ("in/forcing", "tide", "plots", "a.nc")


def test_over_there_nothing_is_fetched_nor_put_in_place() -> None:
    there = as_carried(EAST, JOB)
    assert there["received"] == ["in/forcing", "tide"]
    assert (there["command"]["copy"], there["command"]["link"]) == ({}, {})
    assert there["command"]["success_codes"] == []
    assert there["command"]["words"] == COMMAND["words"]


@pytest.mark.parametrize(
    ("host", "job"),
    [(replace(EAST, shared_storage=True), JOB), (EAST, replace(JOB, command=None))],
)
def test_nothing_is_carried_where_the_host_has_the_files_and_for_modules(
    host: RemoteHost, job: JobRequest
) -> None:
    assert carried_files(host, job) is None
    assert as_carried(host, job) == {}


def test_whether_a_host_shares_its_storage_is_true_or_false() -> None:
    def read(value: Any) -> bool:
        host = {} if value is None else {"shared storage": value}
        config = {"python": "python", "run": {"enabled hosts": {"east": host}}}
        return remote_hosts(config, "nowcast.yaml")["east"].shared_storage

    assert read(None)
    assert read(True)
    assert not read(False)
    with pytest.raises(ConfigError, match="shared storage: must be true or false, not 'rsync'"):
        read("rsync")


def test_what_a_command_has_published_there_is_looked_for_here() -> None:
    lines = json.dumps(["/home/me/1-step/scratch/out/a.nc", "/results/a.nc", None]) + "\n"
    (output,) = published_here(JOB, lines, "/home/me/1-step/scratch")
    assert output.source == "/var/jobs/d/1-step/scratch/out/a.nc"
    assert output.destination == "/results/a.nc"
    with pytest.raises(NotTransferred, match="which is not in the scratch folder"):
        published_here(JOB, lines, "/elsewhere/scratch")


names = st.text(st.sampled_from("abc .'\u00e4"), min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..")
)


@given(st.dictionaries(names, st.binary(max_size=40), min_size=1, max_size=5))
def test_what_is_the_same_does_not_differ_and_anything_else_does(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    for name, data in content.items():
        (folder / "a folder" / name).parent.mkdir(exist_ok=True)
        (folder / "a folder" / name).write_bytes(data)
    files = files_of({"in": folder / "a folder"}, links=True)
    told = json.loads(json.dumps(digests_of(files)))
    assert set(told) == {f"in/{name}" for name in content}
    assert differing(told, digests_of(files)) == []
    one = next(iter(content))
    (folder / "a folder" / one).write_bytes(content[one] + b"x")
    assert differing(told, digests_of(files)) == [f"in/{one}"]
    (folder / "a folder" / one).unlink()
    left = {name: path for name, path in files.items() if path.exists()}
    assert differing(told, digests_of(left)) == [f"in/{one}"]


def test_links_among_outputs_are_no_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.nc").write_bytes(b"a")
    (tmp_path / "run" / "latest").symlink_to("a.nc")
    (tmp_path / "run" / "nowhere").symlink_to("/nowhere")
    assert list(files_of({"run": tmp_path / "run"}, links=False)) == ["run/a.nc"]
    assert set(files_of({"run": tmp_path / "run"}, links=True)) == {"run/a.nc", "run/latest"}


def test_what_was_sent_is_taken_in_and_it_is_an_error_where_some_is_missing(tmp_path: Path) -> None:
    (tmp_path / "incoming" / "in").mkdir(parents=True)
    (tmp_path / "incoming" / "in" / "forcing").write_bytes(b"wind")
    with pytest.raises(FileNotFoundError):
        take_in(tmp_path, ["in/forcing", "tide"])
    (tmp_path / "incoming" / "tide").write_bytes(b"M2")
    (tmp_path / "scratch/in/forcing").rename(tmp_path / "incoming/in/forcing")
    take_in(tmp_path, ["in/forcing", "tide"])
    assert (tmp_path / "scratch" / "in" / "forcing").read_bytes() == b"wind"
    assert not (tmp_path / "incoming").exists()


def test_how_far_it_has_come_is_kept_once_a_second(tmp_path: Path) -> None:
    now = 10.0
    notes = Notes(tmp_path, lambda: now)
    assert read_note(tmp_path) is None
    note = TransferNote("sending inputs", "east", 3, 1000)
    notes.write(note)
    notes.write(replace(note, came=500))
    assert read_note(tmp_path) == note
    now = 11.5
    notes.write(replace(note, came=900))
    assert read_note(tmp_path) == replace(note, came=900)
    notes.remove()
    assert read_note(tmp_path) is None
