"""``nowcast config``: show, schema."""

from __future__ import annotations

from typing import Any

import typer

from nowcast_cli.cli.context import output_of, system_of
from nowcast_cli.cli.options import Json, group_app

app = group_app("Show the configuration and its schema.")


@app.command()
def show(ctx: typer.Context, as_json: Json = False) -> None:
    """Show the configuration and the paths, as they are used.

    Environment variables are substituted and paths are absolute. The output is
    YAML itself; the derived paths stand at its top as comments.

    \b
    Examples:
      nowcast config show
      nowcast config show --json | jq .paths.database
    """
    from dataclasses import asdict

    out = output_of(ctx)
    system = system_of(ctx)
    paths = {name: str(path) for name, path in asdict(system.paths).items()}
    if as_json:
        out.json({"paths": paths, "config": for_json(dict(system.config))})
        return
    import yaml

    width = max(len(name) for name in paths)
    for name, path in paths.items():
        out.line(f"# {name.replace('_', ' ') + ':':{width + 1}} {path}")
    text = yaml.dump(
        dict(system.config),
        Dumper=_plain_dumper(),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )
    out.line(text.rstrip("\n"))


@app.command()
def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema of nowcast.yaml, for editors.

    \b
    Examples:
      nowcast config schema > nowcast.schema.json
    """
    import json

    from nowcast_cli.config.schema import json_schema

    output_of(ctx).line(json.dumps(json_schema(), indent=2))


def for_json(value: Any) -> Any:
    """Make keys text, and everything that JSON has no word for too."""
    if isinstance(value, dict):
        return {str(key): for_json(item) for key, item in value.items()}
    if isinstance(value, list | set | tuple):
        return [for_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _plain_dumper() -> type[Any]:
    """Give a dumper that writes equal values out, instead of pointing from one to another."""
    import yaml

    class Plain(yaml.CSafeDumper):
        def ignore_aliases(self, *_: Any) -> bool:
            return True

    return Plain
