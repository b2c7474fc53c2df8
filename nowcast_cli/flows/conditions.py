"""``when: rows > 0 and season == "summer"``: conditions of a step, a small part of Python. Pure."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_LONGEST = 1000  # characters: the parser's own stack is not endless


class BadCondition(ValueError):
    """The text is no condition; the exception's text says why."""


def condition_references(text: str) -> list[str]:
    """Give what a condition refers to: ``date``, ``crop.rows``. Raises BadCondition."""
    return list(dict.fromkeys(_references(_parsed(text))))


def holds(text: str, find: Callable[[str], Any]) -> bool:
    """Say whether a condition is true, where ``find`` gives the value of each reference.

    Raises BadCondition for values that cannot be compared, and what ``find`` raises.
    """
    try:
        return bool(_value(_parsed(text), find))
    except TypeError as error:
        raise BadCondition(f"{text!r} cannot be decided: {error}") from None


def _parsed(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise BadCondition(f"is longer than {_LONGEST} characters")
    try:
        parsed = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadCondition(
            f"{text!r} is no condition; one reads: rows > 0 and season == 'summer'"
        ) from None
    _check(parsed, text)
    return parsed


def _check(node: ast.expr, text: str) -> None:
    """Allow names, constants, lists, comparisons, and, or, not; nothing that runs anything."""
    match node:
        case ast.BoolOp(values=values):
            below = values
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            below = [operand]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(each) in _COMPARISONS for each in ops
        ):
            below = [left, *others]
        case ast.List(elts=below) | ast.Tuple(elts=below):
            pass
        case ast.Constant(value=str() | int() | float() | None) | ast.Name():
            below = []
        case ast.Attribute(value=ast.Name() | ast.Attribute() as inner):
            below = [inner]
        case _:
            piece = ast.unparse(node)
            raise BadCondition(
                f"{text!r} has {piece!r}; names, values, comparisons, and, or, not can stand there"
            )
    for each in below:
        _check(each, text)


def _references(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute):
        yield ast.unparse(node)
        return
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.expr):
            yield from _references(each)


def _value(node: ast.expr, find: Callable[[str], Any]) -> Any:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(each, find) for each in values)
        case ast.BoolOp(values=values):
            return any(_value(each, find) for each in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, find)
        case ast.UnaryOp(operand=operand):
            return -_value(operand, find)
        case ast.Compare(left=left, ops=ops, comparators=others):
            values_in_row = [_value(each, find) for each in (left, *others)]
            pairs = zip(ops, values_in_row, values_in_row[1:], strict=False)
            return all(_COMPARISONS[type(op)](one, other) for op, one, other in pairs)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(each, find) for each in items]
        case ast.Constant(value=value):
            return value
    return find(ast.unparse(node))
