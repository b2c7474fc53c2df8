"""``nowcast agent``: run."""

from __future__ import annotations

from nowcast_cli.cli.agent_run import run
from nowcast_cli.cli.options import group_app

app = group_app("Run an agent on a host, and see to the agents of a system.")

app.command()(run)
