"""``nowcast product``: the index of operational files."""

from __future__ import annotations

from nowcast_cli.cli import product_changing, product_fsck, product_reading, product_register
from nowcast_cli.cli.options import group_app

app = group_app("List products, register files, let old ones go.")
app.command("list")(product_reading.list_products)
app.command("show")(product_reading.show)
app.command("latest")(product_reading.latest)
app.command("files")(product_reading.files)
app.command("history")(product_reading.history)
app.command("register")(product_register.register)
app.command("pin")(product_changing.pin)
app.command("unpin")(product_changing.unpin)
app.command("expire")(product_changing.expire)
app.command("delete")(product_changing.delete)
app.command("fsck")(product_fsck.fsck)
