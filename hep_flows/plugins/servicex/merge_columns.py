"""Put the columns of several files together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.plugins.servicex.asked import asked
from hep_flows.plugins.servicex.build_terms import Builder
from hep_flows.plugins.servicex.delivered import empty_array
from hep_flows.plugins.servicex.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.plugins.servicex.dialect import Dialect


def concatenated(dialect: Dialect, expr: Expr, arrays: Sequence[Any]) -> Any:
    """Give one array of all events, in the order given; without any, that of no events."""
    import awkward as ak

    if not arrays:
        return empty_array(asked(Builder(dialect, Terms()), expr).output)
    return ak.concatenate(list(arrays))
