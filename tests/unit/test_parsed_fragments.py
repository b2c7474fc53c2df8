"""The checklist as values, with some, all or none of its fragments parsed before."""

import sqlite3

import yaml
from hypothesis import given
from hypothesis import strategies as st

from nowcast_cli.store import parsed_fragments
from nowcast_cli.store.checklist_text import ChecklistText
from nowcast_cli.store.database import Store
from nowcast_cli.store.parsed_fragments import FollowedFragments, ParsedFragments
from nowcast_cli.store.records import ChecklistPut

scalars = st.none() | st.booleans() | st.integers() | st.dates() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=4)
)
keys = st.text(min_size=1, max_size=6) | st.integers()
LARGE = {f"key {number}": {"file": "x" * 50, "n": number} for number in range(100)}


def text_of(checklist):
    text = ChecklistText()
    for key, value in checklist.items():
        text.put(key, value, None)
    return text


@given(st.dictionaries(keys, values, max_size=5), st.booleans(), st.data())
def test_it_is_what_the_document_says_whatever_is_known(checklist, with_large, data):
    if with_large:
        checklist = {"large": LARGE, **checklist}
    text = text_of(checklist)
    fragments = list(text.fragments())
    known = data.draw(st.lists(st.sampled_from(fragments)) if fragments else st.just([]))
    parsed = ParsedFragments()
    list(parsed.follow(known))

    found = parsed.checklist_of(text)
    assert found == checklist
    document = yaml.load(text.document(), Loader=yaml.CSafeLoader)
    assert list(found) == list(document)
    assert list(found.get("large", ())) == list(document.get("large", ()))


def work_to_the_end(followed):
    for _ in range(1000):
        followed.work(0.001)


def test_what_has_changed_since_is_parsed_and_nothing_else(tmp_path, monkeypatch):
    store = Store(tmp_path / "nowcast.db")
    store.commit([ChecklistPut("large", LARGE, None), ChecklistPut("small", 1, None)])
    store.save_checklist(1)
    followed = FollowedFragments(tmp_path / "nowcast.db")
    work_to_the_end(followed)
    changed = LARGE | {"key 7": "other"}
    store.commit([ChecklistPut("large", changed, ("key 7",))])
    store.save_checklist(2)

    parsed = []
    load = yaml.load
    monkeypatch.setattr(
        parsed_fragments.yaml,
        "load",
        lambda text, Loader: parsed.append(text) or load(text, Loader),  # noqa: N803
    )
    assert followed.parsed.checklist_of(store.text) == {"large": changed, "small": 1}
    assert parsed == ["large:\n  key 7: other\n"]
    work_to_the_end(followed)
    assert len(parsed) == 2
    assert followed.parsed.checklist_of(store.text) == {"large": changed, "small": 1}
    assert len(parsed) == 2
    followed.close()
    store.close()


def test_a_store_that_is_not_there_or_is_damaged_is_left_alone(tmp_path):
    followed = FollowedFragments(tmp_path / "nowcast.db")
    followed.work(0.1)
    assert not (tmp_path / "nowcast.db").exists()
    (tmp_path / "nowcast.db").write_bytes(b"SQLite format 3\0" + b"x" * 8000)
    followed.work(0.1)
    (tmp_path / "nowcast.db").unlink()
    Store(tmp_path / "nowcast.db").close()
    with sqlite3.connect(tmp_path / "nowcast.db") as connection:
        connection.execute("INSERT INTO checklist VALUES ('a', '', '', 'a: [')")
    work_to_the_end(followed)
    followed.close()
