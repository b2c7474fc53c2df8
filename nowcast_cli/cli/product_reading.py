"""What the index of operational files holds: list, show, latest, files, history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from nowcast_cli.cli import complete
from nowcast_cli.cli.context import System, output_of, system_of
from nowcast_cli.cli.options import Json, Limit
from nowcast_cli.cli.output import Output, Painted, Text
from nowcast_cli.errors import NotFound, UsageError

if TYPE_CHECKING:
    from nowcast_cli.config.products import ProductSettings
    from nowcast_cli.store.product_records import InstanceRecord, ProductRecord
    from nowcast_cli.store.reader import Reader

Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="Its name.", autocompletion=complete.products)
]
NameOrId: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="PRODUCT|ID",
        help="A product, or an instance by its id or its last 8 characters.",
        autocompletion=complete.products,
    ),
]
Reference: TypeAlias = Annotated[
    str | None,
    typer.Option("--reference-time", "-r", metavar="TIME", help="2026-11-22T00:00Z, 2026112200."),
]
Complete: TypeAlias = Annotated[bool, typer.Option("--complete", help="Of complete ones alone.")]
_SHOWN = 5


def list_products(ctx: typer.Context, as_json: Json = False) -> None:
    """List the products, each with its latest instance.

    \b
    Examples:
      nowcast product list
      nowcast product list --json
    """
    from nowcast_cli.cli.product_view import age_words, reference_words, state_of
    from nowcast_cli.config.products import products_of
    from nowcast_cli.config.sizes import size_words
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    declared = products_of(system.config)
    latest: dict[str, InstanceRecord | None] = {}
    records: dict[str, ProductRecord] = {}
    try:
        with Reader(system.paths.database) as reader:
            records = {each.name: each for each in reader.products.products()}
            names = dict.fromkeys([*declared, *records])
            latest = {name: reader.products.latest(name) for name in names}
    except NotFound:  # never started: what is declared can be told all the same
        latest = dict.fromkeys(declared)
    if as_json:
        out.json(
            {"products": [_product_json(name, declared, records, latest[name]) for name in latest]}
        )
        return
    rows: list[list[Text]] = []
    for name, instance in latest.items():
        title = declared[name].title if name in declared else "no more in nowcast.yaml"
        late = records[name].late if name in records and name in declared else ()
        said = Painted(f"late: {', '.join(map(reference_words, late[-2:]))}", "red") if late else ""
        if instance is None:
            rows.append([name, "-", "-", "none", "-", "-", title, said])
            continue
        rows.append(
            [
                name, reference_words(instance.reference), age_words(instance.reference),
                state_of(instance), str(instance.files), size_words(instance.size), title, said,
            ]
        )  # fmt: skip
    out.table(["product", "latest", "age", "state", "files", "size", "title", ""], rows)
    if not rows:
        out.note("no product is declared: see `products` in the reference of nowcast.yaml")


def show(ctx: typer.Context, name: NameOrId, as_json: Json = False) -> None:
    """Show a product or an instance, and what it has.

    \b
    Examples:
      nowcast product show hrdps
      nowcast product show 8f0c21ab
    """
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    with Reader(system.paths.database) as reader:
        record = reader.products.product(name)
        if record is not None:
            _show_product(out, reader, record, as_json)
        else:
            _show_instance(out, reader, known(reader, system, name, None, False), as_json)


def latest(
    ctx: typer.Context,
    name: Name,
    cycle: Annotated[
        str | None, typer.Option("--cycle", metavar="HH", help="Of this hour of the day, UTC.")
    ] = None,
    complete: Complete = False,
    as_json: Json = False,
) -> None:
    """Show the latest instance of a product.

    The exit code is 4 where there is none.

    \b
    Examples:
      nowcast product latest hrdps --complete
      nowcast product latest hrdps --cycle 00 --json
    """
    from nowcast_cli.cli.product_view import INSTANCES, instance_row
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    with Reader(system.paths.database) as reader:
        if cycle is None:
            found = known(reader, system, name, None, complete)
        else:
            found = _of_cycle(reader, name, cycle, complete)
    if as_json:
        out.json(_instance_json(found))
    else:
        out.table(INSTANCES, [instance_row(found)])


def files(
    ctx: typer.Context,
    name: NameOrId,
    reference: Reference = None,
    complete: Complete = False,
    as_json: Json = False,
) -> None:
    """List the files of an instance, or of the latest.

    \b
    Examples:
      nowcast product files hrdps --complete
      nowcast product files hrdps -r 2026112200 --json
    """
    from nowcast_cli.cli.product_view import file_rows
    from nowcast_cli.products.said import file_said
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    with Reader(system.paths.database) as reader:
        instance = known(reader, system, name, time_option(reference), complete)
        found = reader.products.files(instance.id)
    if as_json:
        out.json({**_instance_json(instance), "list": [file_said(each) for each in found]})
        return
    out.table(["file", "size", "format", "variables", "valid", ""], file_rows(found))
    if not found:
        out.note("nothing is there of it any more")


def history(
    ctx: typer.Context,
    name: Name,
    limit: Limit = 20,
    deleted: Annotated[bool, typer.Option("--all", "-a", help="Deleted ones, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the instances of a product, latest first.

    \b
    Examples:
      nowcast product history hrdps
      nowcast product history hrdps --all -n 50 --json
    """
    from nowcast_cli.cli.product_view import INSTANCES, instance_row
    from nowcast_cli.store.reader import Reader

    out, system = output_of(ctx), system_of(ctx)
    with Reader(system.paths.database) as reader:
        found = reader.products.history(name, limit, deleted)
        if not found and reader.products.product(name) is None:
            raise _unknown(system, name)
    if as_json:
        out.json({"instances": [_instance_json(each) for each in found]})
        return
    out.table(INSTANCES, [instance_row(each) for each in found])
    if not found:
        out.note(f"nothing of {name} is there: nowcast product register FILE --product {name}")


