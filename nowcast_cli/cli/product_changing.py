"""What is kept of products: pin, unpin, expire, delete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.asking import ask_manager
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import DryRun, Json
from nowcast_cli.cli.output import Output, Painted, Text
from nowcast_cli.cli.product_reading import NameOrId, Reference
from nowcast_cli.errors import NotFound

if TYPE_CHECKING:
    from nowcast_cli.products.retention import Expiring
    from nowcast_cli.store.product_records import FileRecord, InstanceRecord

Names: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PRODUCT]…", help="These alone.", autocompletion=complete.products),
]
AT_ONCE = 1000  # instances or files, in one request
_Item = TypeVar("_Item")


def pin(
    ctx: typer.Context, name: NameOrId, reference: Reference = None, as_json: Json = False
) -> None:
    """Keep an instance from expiring and deletion.

    \b
    Examples:
      nowcast product pin hrdps -r 2026112200
      nowcast product pin 8f0c21ab
    """
    _pin(ctx, name, reference, as_json, True)


def unpin(
    ctx: typer.Context, name: NameOrId, reference: Reference = None, as_json: Json = False
) -> None:
    """Let an instance expire again that was pinned.

    \b
    Examples:
      nowcast product unpin hrdps -r 2026112200
    """
    _pin(ctx, name, reference, as_json, False)


def expire(
    ctx: typer.Context, names: Names = None, dry_run: DryRun = False, as_json: Json = False
) -> int | None:
    """Delete what is beyond its product's retention.

    \b
    Examples:
      nowcast product expire --dry-run
      nowcast product expire hrdps

    The retention says nowcast.yaml: so many reference times, an age, a space. Kept whatever
    it says: the latest complete instance, what is pinned, and the last one that there is.
    A file that was registered with a time until which it is to be there goes after that, if
    there is a copy of it.
    The worker nowcast_cli.workers.housekeeping does it, too.
    """
    from nowcast_cli.products.said import about

    out, system = output_of(ctx), system_of(ctx)
    found = _expiring(system, names)
    going = [each for each in found if each.kept is None]
    kept = {each.instance.id: each.kept for each in found if each.kept is not None}
    failed: dict[str, str] = {}
    files = 0
    copies = _expired_copies(system, names)
    if not dry_run:
        for some in in_batches(copies, AT_ONCE):
            payload = {"files": [each.file.id for each in some]}
            ask_manager(system, "expire copies", payload)
        files, kept_now, failed = _expire(system, going)
        kept |= kept_now
    gone = [each for each in going if each.instance.id not in kept]
    if as_json:
        said = [{**about(each.instance), "size": each.instance.size, "why": each.why,
                 "kept": kept.get(each.instance.id)} for each in found]  # fmt: skip
        out.json(
            {
                "dry run": dry_run,
                "instances": said,
                "copies": [each.file.url for each in copies],
                "files": files,
                "failed": failed,
            }
        )
    else:
        _tell(out, found, kept)
        for each in copies:
            out.line(f"{each.file.url}: was to be there until {each.file.expires}; a copy stays")
        size = sum(each.instance.size for each in gone)
        _sum_up(out, len(gone), size, len(copies), dry_run)
        _complain(out, failed)
    return 1 if failed else None


def delete(
    ctx: typer.Context,
    name: NameOrId,
    reference: Reference = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH|URL", help="This file of it alone.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also what is pinned, or the last one.")
    ] = False,
    as_json: Json = False,
) -> int | None:
    """Delete an instance with its files, or one file.

    \b
    Examples:
      nowcast product delete 8f0c21ab
      nowcast product delete hrdps -r 2026112200 --file /results/hrdps/u.nc
    """
    from nowcast_cli.cli.product_view import reference_words

    out, system = output_of(ctx), system_of(ctx)
    instance = _instance(system, name, reference)
    payload: dict[str, Any] = {"instance": instance.id, "force": force}
    if file is not None:
        payload = {"file": _file_of(system, instance, file), "force": force}
    told = ask_manager(system, "delete product", payload)["files"]
    files, failed = remove(system, [(each["id"], each["url"], each["size"]) for each in told])
    if as_json:
        out.json({"instance": instance.id, "files": files, "failed": failed})
    else:
        of = f"{instance.product} of {reference_words(instance.reference)}"
        out.line(f"{of}: {files} file{'' if files == 1 else 's'} deleted")
        _complain(out, failed)
    return 1 if failed else None


def remove(system: System, files: Sequence[tuple[str, str, int]]) -> tuple[int, dict[str, str]]:
    """Remove files that are deleted from the disk, and have the index know.

    Gives how many are gone, and why others are not, by their URLs.
    """
    from nowcast_cli.products.removing import remove_files
    from nowcast_cli.store.reader import Reader

    count = 0
    failed: dict[str, str] = {}
    with Reader(system.paths.database) as reader:
        for some in in_batches(files, AT_ONCE):
            removed, why = remove_files(some, lambda url: reader.products.file_at(url) is not None)
            failed |= why
            count += len(removed)
            if removed:
                ask_manager(system, "product files removed", {"files": removed})
    return count, failed


def in_batches(items: Sequence[_Item], most: int) -> Iterator[Sequence[_Item]]:
    """Give items in order, so many at once."""
    for begin in range(0, len(items), most):
        yield items[begin : begin + most]


def _pin(ctx: typer.Context, name: str, reference: str | None, as_json: bool, pinned: bool) -> None:
    from nowcast_cli.cli.product_view import reference_words

    out, system = output_of(ctx), system_of(ctx)
    instance = _instance(system, name, reference)
    told = ask_manager(system, "pin product", {"instance": instance.id, "pinned": pinned})
    if as_json:
        out.json(told)
    else:
        words = "is pinned" if pinned else "is pinned no more"
        out.line(f"{instance.product} of {reference_words(instance.reference)} {words}")


def _instance(system: System, name: str, reference: str | None) -> InstanceRecord:
    from nowcast_cli.cli.product_reading import known, time_option
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        return known(reader, system, name, time_option(reference), False)


def _file_of(system: System, instance: InstanceRecord, text: str) -> str:
    """Give the id of a file of an instance that is named by its URL, path or name."""
    from nowcast_cli.cli.product_view import place_of
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        for found in reader.products.files(instance.id):
            if text in (found.file.url, place_of(found.file.url), found.data.name):
                return found.file.id
    raise NotFound(
        f"{instance.product} of {instance.reference} has no file {text!r}",
        hint=f"nowcast product files {instance.id[-8:]}",
    )


def _expiring(system: System, names: Sequence[str] | None) -> list[Expiring]:
    from datetime import UTC, datetime

    from nowcast_cli.config.hints import did_you_mean
    from nowcast_cli.config.products import products_of
    from nowcast_cli.products.retention import expiring
    from nowcast_cli.store.reader import Reader

    declared = products_of(system.config)
    for name in names or ():
        if name not in declared:
            words = f"there is no product {name!r} in nowcast.yaml{did_you_mean(name, declared)}"
            raise NotFound(words, hint="nowcast product list")
    found: list[Expiring] = []
    with Reader(system.paths.database) as reader:
        for product in declared.values():
            if product.retention is not None and (not names or product.name in names):
                instances = reader.products.history(product.name)
                found += expiring(instances, product.retention, datetime.now(UTC))
    return found


def _expire(
    system: System, going: Sequence[Expiring]
) -> tuple[int, Mapping[str, str], dict[str, str]]:
    """Let instances expire; gives how many files are gone, what was kept, and what failed."""
    from nowcast_cli.store.reader import Reader

    kept: dict[str, str] = {}
    for some in in_batches(going, AT_ONCE):
        payload = {"instances": {each.instance.id: each.why for each in some}}
        kept |= ask_manager(system, "expire products", payload)["kept"]
    # All that is deleted, also what an earlier one was killed before it had removed it.
    with Reader(system.paths.database) as reader:
        left = [(each.id, each.url, each.size) for each in reader.products.leftovers(limit=-1)]
    files, failed = remove(system, left)
    return files, kept, failed


def _expired_copies(system: System, names: Sequence[str] | None) -> list[FileRecord]:
    """Give the files that are over their time, and of which there is a copy."""
    from datetime import UTC, datetime

    from nowcast_cli.products.times import stored_time
    from nowcast_cli.store.reader import Reader

    found = []
    with Reader(system.paths.database) as reader:
        index = reader.products
        for each in index.expired(stored_time(datetime.now(UTC))):
            instance = index.instance(each.data.instance)
            if names and (instance is None or instance.product not in names):
                continue
            others = (copy for copy in index.copies(each.data.id) if copy.id != each.file.id)
            if any(not copy.partial for copy in others):
                found.append(each)
    return found


def _tell(out: Output, found: Sequence[Expiring], kept: Mapping[str, str | None]) -> None:
    from nowcast_cli.cli.product_view import age_words, reference_words
    from nowcast_cli.config.sizes import size_words

    rows: list[list[Text]] = []
    for each in found:
        instance, why_kept = each.instance, kept.get(each.instance.id)
        said: Text = Painted(f"stays: {why_kept}", "yellow") if why_kept else each.why
        rows.append(
            [
                instance.product, reference_words(instance.reference),
                age_words(instance.reference), str(instance.version), str(instance.files),
                size_words(instance.size), said,
            ]
        )  # fmt: skip
    out.table(["product", "reference time", "age", "version", "files", "size", "why"], rows)


def _sum_up(out: Output, count: int, size: int, copies: int, dry_run: bool) -> None:
    from nowcast_cli.config.sizes import size_words

    if not count and copies:
        return
    if not count:
        out.note("nothing expires")
        return
    would = "would expire" if dry_run else "expired"
    out.note(f"{count} instance{'' if count == 1 else 's'} {would}: {size_words(size)}")


def _complain(out: Output, failed: Mapping[str, str]) -> None:
    for url, why in failed.items():
        out.note(Painted("✗ ", "red"), f"{url} is on the disk still: {why}")
