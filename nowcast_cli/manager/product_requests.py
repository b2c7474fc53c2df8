"""Requests about products that are in the index: pin, let expire, delete, note what has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from nowcast_cli.manager import product_events
from nowcast_cli.manager.requests import RequestError
from nowcast_cli.manager.state import Reply
from nowcast_cli.products.drafting import Draft
from nowcast_cli.products.registering import recounted
from nowcast_cli.products.retention import kept_because
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.product_records import FileRecord, InstanceRecord

_HINT = "nowcast product --help"
_MOST = 10_000  # ids, in one request


class ProductRequests:
    """Changes of what is there. Files on the disk are removed by who asks, after the commit."""

    def __init__(self, draft: Draft, now: Callable[[], str]) -> None:
        self._draft = draft
        self._now = now

    def pin(self, payload: Any) -> tuple[Reply, list[EventPut]]:
        """Keep an instance whatever its age: ``{instance, pinned}``."""
        instance = self._instance(_text(payload, "instance"))
        wanted = payload.get("pinned", True) is True
        if wanted != (instance.pinned is not None):
            since = self._now() if wanted else None
            self._draft.put_instance(replace(instance, pinned=since, modified=self._now()))
        return Reply("ack", {"instance": instance.id, "pinned": wanted}), []

    def expire(self, payload: Any) -> tuple[Reply, list[EventPut]]:
        """Let instances expire: ``{instances: {id: why}}``; what must stay does, with a reason."""
        wanted = payload.get("instances") if isinstance(payload, dict) else None
        if not isinstance(wanted, dict) or len(wanted) > _MOST:
            raise RequestError("what is to expire is a mapping of ids and reasons", _HINT)
        chosen = [
            each
            for each in map(self._draft.instance, map(str, wanted))
            if each is not None and each.deleted is None
        ]
        gone: list[FileRecord] = []
        events: list[EventPut] = []
        kept: dict[str, str] = {}
        for instance in sorted(chosen, key=lambda each: (each.reference, each.version)):
            why_kept = kept_because(instance, self._others(instance, len(chosen)))
            if why_kept is not None:
                kept[instance.id] = why_kept
                continue
            files = self._delete(instance)
            gone += files
            why = str(wanted[instance.id])
            events.append(product_events.of_gone("expired", instance, files, why))
        return Reply("ack", {"files": _as_told(gone), "kept": kept}), events

    def expire_copies(self, payload: Any) -> tuple[Reply, list[EventPut]]:
        """Let files expire of which there is a copy elsewhere: ``{files: [ids]}``."""
        events = []
        for found in map(self._draft.file, _ids(payload)):
            if found is None or found.file.deleted or not self._has_copy(found):
                continue
            self._draft.put_file(replace(found.file, deleted=self._now(), modified=self._now()))
            events.append(self._less(found))
        return Reply("ack"), events

    def delete(self, payload: Any) -> tuple[Reply, list[EventPut]]:
        """Delete by hand: ``{instance, force?}``, or ``{file}``, one of its files."""
        if isinstance(payload, dict) and "file" in payload:
            return self._delete_file(_text(payload, "file"), payload.get("force") is True)
        instance = self._instance(_text(payload, "instance"))
        kept = kept_because(instance, self._others(instance, 1))
        if kept is not None and payload.get("force") is not True:
            what = f"{instance.product} of {instance.reference} is not deleted: {kept}"
            raise RequestError(what, "--force deletes it all the same")
        files = self._delete(instance)
        event = product_events.of_gone("deleted", instance, files)
        return Reply("ack", {"files": _as_told(files)}), [event]

    def removed(self, payload: Any) -> tuple[Reply, list[EventPut]]:
        """Take in that files are not on the disk any more: ``{files: [ids]}``.

        One that was thought to be there is deleted by it.
        """
        events: list[EventPut] = []
        for found in map(self._draft.file, _ids(payload)):
            if found is None or found.file.removed is not None:
                continue
            now, was_there = self._now(), found.file.deleted is None
            self._draft.put_file(
                replace(found.file, deleted=found.file.deleted or now, removed=now, modified=now)
            )
            if was_there:
                events.append(self._less(found))
        return Reply("ack"), events

    def _delete_file(self, file_id: str, force: bool) -> tuple[Reply, list[EventPut]]:
        found = self._draft.file(file_id)
        if found is None or found.file.deleted is not None:
            raise RequestError(
                f"there is no file {file_id!r} in the index", "nowcast product files"
            )
        instance = self._instance(found.data.instance)
        is_copy = len(self._draft.copies(found.data)) > 1
        kept = None if is_copy else kept_because(instance, self._others(instance, 1))
        if kept is not None and not force:
            what = f"{found.file.url} is not deleted: of {instance.product}, {kept}"
            raise RequestError(what, "--force deletes it all the same")
        now = self._now()
        self._draft.put_file(replace(found.file, deleted=now, modified=now))
        return Reply("ack", {"files": _as_told([found])}), [self._less(found)]

    def _has_copy(self, found: FileRecord) -> bool:
        others = self._draft.copies(found.data)
        return any(each.id != found.file.id and not each.partial for each in others)

    def _less(self, found: FileRecord) -> EventPut:
        """Count an instance anew that has lost a file."""
        instance = self._draft.instance(found.data.instance)
        assert instance is not None, "a file is written with its instance"
        left = recounted(instance, self._draft.files(instance.id), self._now())
        self._draft.put_instance(left)
        return product_events.of_file_gone(left, found)

    def _delete(self, instance: InstanceRecord) -> list[FileRecord]:
        now = self._now()
        files = self._draft.files(instance.id)
        for found in files:
            self._draft.put_file(replace(found.file, deleted=now, modified=now))
        self._draft.put_instance(replace(instance, deleted=now, modified=now))
        return files

    def _instance(self, instance_id: str) -> InstanceRecord:
        found = self._draft.instance(instance_id)
        if found is None or found.deleted is not None:
            raise RequestError(
                f"there is no instance {instance_id!r} of a product", "nowcast product history"
            )
        return found

    def _others(self, instance: InstanceRecord, chosen: int) -> list[InstanceRecord]:
        """Give enough of the others to know whether one must stay: the latest of each kind.

        As many more are read as have gone in this turn, which the index has still.
        """
        limit = chosen + self._draft.drafted + 1
        index = self._draft.index
        kept = index.history(instance.product, limit)
        kept += index.history(instance.product, limit, complete=True)
        now = {each.id: self._draft.instance(each.id) for each in kept if each.id != instance.id}
        return [each for each in now.values() if each is not None and each.deleted is None]


def _as_told(files: Iterable[FileRecord]) -> list[dict[str, Any]]:
    return [{"id": each.file.id, "url": each.file.url, "size": each.file.size} for each in files]


def _ids(payload: Any) -> list[str]:
    ids = payload.get("files") if isinstance(payload, dict) else None
    if not isinstance(ids, list) or len(ids) > _MOST:
        raise RequestError("the files of the request are a list of ids", _HINT)
    return [str(each) for each in ids]


def _text(payload: Any, key: str) -> str:
    value = payload.get(key) if isinstance(payload, dict) else None
    if not isinstance(value, str) or not value:
        raise RequestError(f"the request has no {key!r}", _HINT)
    return value
