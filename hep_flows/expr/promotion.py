"""The item type of a result, by numpy's rules (NEP 50: Python's own numbers adapt to the array's width).

Written out here because the language imports no library; the tests compare every row with numpy itself.
"""

from __future__ import annotations

from hep_flows.expr.types import Bool, Float, Int, Item


def common(left: Item, right: Item, *, left_weak: bool = False, right_weak: bool = False) -> Item:
    """Give the type that arithmetic on two numbers is done in.

    A weak operand is a plain Python constant: only its kind (bool, int, float) counts, not its width.
    """
    if left_weak != right_weak:
        strong, weak = (right, left) if left_weak else (left, right)
        return _adapted(strong, weak)
    return _widest(left, right)


def _adapted(strong: Item, weak: Item) -> Item:
    if isinstance(weak, Bool):
        return _plain(strong)
    if isinstance(weak, Int):
        return Int(64) if isinstance(strong, Bool) else _plain(strong)
    return strong if isinstance(strong, Float) else Float(64)


def _plain(item: Item) -> Item:
    """Drop what an integer refers to: the result of arithmetic is no reference any more."""
    return Int(item.bits, item.signed) if isinstance(item, Int) else item


def _widest(left: Item, right: Item) -> Item:
    if isinstance(left, Bool):
        return _plain(right)
    if isinstance(right, Bool):
        return _plain(left)
    if isinstance(left, Int) and isinstance(right, Int):
        return _widest_int(left, right)
    if isinstance(left, Float) and isinstance(right, Float):
        return Float(max(left.bits, right.bits))
    real, whole = (left, right) if isinstance(left, Float) else (right, left)
    if not isinstance(real, Float) or not isinstance(whole, Int):
        raise TypeError(f"{left} and {right} are not both numbers")
    return Float(max(real.bits, as_float(whole).bits))


def _widest_int(left: Int, right: Int) -> Item:
    if left.signed == right.signed:
        return Int(max(left.bits, right.bits), left.signed)
    signed, unsigned = (left, right) if left.signed else (right, left)
    if signed.bits > unsigned.bits:
        return Int(signed.bits)
    return Int(unsigned.bits * 2) if unsigned.bits < 64 else Float(64)


def as_float(item: Item) -> Float:
    """Give the type of sqrt, exp and their like for an argument of that type."""
    if isinstance(item, Float):
        return item
    if isinstance(item, Bool):
        return Float(16)
    if not isinstance(item, Int):
        raise TypeError(f"{item} is not a number")
    return Float({8: 16, 16: 32}.get(item.bits, 64))


def summed(item: Item) -> Item:
    """Give the type of a sum: everything adds up in 64 bits."""
    return Int(64, item.signed) if isinstance(item, Int) else Float(64) if isinstance(item, Float) else Int(64)
