"""The JSON Schema of nowcast.yaml, for editors."""

from __future__ import annotations

from typing import Any


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) that the model of the file makes."""
    from nowcast_cli.config.model import NowcastYaml

    schema = NowcastYaml.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nowcast.yaml",
        **{key: value for key, value in schema.items() if key != "title"},
    }
