"""How agents are listed."""

import pytest

from nowcast_cli.cli.agent_report import row
from nowcast_cli.messages.agent_messages import AgentPicture, Register


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ((), "-"),
        (("gpu", "linux"), "gpu, linux"),
        (("fast-disk", "old", "linux", "x86_64", "mpirun", "git"), "fast-disk, old, linux, +3"),
        (("a-tag-that-is-longer-than-the-line", "gpu"), "a-tag-that-is-longer-than-the-line, +1"),
    ],
)
def test_a_list_names_the_tags_that_a_line_has_room_for(tags, said):
    host = Register("a", "i", "b", "m", "h", "1", "3", "/s", 1, 1, 0.0, tags=tags)
    agent = AgentPicture("a", "online", "online", register=host)
    assert row(agent)[-1] == said
