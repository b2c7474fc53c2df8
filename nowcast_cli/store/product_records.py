"""What the store keeps of products: the index of operational files. Times are ISO 8601 UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOCAL = "local"  # the storage of files that are in folders here


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """A product that has been declared, or of which something was registered.

    ``declared`` is what the configuration said of it last. What was due by ``checked`` has been
    judged; ``late`` are the reference times that are late now.
    """

    id: str
    name: str
    declared: Mapping[str, Any]
    created: str
    modified: str
    checked: str
    late: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """What was made of a product for one reference time; ``version`` counts from 1.

    ``files`` and ``size`` (bytes) are of what is there. ``expects`` is what a complete one has, as
    it was declared when this one began, ``missing`` what of it is not there (see
    ``products.completeness``), both None where any file will do. ``complete``, ``pinned`` and
    ``deleted`` say since when; ``late`` since when it was waited for. ``job`` made it.
    """

    id: str
    product: str
    reference: str
    version: int
    created: str
    modified: str
    job: str | None = None
    files: int = 0
    size: int = 0
    expects: Mapping[str, Any] | None = None
    missing: Mapping[str, Any] | None = None
    complete: str | None = None
    late: str | None = None
    pinned: str | None = None
    deleted: str | None = None


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What a file of an instance holds, whatever copies there are of it.

    ``name`` tells apart what has the same variables, times and member: the file's name.
    """

    id: str
    instance: str
    name: str
    variables: tuple[str, ...]
    time_begin: str | None
    time_end: str | None
    member: str | None
    created: str
    modified: str


@dataclass(frozen=True, slots=True)
class DataInstanceRecord:
    """A file, or a copy of one; ``size`` in bytes, ``sha256`` in hexadecimal digits.

    What is ``deleted`` is known no more; ``removed`` says since when it is not on the disk.
    ``inputs`` tell what it was made of: ``{step?: token, files: [urls]}``.
    """

    id: str
    data: str
    url: str
    storage: str
    format: str
    size: int
    sha256: str
    partial: bool
    created: str
    modified: str
    expires: str | None = None
    deleted: str | None = None
    removed: str | None = None
    inputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """A place that files lie in; what their URLs begin with is ``base``."""

    id: str
    name: str
    base: str
    kind: str
    created: str
    modified: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file together with what it holds."""

    data: DataRecord
    file: DataInstanceRecord


@dataclass(frozen=True, slots=True)
class ProductPut:
    """A product is new, or has changed."""

    product: ProductRecord


@dataclass(frozen=True, slots=True)
class InstancePut:
    """An instance of a product is new, or has changed.

    ``completed``: this change made it complete. ``begun``: it did not exist before.
    """

    instance: InstanceRecord
    completed: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class DataPut:
    """What a file holds is new, or has changed."""

    data: DataRecord


@dataclass(frozen=True, slots=True)
class DataInstancePut:
    """A file is new, or has changed."""

    file: DataInstanceRecord


@dataclass(frozen=True, slots=True)
class StoragePut:
    """A storage is new, or has changed."""

    storage: StorageRecord


ProductChange = ProductPut | InstancePut | DataPut | DataInstancePut | StoragePut
