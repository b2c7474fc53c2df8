"""``nowcast product fsck``: the index against the disks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast_cli.cli.asking import ask_manager
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json
from nowcast_cli.cli.output import Painted
from nowcast_cli.cli.product_changing import AT_ONCE, Names, in_batches, remove

if TYPE_CHECKING:
    from nowcast_cli.products.removing import Finding


def fsck(
    ctx: typer.Context,
    names: Names = None,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Read all files, and compare their checksums.")
    ] = False,
    mend: Annotated[
        bool,
        typer.Option("--mend", help="Forget what is not as it was; remove what was deleted."),
    ] = False,
    as_json: Json = False,
) -> int | None:
    """Compare the index with the files on the disks.

    The exit code is 1 where something is wrong and is not mended. What is mended leaves the
    index, as an event; a file that is there with another content stays on the disk, and can
    be registered again.

    \b
    Examples:
      nowcast product fsck
      nowcast product fsck hrdps --checksums --mend
    """
    out, system = output_of(ctx), system_of(ctx)
    found = list(_findings(system, names, checksums))
    mended, failed = _mend(system, found) if mend else (0, {})
    if as_json:
        said = [
            {"file": each.file, "url": each.url, "trouble": each.trouble, "words": each.words}
            for each in found
        ]
        out.json({"found": said, "mended": mended, "failed": failed})
    else:
        for each in found:
            out.line(Painted(each.trouble, "red"), f"  {each.url}: {each.words}")
        for url, why in failed.items():
            out.note(Painted("✗ ", "red"), f"{url} is on the disk still: {why}")
        if not found:
            out.note("all files are as the index has them")
        elif mend:
            out.note(f"mended: {mended} of {len(found)}")
        else:
            out.note(f"{len(found)} found: nowcast product fsck --mend")
    return 1 if len(found) > mended else None


def _findings(system: System, names: Sequence[str] | None, checksums: bool) -> Iterator[Finding]:
    from nowcast_cli.products.removing import left_over, trouble_with
    from nowcast_cli.store.reader import Reader

    with Reader(system.paths.database) as reader:
        for product in reader.products.products():
            if names and product.name not in names:
                continue
            for instance in reader.products.history(product.name):
                for each in reader.products.files(instance.id):
                    found = trouble_with(each.file, checksums)
                    now = None if found is None else reader.products.file(each.file.id)
                    if found is not None and now is not None and now.file == each.file:
                        yield found
        if names:
            return
        for gone in reader.products.leftovers(limit=-1):
            found = left_over(gone, lambda url: reader.products.file_at(url) is not None)
            if found is not None:
                yield found


def _mend(system: System, found: Sequence[Finding]) -> tuple[int, dict[str, str]]:
    """Mend what can be; gives how many were, and which files could not be removed."""
    left = [(each.file, each.url, each.size) for each in found if each.trouble == "left over"]
    count, failed = remove(system, left)
    wrong = [each.file for each in found if each.trouble not in ("left over", "unreadable")]
    for some in in_batches(wrong, AT_ONCE):
        ask_manager(system, "product files removed", {"files": some})
    return count + len(wrong), failed
