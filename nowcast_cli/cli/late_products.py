"""Products that are not complete in time, for the status of a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nowcast_cli.store.reader import Reader


@dataclass(frozen=True, slots=True)
class LateProduct:
    """An instance that was to be complete by now; ``what`` says so."""

    product: str
    reference: str
    what: str


def late_products(reader: Reader, config: Mapping[str, Any]) -> tuple[LateProduct, ...]:
    """Give what is late of the products that are expected, the oldest first.

    What is late is found by the manager: with the system down it is what was late then.
    """
    if not config.get("products"):
        return ()
    from nowcast_cli.cli.product_view import reference_words
    from nowcast_cli.config.products import products_of
    from nowcast_cli.products.completeness import missing_words

    found = []
    for settings in products_of(config).values():
        record = None if settings.expected is None else reader.products.product(settings.name)
        for reference in () if record is None else record.late:
            instance = reader.products.version(settings.name, reference)
            said = "there is none"
            if instance is not None and instance.deleted is None:
                lacks = missing_words(instance.expects, instance.missing, instance.files)
                said = f"it lacks {lacks}"
            what = f"product {settings.name} of {reference_words(reference)} is late: {said}"
            found.append(LateProduct(settings.name, reference, what))
    return tuple(found)
