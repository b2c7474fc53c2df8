"""What is told of products: each event says all that it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nowcast_cli.messages.event import topic_of
from nowcast_cli.products.registering import Taken
from nowcast_cli.products.said import about, file_said, instance_said
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
            {**about(instances[each.instance]), "file": file_said(each.file)},
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
    return EventPut(topic, {**about(instance), "file": file_said(file)})
