"""`requires` of a worker and the section `agents`: read, and mistakes told with their place."""

from __future__ import annotations

import pytest

from nowcast_cli.config.agents import AgentTimes, agent_findings, agent_times
from nowcast_cli.config.job_settings import job_settings
from nowcast_cli.config.requirements import NO_REQUIREMENTS, Requirements
from nowcast_cli.errors import ConfigError


def read(requires):
    return job_settings({"requires": requires}, ("workers", "w"))


def test_tags_are_wanted_or_with_an_exclamation_mark_not():
    settings, mistakes = read({"tags": ["gpu", "!old", "cuda=12.1"]})
    assert mistakes == []
    assert settings.requires == Requirements(frozenset({"gpu", "cuda=12.1"}), frozenset({"old"}))
    assert settings.requires.words == "cuda=12.1, gpu, !old"
    assert settings.requires.met_by({"gpu", "cuda=12.1", "more"})
    assert not settings.requires.met_by({"gpu", "cuda=12.1", "old"})
    assert not settings.requires.met_by({"gpu"})
    assert job_settings({"executor": "agents"}, ())[0].requires == NO_REQUIREMENTS


@pytest.mark.parametrize(
    ("requires", "path", "said"),
    [
        ({"tag": ["gpu"]}, ("workers", "w", "requires", "tag"), "is not a key of this section"),
        ({"tags": "gpu"}, ("workers", "w", "requires", "tags"), "must be a list of texts"),
        ({"tags": ["g pu"]}, ("workers", "w", "requires", "tags"), "holds 'g pu': a tag is of"),
        ({"tags": ["!"]}, ("workers", "w", "requires", "tags"), "holds '!'"),
        ({"tags": ["a", "!a"]}, ("workers", "w", "requires", "tags"), "which no host can have"),
        (["gpu"], ("workers", "w", "requires"), "must hold keys with values"),
    ],
)
def test_mistakes_are_told_where_they_are(requires, path, said):
    (mistake,) = read(requires)[1]
    assert mistake.path == path
    assert said in mistake.message


def test_the_lease_is_read_and_is_not_shorter_than_some_reports():
    assert agent_times({}) == AgentTimes(60.0, 5.0)
    assert agent_times({"agents": {"lease": "2min"}}) == AgentTimes(120.0, 5.0)
    assert list(agent_findings({"agents": {"report every": "10s", "lease": 30}})) == []
    (mistake,) = agent_findings({"agents": {"report every": "30s"}})
    assert (mistake.path, "3 times as long" in mistake.message) == (("agents", "lease"), True)
    (mistake,) = agent_findings({"agents": {"leese": "3s"}})
    assert "did you mean 'lease'" in mistake.message
    with pytest.raises(ConfigError, match=r"agents\.lease"):
        agent_times({"agents": {"lease": "soon"}})
