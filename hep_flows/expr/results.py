"""The item of a function's result from the items of its arguments.

Every rule gets the items and, beside each, whether it is a plain Python constant (which adapts to the other's width). A rule that
does not apply raises `TypeError` with the reason; `hep_flows.expr.build` adds the user's line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr import promotion
from hep_flows.expr.types import Anything, Bool, Float, Int, Item, String, is_number

if TYPE_CHECKING:
    from collections.abc import Sequence


def _numbers(items: Sequence[Item]) -> None:
    for item in items:
        if isinstance(item, Anything):
            raise TypeError("a list or tuple has no place beside values of events; for membership use np.isin(x, [1, 2])")
        if not is_number(item):
            raise TypeError(f"it needs numbers, and one argument is a {item}")


def _common(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    if len(items) == 1:
        return promotion.common(items[0], items[0])
    return promotion.common(items[0], items[1], left_weak=weak[0], right_weak=weak[1])


def arithmetic(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Sums, products and their like; truth values count as the integers 0 and 1."""
    _numbers(items)
    item = _common(items, weak)
    return Int(64) if isinstance(item, Bool) else item


def divided(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """True division: whole numbers give 64-bit floats."""
    _numbers(items)
    item = _common(items, weak)
    return item if isinstance(item, Float) else Float(64)


def equality(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``==`` and ``!=`` compare numbers with numbers and text with text."""
    if all(isinstance(i, String) for i in items):
        return Bool()
    return comparison(items, weak)


def comparison(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``<`` and its like compare numbers."""
    _numbers(items)
    return Bool()


def bitwise(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``& | ^ ~`` combine truth values, or the bits of integers."""
    for item in items:
        if isinstance(item, Float):
            raise TypeError(
                f"it combines truth values or integers, and one side is {item}; comparisons need parentheses: (a > 1) & (b < 2)"
            )
    _numbers(items)
    return _integer(_common(items, weak), items)


def _integer(item: Item, items: Sequence[Item]) -> Item:
    """Refuse integers that only a float could hold together: uint64 beside a signed one."""
    if isinstance(item, Float):
        raise TypeError(f"no integer type holds both {items[0]} and {items[1]}")
    return item


def whole(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of integers only."""
    if any(isinstance(i, Float) for i in items):
        raise TypeError("it needs integers")
    return _integer(arithmetic(items, weak), items)


def truth(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of numbers that say true or false."""
    _numbers(items)
    return Bool()


def any_truth(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of any item that say true or false."""
    return Bool()


def widest(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """The larger or smaller of two: truth values stay truth values."""
    _numbers(items)
    return _common(items, weak)


def widest_or_text(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Either of two numbers, or either of two texts."""
    if all(isinstance(i, String) for i in items):
        return String()
    return widest(items, weak)


def real(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions with real values: every argument becomes a float that can hold it, and the widest decides."""
    _numbers(items)
    strong = [i for i, is_weak in zip(items, weak, strict=True) if not is_weak] or items
    beyond = [i for i, is_weak in zip(items, weak, strict=True) if is_weak and _kind(i) > max([_kind(j) for j in strong])]
    return Float(max([promotion.as_float(i).bits for i in [*strong, *beyond]]))


def _kind(item: Item) -> int:
    """Order numbers by kind: a constant of a higher kind than all arrays brings its own width."""
    return 0 if isinstance(item, Bool) else 1 if isinstance(item, Int) else 2


def double(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions that always work in 64 bits."""
    _numbers(items)
    return Float(64)


def signed(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions of a sign: truth values have none."""
    _numbers(items)
    if isinstance(items[0], Bool):
        raise TypeError("a mask has no sign; write ~mask for its opposite")
    return _common(items, weak)


def same(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """Functions that keep the kind of number."""
    _numbers(items)
    return promotion.common(items[0], items[0])


def choice(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """``np.where``: a mask, and two values of one kind."""
    if not isinstance(items[0], Bool):
        raise TypeError(f"its condition must be true or false, and is {items[0]}")
    return widest_or_text(items[1:], weak[1:])


def counted(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A count."""
    return Int(64)


def position(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """The place of a number in its list."""
    _numbers(items)
    return Int(64)


def summed(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A sum or product over a list."""
    _numbers(items)
    return promotion.summed(items[0])


def averaged(items: Sequence[Item], weak: Sequence[bool]) -> Item:
    """A mean over a list: 64-bit for whole numbers, else the width of the items."""
    _numbers(items)
    return items[0] if isinstance(items[0], Float) else Float(64)
