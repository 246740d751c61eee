"""Which events an expression is about."""

from __future__ import annotations

from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Map
from hep_flows.plugins.servicex.terms import Refused


def is_event_count(node: Expr) -> bool:
    """Say whether a node is the number of events."""
    return isinstance(node, Call) and node.function == "count" and not node.type.axes and len(node.args[0].type.axes) == 1


def event_masks(node: Expr) -> tuple[Expr, ...]:
    """Give the masks that select the events of a node, in the order in which they apply.

    Raises
    ------
    Refused
        When events are selected by their place, or it is not about the events of a table.
    """
    found: list[Expr] = []
    while not isinstance(node, Dataset):
        if isinstance(node, Filter) and node.at == 0:
            found.insert(0, node.mask)
        elif isinstance(node, Call) and dict(node.options).get("at") == 0:
            raise Refused("events are chosen by their place in the table as a whole")
        node = _over_events(node)
    return tuple(found)


def _over_events(node: Expr) -> Expr:
    """Give the input that a node has its events from."""
    match node:
        case Filter() | Field() | Bound():
            return node.of
        case Map():
            return node.over
        case _:
            found = next((i for i in node.inputs() if i.type.axes), None)
            if found is None:
                raise Refused("it is not about the events of a table that the server reads")
            return found
