"""The same expressions over other tables: recorded once, run over every dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Dataset, Expr
from hep_flows.expr.remake import remade
from hep_flows.expr.walk import rewrite
from hep_flows.planning.cut import over

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.planning.task import Key


def instantiate(exprs: Sequence[Expr], tables: Mapping[Key, Dataset]) -> tuple[Expr, ...]:
    """Give the expressions over other tables: checked and typed again, for the schema of each table.

    Parameters
    ----------
    exprs : sequence of Expr
        Expressions that were not cut into tasks.
    tables : mapping
        The table to take, by the key of the one that it replaces.

    Raises
    ------
    FieldError
        When the other table lacks a leaf; the user's line is named.
    RecordError
        When its leaves have types that do not fit.
    """

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if isinstance(node, Dataset):
            return tables.get(node.key, node)
        changed = over(node, inputs)
        return node if changed is node else remade(changed)

    return rewrite(exprs, change)
