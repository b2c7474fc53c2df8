"""Lines out of chunks, and out of files that are rotated and cut while they are read."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nowcast_cli.logs.followed import QUIET, FollowedFile, Saved
from nowcast_cli.logs.lines import LONGEST_LINE, last_line, shown, split

TEXTS = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=20)


def assembled(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    given_out: list[bytes] = []
    held = b""
    for chunk in chunks:
        lines, held = split(held, chunk)
        given_out += lines
    return given_out, held


@given(TEXTS, st.binary(max_size=9).filter(lambda rest: b"\n" not in rest), st.data())
def test_however_a_text_is_cut_into_chunks_its_lines_come_out_once_and_in_order(
    lines: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    text = b"".join(line + b"\n" for line in lines) + rest
    chunks = []
    while text:
        size = data.draw(st.integers(1, len(text)))
        chunks.append(text[:size])
        text = text[size:]
    assert assembled(chunks) == (lines, rest)


def test_half_a_line_is_given_when_its_writer_has_ended() -> None:
    assert last_line(b"half") == [b"half"]
    assert last_line(b"") == []


def test_a_line_without_an_end_comes_in_pieces_and_does_not_fill_the_memory() -> None:
    pieces, held = assembled([b"x" * 50_000] * 10)
    assert b"".join(pieces) + held == b"x" * 500_000
    assert len(held) <= LONGEST_LINE


def test_a_line_is_shown_as_a_terminal_leaves_it() -> None:
    assert shown(b"10 %\r50 %\r100 %\r") == "100 %"
    assert shown("Québec \xff".encode("latin-1")) == "Qu\ufffdbec \ufffd"


ACTIONS = st.lists(
    st.sampled_from(["line", "half", "look", "look", "rotate", "restart", "quiet"]),
    max_size=40,
)


class Writer:
    """A program that writes numbered lines, and forces that rotate its file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.log"
        self.old = folder / "model.log.1"
        self.path.touch()
        self.number = 0
        self.written: list[bytes] = []
        self.begun = b""

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def half(self) -> None:
        if not self.begun:
            self.number += 1
            self.begun = b"line %d, " % self.number
            self.append(self.begun)

    def line(self) -> None:
        self.half()
        self.append(b"whole\n")
        self.written.append(self.begun + b"whole")
        self.begun = b""

    def rename(self) -> None:
        if self.begun:
            self.line()  # who reopens a file ends its line first
        self._make_room()
        self.path.rename(self.old)
        self.path.touch()

    def _make_room(self) -> None:
        for number in range(40, 0, -1):
            older = self.path.with_name(f"model.log.{number}")
            if older.exists():
                older.rename(self.path.with_name(f"model.log.{number + 1}"))

    def copy_and_cut(self) -> None:
        self._make_room()
        shutil.copyfile(self.path, self.old)
        with self.path.open("r+b") as file:
            file.truncate(0)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.booleans())
@example(["line", "look", "line", "rotate", "line"], False)
@example(["half", "look", "rotate", "line"], False)
@example(["line", "look", "rotate", "restart", "line"], False)  # as long as it was before
@example(["line", "look", "rotate", "line", "rotate", "line", "restart"], True)
def test_lines_of_a_file_come_once_and_in_order_over_rotations_cuts_and_restarts(
    actions: list[str], by_renaming: bool
) -> None:
    with TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        follower, now = FollowedFile(writer.path), 0.0
        got = looked(follower, now)
        for action in [*actions, "look"]:
            now += 1
            if action == "line":
                writer.line()
            elif action == "half":
                writer.half()
            elif action == "rotate" and by_renaming:
                writer.rename()
            elif action == "rotate" and has_read(follower):  # a copy is known by what was read
                writer.copy_and_cut()
            elif action == "restart":
                saved = follower.saved.to_json()
                follower.close()
                follower = FollowedFile(writer.path, Saved.from_json(saved))
            else:
                now += 2 * QUIET * (action == "quiet")
                got += looked(follower, now)
        assert got == writer.written
        assert not follower.missed
        follower.close()


def looked(follower: FollowedFile, now: float) -> list[bytes]:
    lines = follower.read(now)
    while follower.behind:
        lines += follower.read(now)
    return lines


def has_read(follower: FollowedFile) -> bool:
    current = follower.saved.current
    return current is not None and current.position > 0
