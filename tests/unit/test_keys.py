"""Key files, the list of keys, and what the commands make of them."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nowcast_cli.errors import NotFound, UsageError
from nowcast_cli.security.key import Key, KeyTrouble, key_file, read_key
from nowcast_cli.security.key_ring import KeyRing, in_text
from nowcast_cli.security.roster import Entry, Roster, read_roster

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ring(tmp_path, clock):
    ring = KeyRing(tmp_path / "keys", clock)
    ring.init()
    return ring


def key(ring, name) -> Key:
    return read_key(key_file(ring.folder, name))


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_keys_of_a_system_are_made_once_and_for_the_owner_alone(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    assert ring.is_new
    assert ring.init() == ["broker", "manager", "operator", "worker"]
    assert not ring.is_new
    assert ring.init() == []
    assert mode(ring.folder) == 0o700
    assert {mode(file) for file in ring.folder.iterdir()} == {0o600}


def test_each_key_knows_the_broker_and_is_on_the_list(ring):
    broker = key(ring, "broker")
    for name in ("manager", "operator", "worker"):
        own = key(ring, name)
        assert own.broker == broker.public
        assert ring.roster().by_public(own.public).role == own.role == name


def test_no_secret_is_shown_or_listed(ring):
    own = key(ring, "worker")
    assert own.secret not in repr(own)
    assert own.secret not in ring.roster().to_text()


def test_a_key_that_was_lost_is_made_again_but_not_one_that_was_revoked(ring):
    before = key(ring, "worker").public
    key_file(ring.folder, "worker").unlink()
    ring.revoke("operator")
    assert ring.init() == ["worker"]
    assert not key_file(ring.folder, "operator").exists()
    assert ring.roster().by_public(before).standing(in_text(NOON)) == "revoked"


def test_a_folder_that_others_could_read_is_closed(ring):
    ring.folder.chmod(0o755)
    ring.init()
    assert mode(ring.folder) == 0o700


def test_a_key_is_added_for_a_host_once(ring):
    ring.add("cluster", "worker", "cluster")
    assert ring.roster().key_of_host("cluster").name == "cluster"
    with pytest.raises(UsageError, match="there is a key cluster already"):
        ring.add("cluster", "worker")
    with pytest.raises(UsageError, match="has a key already"):
        ring.add("second", "worker", "cluster")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "broker", "manager"])
def test_names_that_cannot_be_are_refused(ring, name):
    with pytest.raises(UsageError):
        ring.add(name, "reader")


def test_a_revoked_key_is_shut_out_at_once_and_its_secret_removed(ring):
    ring.add("board", "reader")
    public = key(ring, "board").public
    ring.revoke("board")
    assert not ring.roster().by_public(public).is_valid(in_text(NOON))
    assert not key_file(ring.folder, "board").exists()


@pytest.mark.parametrize("name", ["broker", "manager"])
def test_keys_without_which_nothing_works_are_not_revoked(ring, name):
    with pytest.raises(UsageError, match="cannot work"):
        ring.revoke(name)


def test_a_replaced_key_is_good_for_another_hour(ring, clock):
    before = key(ring, "worker")
    after = ring.rotate("worker")
    assert (after.role, after.public != before.public) == ("worker", True)
    old = ring.roster().by_public(before.public)
    assert old.standing(in_text(NOON)) == "replaced"
    assert old.is_valid(in_text(NOON + timedelta(minutes=59)))
    assert not old.is_valid(in_text(NOON + timedelta(minutes=60)))
    clock.at += timedelta(minutes=30)
    ring.rotate("worker")  # which gives the first one no more time
    assert not ring.roster().by_public(before.public).is_valid(in_text(NOON + timedelta(hours=1)))


def test_a_stolen_key_is_revoked_with_those_before_it(ring):
    before = key(ring, "worker")
    ring.rotate("worker")
    ring.revoke("worker")
    ring.rotate("worker")
    assert not ring.roster().by_public(before.public).is_valid(in_text(NOON))
    assert ring.roster().current("worker").is_valid(in_text(NOON))


def test_the_managers_old_key_ends_at_once(ring):
    before = key(ring, "manager")
    ring.rotate("manager")
    assert not ring.roster().by_public(before.public).is_valid(in_text(NOON))


def test_a_new_key_of_the_broker_is_told_to_all_that_are_here(ring):
    ring.add("cluster", "worker", "cluster")
    broker = ring.rotate("broker")
    assert {key(ring, name).broker for name in ("manager", "operator", "cluster")} == {
        broker.public
    }


def test_a_rotation_that_was_cut_short_is_mended(ring):
    ring.rotate("broker")
    file = key_file(ring.folder, "worker")
    file.write_text(replace(key(ring, "worker"), broker=key(ring, "worker").public).to_text())
    ring.init()
    assert key(ring, "worker").broker == key(ring, "broker").public


def test_a_key_that_is_not_there_is_named(ring):
    with pytest.raises(NotFound, match="there is no key bord"):
        ring.rotate("bord")


def test_a_file_that_others_can_read_is_not_used(ring):
    file = key_file(ring.folder, "worker")
    file.chmod(0o640)
    with pytest.raises(KeyTrouble, match="others on this machine can read it") as caught:
        read_key(file)
    assert f"chmod 600 {file}" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"public": 5}', "\ufffd"])
def test_a_damaged_key_is_told(ring, text):
    file = key_file(ring.folder, "worker")
    file.write_text(text)
    with pytest.raises(KeyTrouble, match="is damaged"):
        read_key(file)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": 1}', '{"keys": [{}]}', '{"keys": [{"name": 1}]}', '{"keys": [1]}']
)
def test_a_damaged_list_is_told(ring, text):
    (ring.folder / "authorized.json").write_text(text)
    with pytest.raises(KeyTrouble, match="is damaged"):
        ring.roster()


def test_the_list_is_read_as_it_was_written():
    entries = (
        Entry("a", "worker", "x" * 40, "east", "2026-11-22T12:00:00Z"),
        Entry("b", "reader", "y" * 40, None, "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z"),
    )
    assert read_roster(Roster(entries).to_text()) == Roster(entries)