def known(
    reader: Reader, system: System, name: str, reference: str | None, complete: bool
) -> InstanceRecord:
    """Give an instance by its id, or that of a product. Raises NotFound."""
    from nowcast_cli.cli.product_view import named_instance

    try:
        return named_instance(reader, name, reference, complete)
    except NotFound:
        if reader.products.product(name) is None:
            raise _unknown(system, name) from None
        raise


def _unknown(system: System, name: str) -> NotFound:
    from nowcast_cli.config.hints import did_you_mean
    from nowcast_cli.config.products import products_of

    declared = products_of(system.config)
    if name in declared:
        what = f"nothing of the product {name} has been registered as yet"
        return NotFound(what, hint=f"nowcast product register FILE --product {name}")
    words = f"there is no product, and no instance of one, {name!r}{did_you_mean(name, declared)}"
    return NotFound(words, hint="nowcast product list")


def _of_cycle(reader: Reader, name: str, cycle: str, complete: bool) -> InstanceRecord:
    hour = cycle.strip().removesuffix("Z")
    if not (hour.isdigit() and int(hour) < 24):
        raise UsageError(f"--cycle: {cycle!r} is no hour", hint="write an hour such as 00 or 12")
    wanted = f"T{int(hour):02}:"
    for found in reader.products.history(name, complete=complete):
        if wanted in found.reference:
            return found
    raise NotFound(
        f"there is no instance of {name} for a cycle {int(hour):02}",
        hint=f"nowcast product history {name}",
    )


def time_option(text: str | None) -> str | None:
    """Read ``--reference-time``. Raises UsageError."""
    from nowcast_cli.products.times import NotATime, read_time

    if text is None:
        return None
    try:
        return read_time(text)
    except NotATime as error:
        raise UsageError(f"--reference-time: it {error}") from None


def _show_product(out: Output, reader: Reader, record: ProductRecord, as_json: bool) -> None:
    from nowcast_cli.cli.product_view import INSTANCES, instance_row, reference_words

    found = reader.products.history(record.name, _SHOWN)
    if as_json:
        out.json(
            {
                "product": record.name,
                "id": record.id,
                "declared": dict(record.declared),
                "late": list(record.late),
                "instances": [_instance_json(each) for each in found],
            }
        )
        return
    out.line(Painted(record.name, "bold"))
    said = {**record.declared, "late": [reference_words(each) for each in record.late]}
    rows: list[list[Text]] = [[key, _words(value)] for key, value in said.items() if value]
    out.columns(rows, indent=2)
    out.table(INSTANCES, [instance_row(each) for each in found])


def _show_instance(out: Output, reader: Reader, found: InstanceRecord, as_json: bool) -> None:
    from nowcast_cli.cli.product_view import INSTANCES, file_rows, instance_row
    from nowcast_cli.cli.times import local
    from nowcast_cli.products.said import file_said

    held = reader.products.files(found.id)
    if as_json:
        out.json({**_instance_json(found), "list": [file_said(each) for each in held]})
        return
    out.table([f"{found.product}: {INSTANCES[0]}", *INSTANCES[1:]], [instance_row(found)])
    times = (
        ("begun", found.created), ("complete", found.complete), ("was due", found.late),
        ("pinned", found.pinned), ("deleted", found.deleted),
    )  # fmt: skip
    rows: list[list[Text]] = [[name, local(time)] for name, time in times if time is not None]
    if found.job is not None:
        rows.append(["made by", f"job {found.job[-8:]}"])
    out.columns(rows, indent=2)
    out.table(["file", "size", "format", "variables", "valid", ""], file_rows(held))


def _words(value: Any) -> str:
    import json

    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return json.dumps(value)


def _product_json(
    name: str,
    declared: dict[str, ProductSettings],
    records: dict[str, ProductRecord],
    instance: InstanceRecord | None,
) -> dict[str, Any]:
    return {
        "product": name,
        "declared": name in declared,
        "title": declared[name].title if name in declared else name,
        "late": list(records[name].late) if name in records else [],
        "latest": None if instance is None else _instance_json(instance),
    }


def _instance_json(instance: InstanceRecord) -> dict[str, Any]:
    from nowcast_cli.cli.product_view import age_of
    from nowcast_cli.products.completeness import missing_words
    from nowcast_cli.products.said import instance_said

    lacks = missing_words(instance.expects, instance.missing, instance.files)
    more = {"missing": lacks} if lacks and instance.deleted is None else {}
    return {**instance_said(instance), "age": round(age_of(instance.reference)), **more}
