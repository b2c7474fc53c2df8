"""What the documentation shows of a configuration can be read as it stands."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml

from nowcast_cli.config.positions import BadYaml, read_document

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if "_build" not in path.parts
)
_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(
        textwrap.dedent(found[2]),
        id=f"{page.relative_to(ROOT)}:{page.read_text()[: found.start()].count(chr(10)) + 1}",
    )
    for page in PAGES
    for found in _BLOCK.finditer(page.read_text())
]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_shown_is_yaml(block):
    assert yaml.safe_load(block) is not None


def test_braces_within_braces_get_a_remedy():
    for text in (b"steps: {a: {worker: w, args: --date {date}}}\n", b"copy: [/a/{date}.nc]\n"):
        with pytest.raises(BadYaml, match=r"a text that holds braces has to be in quotes"):
            read_document(text)
    with pytest.raises(BadYaml) as raised:
        read_document(b"steps: {a: b, c: d\n")
    assert "quotes" not in raised.value.message
