"""The section ``products``: what it says, and what is wrong in it with its place."""

from zoneinfo import ZoneInfo

import pytest
import yaml

from nowcast_cli.config.check import check
from nowcast_cli.config.products import Expected, Retention, product_findings, products_of

WHOLE = """
products:
  hrdps:
    title: HRDPS surface fields
    licence: CC-BY-4.0
    parents: [gdps]
    files: {variables: [u, v], hours: 0..6/3, members: [1, 2]}
    expected: {after: 4h, cycles: ["00", 12]}
    retention: {keep: 10 cycles, age: 30d, space: 50 GB}
    box: [-126.5, 48, -122, 51]
    folder: "/results/hrdps/{reference:%Y%m%d%H}"
  gdps: {files: 48, expected: {by: "05:30 UTC"}, retention: {keep: 3}}
  log:
"""


def test_what_a_product_says():
    products = products_of(yaml.safe_load(WHOLE))

    hrdps, gdps, log = products.values()
    assert (hrdps.title, hrdps.parents) == ("HRDPS surface fields", ("gdps",))
    assert hrdps.files == {"variables": ["u", "v"], "hours": [0, 3, 6], "members": [1, 2]}
    assert hrdps.expected == Expected(((0, 0), (12, 0)), after=14400)
    assert hrdps.retention == Retention(10, 30 * 86400, 50 * 10**9)
    assert hrdps.box == (-126.5, 48, -122, 51)
    assert gdps.files == {"count": 48}
    assert gdps.expected == Expected(((0, 0),), (5, 30, 0), ZoneInfo("UTC"))
    assert gdps.retention == Retention(3)
    assert (log.title, log.files, log.expected) == ("log", None, None)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Hrdps: {}", "is no name of a product"),
        ("hrdps: 4", "must hold keys with values"),
        ("hrdps: {titel: x}", "did you mean"),
        ("hrdps: {files: 0}", "must be a whole number from 1"),
        ("hrdps: {files: {}}", "says nothing of what there is to be"),
        ("hrdps: {files: {hours: 24..0}}", "must be a range of whole numbers"),
        ("hrdps: {files: {hours: 0..4/0}}", "must be a range of whole numbers"),
        ("hrdps: {files: {hour: 0..4}}", "did you mean"),
        ("hrdps: {expected: {}}", "names a time of day with `by`"),
        ("hrdps: {expected: {by: '05:30', after: 4h}}", "one of them"),
        ("hrdps: {expected: {by: '25:00'}}", "must be a time of day"),
        ("hrdps: {expected: {by: '05:30', cycles: [0, 12]}}", "`by` is one time of each day"),
        ("hrdps: {expected: {after: 4h, cycles: [24]}}", "must be hours"),
        ("hrdps: {expected: {after: soon}}", "must be a length of time"),
        ("hrdps: {retention: {keep: none}}", "must be such as '10 cycles'"),
        ("hrdps: {retention: {space: much}}", "must be a size"),
        ("hrdps: {box: [1, 2, 3]}", "must be west, south, east and north"),
        ("hrdps: {box: [1, 60, 3, 50]}", "must be west, south, east and north"),
    ],
)
def test_what_is_wrong_is_found_and_the_product_left_out(said, words):
    config = yaml.safe_load(f"products: {{{said}}}")

    (finding,) = product_findings(config)
    assert words in finding.message
    assert products_of(config) == {}


def test_mistakes_have_their_line_and_column(tmp_path):
    file = tmp_path / "nowcast.yaml"
    file.write_text("products:\n  hrdps:\n    files: {hour: 0..4}\n")

    found = [problem for problem in check(file) if "products" in problem.path]

    assert any(each.line == 3 and "did you mean 'hours'" in each.message for each in found)
