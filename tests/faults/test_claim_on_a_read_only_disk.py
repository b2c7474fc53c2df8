"""A worker that has made its claim goes on, though its folder has just become read-only."""

import errno
import os
from pathlib import Path

from nowcast_cli import runner
from nowcast_cli.process_identity import identity_of


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_claim_counts_though_its_temporary_file_cannot_be_removed(tmp_path, monkeypatch):
    folder = tmp_path / "job"
    folder.mkdir()

    def refuse(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(os, "unlink", refuse)
    process, parent = identity_of(os.getpid()), identity_of(os.getppid())
    open_before = descriptors()
    assert runner._claim(str(folder), process, parent)
    assert (folder / "pid").exists()
    assert descriptors() == open_before
