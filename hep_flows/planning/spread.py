"""Say what can run on one range of events after the other, and what needs all events at once.

``df.Jet.pt / 1000``    partitions   each range of events by itself
``df[:100].MET.pt``     whole        which events are the first 100 is known only when all ranges are in order
``df.Count() / 2``      whole        it works on a merged result
``12.5``                anywhere
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Call, Dataset, Literal
from hep_flows.expr.types import Histogram
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.contract import Key, Reach
    from hep_flows.expr.nodes import Expr


def spread(exprs: Sequence[Expr]) -> dict[Key, Reach]:
    """Give the reach of every node, by expression key.

    A reduction over events is ``partitions``: each range gives a part, and the parts are merged. One that is merged enters
    anything as a plain number, so it does not decide where its user runs, unless there is nothing else.
    """
    found: dict[Key, Reach] = {}
    for node in postorder(*exprs):
        found[node.key] = _reach(node, found)
    return found


def takes_merged(node: Expr, user: Expr, reach: Mapping[Key, Reach]) -> bool:
    """Say whether the user takes the result of the node merged, over all events: that follows from what they mean."""
    if isinstance(node, Literal) or node.type.loops:
        return False  # What depends on a loop's element has a value only inside the loop.
    here = reach[node.key]
    if here == "anywhere":
        return False
    if here != reach[user.key]:
        return True
    return here == "partitions" and not node.type.axes and not _is_chain(node, user)


def _is_chain(node: Expr, user: Expr) -> bool:
    """Say whether it is one fill of a histogram upon another, or a constant that multiplies what was filled when all is merged."""
    return isinstance(node.type.item, Histogram) and isinstance(user.type.item, Histogram) and not is_finished(node)


def is_finished(node: Expr) -> bool:
    """Say whether the node is a histogram times a number: nothing is filled into it any more."""
    return isinstance(node, Call) and node.function == "scaled"


def is_scaled_at_the_end(node: Expr) -> bool:
    """Say whether the node multiplies by a constant: each range of events gives what it fills, and the merged sum is multiplied."""
    return is_finished(node) and isinstance(node.inputs()[1], Literal) and not is_finished(node.inputs()[0])


def _reach(node: Expr, found: Mapping[Key, Reach]) -> Reach:
    if isinstance(node, Dataset):
        return "partitions"
    if _orders_events(node):
        return "whole"
    if is_scaled_at_the_end(node):
        return found[node.inputs()[0].key]
    over_events = {found[i.key] for i in node.inputs() if i.type.axes}
    if "whole" in over_events:
        return "whole"
    if "partitions" in over_events:
        return "partitions"
    if any(found[i.key] != "anywhere" for i in node.inputs()) or _fills(node):
        return "whole"
    return "anywhere"


def _fills(node: Expr) -> bool:
    """Say whether the node fills a histogram: what it adds is added once, not once for each range of events."""
    return isinstance(node, Call) and node.function == "fill"


def _orders_events(node: Expr) -> bool:
    """Say whether the node picks events by their position, which no range of events knows."""
    return isinstance(node, Call) and dict(node.options).get("at") == 0 and bool(node.args)
