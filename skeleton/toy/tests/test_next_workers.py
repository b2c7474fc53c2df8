"""Tests of next_workers.py: which workers follow from which message. Run them with `pytest`."""

from pathlib import Path

import next_workers
import pytest

from nowcast_cli import Config, Message, NextWorker


@pytest.fixture
def config():
    config = Config()
    config.load(Path(__file__).parents[1] / "nowcast.yaml")
    return config


def workers(config):
    return config["message registry"]["workers"]


def test_awaken_follows_a_good_sleep(config):
    followers = next_workers.after_sleep(Message("sleep", "success"), config, checklist={})
    assert followers == [NextWorker("nowcast_cli.workers.awaken")]


@pytest.mark.parametrize("message_type", ["failure", "crash"])
def test_nothing_follows_a_bad_sleep(config, message_type):
    assert next_workers.after_sleep(Message("sleep", message_type), config, checklist={}) == []


@pytest.mark.parametrize("message_type", ["success", "failure", "crash"])
def test_nothing_follows_awaken(config, message_type):
    assert next_workers.after_awaken(Message("awaken", message_type), config, checklist={}) == []


def test_every_message_type_of_every_worker_has_an_answer(config):
    for name, entry in workers(config).items():
        after = getattr(next_workers, f"after_{name}")
        for message_type in set(entry) - {"checklist key"}:
            followers = after(Message(name, message_type), config, checklist={})
            assert all(isinstance(follower, NextWorker) for follower in followers)
