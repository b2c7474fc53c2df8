"""Instances and files as events, answers and ``--json`` have them. Pure."""

from __future__ import annotations

from typing import Any

from nowcast_cli.store.product_records import FileRecord, InstanceRecord


def about(instance: InstanceRecord) -> dict[str, Any]:
    """Say which instance it is."""
    return {
        "product": instance.product,
        "instance": instance.id,
        "reference_time": instance.reference,
        "version": instance.version,
    }


def instance_said(instance: InstanceRecord) -> dict[str, Any]:
    """Give an instance; what is not so is left out."""
    said = {**about(instance), "files": instance.files, "size": instance.size}
    for key in ("complete", "late", "job", "pinned", "deleted"):
        if getattr(instance, key) is not None:
            said[key] = getattr(instance, key)
    return said


def file_said(found: FileRecord) -> dict[str, Any]:
    """Give a file; what is not known of it is left out."""
    data, file = found.data, found.file
    said = {
        "id": file.id, "url": file.url, "name": data.name, "format": file.format,
        "size": file.size, "sha256": file.sha256, "variables": list(data.variables),
        "begin": data.time_begin, "end": data.time_end, "member": data.member,
        "partial": file.partial, "expires": file.expires, "inputs": file.inputs,
    }  # fmt: skip
    return {key: value for key, value in said.items() if value not in (None, [], False)}
