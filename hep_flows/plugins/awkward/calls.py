"""Calls of elementwise functions and of users' functions, missing items included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.expr.functions import UserFunction
from hep_flows.expr.types import String
from hep_flows.plugins.awkward import elementwise, strings
from hep_flows.plugins.awkward.known_functions import is_known, known_as
from hep_flows.plugins.awkward.user_functions import called
from hep_flows.plugins.awkward.values import Constant, Value, both, dtype_of, texts

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Call
    from hep_flows.plugins.awkward.align import Aligned, Flat
    from hep_flows.plugins.awkward.values import Mask


def elementwise_call(node: Call, arguments: Aligned) -> Value | Constant:
    """Give the value of a call whose arguments are aligned."""
    data, valid = _computed(node, arguments)
    if valid is not None and valid.all():
        valid = None
    if arguments.frame is not None:
        return Value(arguments.frame, arguments.axes, data, valid)
    if valid is not None:
        return Constant(None)
    only = data[0] if np.ndim(data) or isinstance(data, ak.Array) else data[()]
    return Constant(only)


def _computed(node: Call, arguments: Aligned) -> tuple[Any, Mask | None]:
    function, flats, size = node.function, arguments.flats, arguments.size
    if function == "is_none":
        missing = flats[0].valid
        return (np.zeros(size, dtype=np.bool_) if missing is None else ~missing), None
    if function == "fill_none":
        return _filled(node, flats, size)
    if function == "where":
        return _where(node, flats, size)
    valid: Mask | None = None
    for flat in flats:
        valid = both(valid, flat.valid)
    operands = [f.data for f in flats]
    if isinstance(function, UserFunction) and (function.body is not None or not is_known(function)):
        return _on_present(node, operands, valid, size), valid
    # The data of missing items mean nothing, and an integer power of nothing may be refused.
    if valid is not None and function == "power":
        return _on_present(node, operands, valid, size), valid
    return _plain(node, operands), valid


def _plain(node: Call, operands: list[Any]) -> Any:
    name = known_as(node.function) if isinstance(node.function, UserFunction) else node.function
    options = dict(node.options)
    if any(strings.is_text(o) for o in operands):
        return strings.computed(name, operands, options)
    return elementwise.computed(name, operands, node.type.item, options)


def _on_present(node: Call, operands: list[Any], valid: Mask | None, size: int) -> Any:
    """Compute only where nothing is missing."""
    present = operands if valid is None else [o[valid] if np.ndim(o) or isinstance(o, ak.Array) else o for o in operands]
    n_present = size if valid is None else int(np.count_nonzero(valid))
    if isinstance(node.function, UserFunction):
        found = called(node.function, present, n_present, node.where)
    else:
        found = np.broadcast_to(_plain(node, present), (n_present,))
    if valid is None:
        return found
    if isinstance(node.type.item, String):
        return ak.concatenate([found, texts([""])])[np.where(valid, np.cumsum(valid) - 1, n_present)]
    data = np.zeros(size, dtype=dtype_of(node.type.item))
    data[valid] = found
    return data


def _filled(node: Call, flats: tuple[Flat, ...], size: int) -> tuple[Any, Mask | None]:
    items, default = flats
    there = np.ones(size, dtype=np.bool_) if items.valid is None else items.valid
    data = _choice(node, there, items.data, default.data)
    return data, None if items.valid is None or default.valid is None else there | default.valid


def _where(node: Call, flats: tuple[Flat, ...], size: int) -> tuple[Any, Mask | None]:
    """Choose; an item of the side that is not chosen may be missing."""
    condition, yes, no = flats
    chosen = np.broadcast_to(np.asarray(condition.data), (size,))
    valid = condition.valid
    if yes.valid is not None or no.valid is not None:
        sides = [True if f.valid is None else f.valid for f in (yes, no)]
        valid = both(valid, np.where(chosen, *sides))
    return _choice(node, chosen, yes.data, no.data), valid


def _choice(node: Call, condition: Mask, yes: Any, no: Any) -> Any:
    if isinstance(node.type.item, String):
        return strings.chosen(condition, yes, no)
    return elementwise.computed("where", [condition, yes, no], node.type.item, {})
