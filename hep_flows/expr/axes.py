"""Alignment: which axes operands share, and the errors when they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import AxisError
from hep_flows.expr.key import digest
from hep_flows.expr.types import Axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.types import Loop, Type


def aligned(types: Sequence[Type], what: str, where: Where) -> tuple[tuple[Axis, ...], tuple[Loop, ...]]:
    """Give the axes and loops of an operation on operands of these types.

    The axes of one operand must begin with the axes of the other; the shorter one is repeated along the rest.

    Raises
    ------
    AxisError
        When they do not align; both collections are named.
    """
    longest = types[0]
    for t in types:
        if len(t.axes) > len(longest.axes):
            longest = t
    for t in types:
        if t.axes is not longest.axes and t.axes != longest.axes[: len(t.axes)]:
            raise misaligned(t.axes, longest.axes, what, where)
    return longest.axes, merged_loops([t.loops for t in types])


def merged_loops(all_loops: Sequence[tuple[Loop, ...]]) -> tuple[Loop, ...]:
    """Give every loop once, outermost first."""
    first = all_loops[0]
    if all([o == first for o in all_loops]):
        return first
    union = {o: None for loops in all_loops for o in loops}
    return tuple(sorted(union, key=lambda o: (-o.level, o.axis.key)))


def misaligned(a: tuple[Axis, ...], b: tuple[Axis, ...], what: str, where: Where) -> AxisError:
    """Say which two collections do not fit, and what to do about it."""
    left, right = next(((x, y) for x, y in zip(a, b, strict=False) if x != y), (a[-1], b[-1]))
    if left.root == right.root and left.name == "event":
        why = "one side keeps all events of the table, the other only those of a filtered view"
        do = "take both from the same view: after ev = df[cut], use ev.Jet, ev.MET, ..."
    elif left.root == right.root:
        why = f"these are different selections of {left.name}, or {left.name} of different objects: the elements do not correspond"
        do = "take both from the same view: after hard = X[cut], use hard.pt, hard.eta, ..."
    elif left.name == right.name == "event":
        why = "they belong to two different tables; events of one table say nothing about those of another"
        do = "use one table, or make each local and combine the arrays"
    else:
        why = f"{left.name} and {right.name} are different collections, even where their counts agree"
        do = (
            f"reduce one of them (Count, Sum, First, ...), or pair them: "
            f"X.map(lambda x: ...) gives one list of {right.name} for each {left.name}"
        )
    return AxisError(f"{what}: {_names(a)} does not align with {_names(b)}", where=where, why=why, do=do)


def _names(axes: tuple[Axis, ...]) -> str:
    return " x ".join(["events" if a.key == a.root else "events[...]" for a in axes[:1]] + [str(a) for a in axes[1:]])


def view(axis: Axis, kind: str, *identity: object) -> Axis:
    """Give the axis of a selection of another: the same selection is the same axis."""
    return Axis(digest(kind, axis.key, *identity), axis.name, axis.root)


def part(axis: Axis, kind: str, *identity: object) -> Axis:
    """Give the axis of lists that lie inside one chosen entry: another choice has other lists."""
    return view(axis, kind, *identity)


def element(axis: Axis, loop: Axis, level: int) -> Axis:
    """Give the axis of lists that lie inside the element of a loop; two elements have different lists."""
    return Axis(digest("element", axis.key, loop.key, level), axis.name, axis.root, axis)


def outside(axis: Axis, loop: Axis, level: int) -> Axis:
    """Give the axis that `element` was made from, when it was made for that loop."""
    whole = axis.whole
    return whole if whole is not None and axis.key == element(whole, loop, level).key else axis


def within(axes: tuple[Axis, ...], name: str) -> Axis:
    """Give the axis of a stored collection below the given ones, the same for every leaf of that collection."""
    key = digest("axis", axes[0].root if axes else b"", name)
    return Axis(key, name.rsplit(".", 1)[-1], key)
