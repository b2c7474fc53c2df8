"""How the jobs of a worker are to be run, as the configuration says it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.config.check import check
from nowcast_cli.config.job_settings import LONGEST_DELAY, JobSettings, Retry, job_settings
from nowcast_cli.config.registry import registry_of
from nowcast_cli.errors import ConfigError

FILE = """\
zmq: {{host: localhost, ports: {{workers: 15555, manager: 15556}}}}
checklist file: var/checklist.yaml
{system}
message registry:
  manager: {{ack: a, checklist cleared: a, unregistered worker: a, unregistered message type: a,
             no after_worker function: a}}
  workers:
    sleep:
      success: slept
      {settings}
"""


def problems(folder: Path, settings: str = "", system: str = "") -> list[str]:
    file = folder / "nowcast.yaml"
    file.write_text(FILE.format(settings=settings, system=system))
    return [problem.text.partition("nowcast.yaml:")[2] for problem in check(file)]


def read(entry: object) -> JobSettings:
    config = {"message registry": {"workers": {"sleep": entry}}}
    return registry_of(config).workers["sleep"].jobs


def test_a_worker_without_settings_has_no_limits() -> None:
    assert read({"success": "slept"}) == JobSettings(None, None, None, False, 0)
    assert registry_of({}).jobs_of("stranger") == JobSettings()


def test_settings_are_no_message_types() -> None:
    entry = {
        "success": "slept",
        "timeout": "2h",
        "retry": {"tries": 3, "delay": "30s", "factor": 2, "on": ["failure"]},
        "concurrency": 1,
        "idempotent": True,
        "priority": -10,
    }
    retry = Retry(3, 30.0, 2.0, frozenset({"failure"}))
    assert read(entry) == JobSettings(7200.0, retry, 1, True, -10)
    registry = registry_of({"message registry": {"workers": {"sleep": entry}}})
    assert registry.workers["sleep"].messages == {"success": "slept"}


def test_lost_jobs_are_tried_again_where_that_does_no_harm_or_is_asked_for() -> None:
    def on(**entry: object) -> set[str]:
        retry = read(entry).retry
        assert retry is not None
        return set(retry.on)

    assert on(retry={"tries": 2}) == {"crash"}
    assert on(retry={"tries": 2}, idempotent=True) == {"crash", "lost"}
    assert on(retry={"tries": 2, "on": ["lost"]}) == {"lost"}
    assert on(retry={"tries": 2, "on": "failure"}, idempotent=True) == {"failure"}


def test_the_word_on_means_the_key_and_not_true(tmp_path: Path) -> None:
    assert problems(tmp_path, "retry: {tries: 2, on: [lost]}") == []
    assert read({"retry": {"tries": 2, True: ["lost"]}}).retry == Retry(
        2, 0.0, 1.0, frozenset({"lost"})
    )


def test_the_delay_grows_by_the_factor_up_to_a_month() -> None:
    retry = Retry(5, 30.0, 2.0, frozenset({"crash"}))
    assert [retry.delay_after(tried) for tried in (1, 2, 3)] == [30.0, 60.0, 120.0]
    assert Retry(9, 1.0, 1e6, frozenset()).delay_after(999) == LONGEST_DELAY
    assert Retry(9, 0.0, 1e6, frozenset()).delay_after(999) == 0.0


@pytest.mark.parametrize(
    ("settings", "where", "words"),
    [
        ("timeout: soon", "10:7: ….timeout", "must be a length of time"),
        ("timeout: 0", "10:7: ….timeout", "must be a length of time"),
        ("concurrency: 0", "10:7: ….concurrency", "must be a whole number from 1"),
        ("concurrency: true", "10:7: ….concurrency", "must be a whole number"),
        ("idempotent: maybe", "10:7: ….idempotent", "must be true or false, not 'maybe'"),
        ("priority: high", "10:7: ….priority", "must be a whole number"),
        ("priorty: 1", "10:7: ….priorty", "is not a key that nowcast knows; did you mean"),
        ("retry: 3", "10:7: ….retry", "must hold keys with values, such as {tries: 3"),
        ("retry: {}", "10:7: ….retry.tries", "is missing"),
        ("retry: {tries: 0}", "10:15: ….retry.tries", "must be a whole number from 1"),
        ("retry: {tries: 2, dealy: 1s}", "10:25: ….retry.dealy", "is not a key of this section; "
         "did you mean 'delay'?"),
        ("retry: {tries: 2, delay: x}", "10:25: ….retry.delay", "must be a length of time"),
        ("retry: {tries: 2, factor: 0.5}", "10:25: ….retry.factor", "must be a number from 1"),
        ("retry: {tries: 2, 'on': [crashed]}", "10:25: ….retry.on", "must be a list of crash, "
         "failure, lost, not ['crashed']"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, settings: str, where: str, words: str
) -> None:
    found = [text for text in problems(tmp_path, settings) if where.partition(" ")[0] in text]
    assert where.replace("…", "message registry.workers.sleep") + ": " + words in "\n".join(found)
    if "priorty" not in settings:
        from nowcast_cli.config import Config

        config = Config()
        config.load(tmp_path / "nowcast.yaml")
        with pytest.raises(ConfigError, match=r"message registry\.workers\.sleep\."):
            registry_of(config)


def test_the_whole_system_may_have_a_limit(tmp_path: Path) -> None:
    assert problems(tmp_path, system="jobs: {concurrency: 4}") == []
    assert registry_of({"jobs": {"concurrency": 4}}).concurrency == 4
    assert registry_of({"jobs": None}).concurrency is None
    (text,) = problems(tmp_path, system="jobs: {concurency: 4}")
    assert "jobs.concurency: is not a key of this section; did you mean 'concurrency'?" in text
    (text,) = problems(tmp_path, system="jobs: {concurrency: 0}")
    assert "jobs.concurrency: must be above 0" in text
    with pytest.raises(ConfigError, match=r"jobs\.concurrency"):
        registry_of({"jobs": {"concurrency": "many"}})


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
ANYTHING = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(VALUES, inner, max_size=3)
)


@given(
    st.dictionaries(
        st.sampled_from(["timeout", "retry", "concurrency", "idempotent", "priority", "x"]),
        ANYTHING
        | st.dictionaries(st.sampled_from(["tries", "delay", "factor", "on", True]), ANYTHING),
    )
)
def test_whatever_stands_there_is_read_or_told_to_be_wrong(entry: dict[str, object]) -> None:
    settings, mistakes = job_settings(entry, ("workers", "a"))
    assert isinstance(settings, JobSettings)
    assert all(mistake.path[:2] == ("workers", "a") for mistake in mistakes)
    if settings.retry is not None:
        assert settings.retry.tries >= 1
        assert 0 <= settings.retry.delay_after(settings.retry.tries) <= LONGEST_DELAY
