"""What is marked while the checklist file is being written is written next."""

from nowcast_cli.store.checklist_file import ChecklistFile, read_header


def test_a_mark_between_the_begin_and_the_end_of_a_write_counts(tmp_path):
    now = [0.0]
    file = ChecklistFile(tmp_path / "checklist.yaml", lambda: now[0])
    file.mark()
    file.begin()
    file.mark()
    file.finish("{}\n", 1, "2026-11-22T00:00:00.000Z")
    assert file.due_in() is not None
    file.write("{}\n", 2, "2026-11-22T00:00:00.000Z")
    assert file.due_in() is None
    assert read_header(tmp_path / "checklist.yaml") == 2
