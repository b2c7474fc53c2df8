"""The checklist file as anybody could have seen it: looked at all the time, judged at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import yaml

from lab.system import LabSystem
from nowcast_cli.store.checklist_file import _HEADER

_INTERVAL = 0.06  # seconds
_KEPT = 60  # samples that are compared with the journal in the end


class Samples:
    """Reads the file again and again; each content that is new must parse as it stands."""

    def __init__(self, system: LabSystem) -> None:
        self.problems: list[str] = []
        self.count = 0
        self._system = system
        self._kept: dict[int, bytes] = {}
        self._newest = 0
        self._last = b""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Samples:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def kept(self) -> Iterator[tuple[int, dict[object, object]]]:
        """Give samples with the number of the message up to which they tell, the oldest first."""
        for journal in sorted(self._kept):
            yield journal, yaml.load(self._kept[journal], Loader=yaml.CSafeLoader)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._look()
            except Exception as error:
                self.problems.append(f"looking at the checklist file: {error!r}")
            time.sleep(_INTERVAL)

    def _look(self) -> None:
        try:
            data = self._system.paths.checklist_file.read_bytes()
        except FileNotFoundError:
            if self._newest:
                self.problems.append("the checklist file has gone")
            return
        self.count += 1
        if data == self._last or data in self._system.torn_checklists:
            return
        self._last = data
        header = _HEADER.match(data)
        if header is None:
            self.problems.append(f"the checklist file has no header: {data[:80]!r}")
            return
        try:
            whole = yaml.load(data, Loader=yaml.CSafeLoader)
        except yaml.YAMLError as error:
            self.problems.append(f"the checklist file does not parse: {error}")
            return
        if not isinstance(whole, dict):
            self.problems.append(f"the checklist file holds a {type(whole).__name__}")
        journal = int(header[1])
        if journal < self._newest:
            self.problems.append(f"the checklist file went back from {self._newest} to {journal}")
        self._newest = max(journal, self._newest)
        self._kept[journal] = data
        if len(self._kept) > _KEPT:
            del self._kept[sorted(self._kept)[len(self._kept) // 2]]
