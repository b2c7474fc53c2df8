"""What is told of products: each event says all that it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nowcast_cli.messages.event import topic_of
from nowcast_cli.products.registering import Taken
from nowcast_cli.store.event_records import EventPut
from nowcast_cli.store.product_records import FileRecord, InstanceRecord


def of_registration(taken: Taken, product: str, correlation: str | None) -> list[EventPut]:
    """Give the events of what was registered: files, and what is complete by them."""
    instances = {instance.id: instance for instance, _ in taken.instances}
    events = [
        EventPut(
            topic_of("products", product, "deleted"),
            {"product": product, "file": file_said(found), "replaced": True},
            correlation,
        )
        for found in taken.replaced
    ]
    registered = topic_of("products", product, "registered")
    events += [
        EventPut(
            registered,
            {**_about(instances[each.instance]), "file": file_said(each.file)},
            correlation,
        )
        for each in taken.files
        if each.is_new
    ]
    events += [
        EventPut(topic_of("products", product, "complete"), instance_said(instance), correlation)
        for instance, completed in taken.instances
        if completed
    ]
    return events


def of_late(product: str, reference: str, due: str, instance: InstanceRecord | None) -> EventPut:
    """Give the event of an instance that is not complete in time, or not there at all."""
    payload: dict[str, Any] = {"product": product, "reference_time": reference, "due": due}
    if instance is not None and instance.deleted is None:
        payload = {**instance_said(instance), "due": due}
    return EventPut(topic_of("products", product, "late"), payload)


def of_gone(
    what: str, instance: InstanceRecord, files: Iterable[FileRecord], why: str | None = None
) -> EventPut:
    """Give the event of an instance that is ``expired`` or ``deleted``, with all of its files."""
    payload = {**instance_said(instance), "gone": [file_said(file) for file in files]}
    if why is not None:
        payload["why"] = why
    return EventPut(topic_of("products", instance.product, what), payload)


def of_file_gone(instance: InstanceRecord, file: FileRecord) -> EventPut:
    """Give the event of one file that is deleted, of an instance that stays."""
    topic = topic_of("products", instance.product, "deleted")
    return EventPut(topic, {**_about(instance), "file": file_said(file)})


def instance_said(instance: InstanceRecord) -> dict[str, Any]:
    """Give an instance as events and answers have it."""
    said = {**_about(instance), "files": instance.files, "size": instance.size}
    for key, value in (
        ("complete", instance.complete),
        ("late", instance.late),
        ("job", instance.job),
    ):
        if value is not None:
            said[key] = value
    return said


def file_said(found: FileRecord) -> dict[str, Any]:
    """Give a file as events and answers have it."""
    data, file = found.data, found.file
    said = {
        "id": file.id, "url": file.url, "name": data.name, "format": file.format,
        "size": file.size, "sha256": file.sha256, "variables": list(data.variables),
        "begin": data.time_begin, "end": data.time_end, "member": data.member,
        "partial": file.partial, "expires": file.expires, "inputs": file.inputs,
    }  # fmt: skip
    return {key: value for key, value in said.items() if value not in (None, [], False)}


def _about(instance: InstanceRecord) -> dict[str, Any]:
    return {
        "product": instance.product,
        "instance": instance.id,
        "reference_time": instance.reference,
        "version": instance.version,
    }
