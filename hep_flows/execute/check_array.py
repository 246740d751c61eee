"""Hold the array that a plug-in gave against the type of its expression: a wrong nesting or width would be a wrong result later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.expr.types import Record

if TYPE_CHECKING:
    from hep_flows.expr.types import Type

_LISTS = frozenset({"ListOffsetForm", "ListForm", "RegularForm"})
_OPTIONS = frozenset({"IndexedOptionForm", "ByteMaskedForm", "BitMaskedForm", "UnmaskedForm"})


def wrong_array(array: Any, of: Type, n_events: int | None) -> str:
    """Say in what an array differs from a type, or nothing when it does not.

    Parameters
    ----------
    array : ak.Array
        Axis 0 is the events.
    of : Type
        The type of the expression.
    n_events : int, optional
        The number of events, where all events of the range must be there.
    """
    if n_events is not None and len(array) != n_events:
        return f"it has {len(array)} events, and the range has {n_events}"
    form, has_missing = _inside_options(array.layout.form)
    for axis in of.axes[1:]:
        if type(form).__name__ not in _LISTS or _is_text(form):
            return f"it has no lists for the axis {axis.name}, and is {array.type}"
        form, has_missing = _inside_options(form.content)
    if isinstance(of.item, Record):
        return "" if type(form).__name__ == "RecordForm" else f"it has no members, and is {array.type}"
    if has_missing and not of.optional:
        return f"it says that items may be missing, and is {array.type}"
    found = "string" if _is_text(form) else getattr(form, "primitive", type(form).__name__)
    return "" if found == str(of.item) else f"its items are {found}, and should be {of.item}"


def _inside_options(form: Any) -> tuple[Any, bool]:
    """Give the form of the items that are there, and whether some may be missing."""
    has_missing = False
    while type(form).__name__ in _OPTIONS or type(form).__name__ == "IndexedForm":
        has_missing = has_missing or type(form).__name__ in _OPTIONS
        form = form.content
    return form, has_missing


def _is_text(form: Any) -> bool:
    return bool(form.parameters.get("__array__") == "string")
