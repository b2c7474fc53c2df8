"""``nowcast product``: the index of operational files."""

from __future__ import annotations

from nowcast_cli.cli import product_register
from nowcast_cli.cli.options import group_app

app = group_app("Register files of products.")
app.command("register")(product_register.register)
