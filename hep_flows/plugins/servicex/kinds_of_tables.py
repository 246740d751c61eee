"""Which kind of table a node is about."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Dataset, Expr
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Collection

    from hep_flows.planning.task import Key

MOST = 50_000


class KindsOfTables:
    """Remembers the kind of each node that was looked at, so that a node costs one step after its inputs.

    Nodes over the same data are the same whoever reads it, so only the model of the data is remembered.

    Parameters
    ----------
    kinds : collection of str
        The kinds that are read here, one for a model.
    """

    def __init__(self, kinds: Collection[str]) -> None:
        """Nothing is known yet."""
        self._by_model = {kind.rpartition(":")[2]: kind for kind in kinds}
        self._kinds: dict[Key, str] = {}
        self._lock = threading.Lock()

    def of(self, node: Expr) -> str:
        """Give the kind as which the table is read here, or else its model; empty where there is no table below."""
        with self._lock:
            if len(self._kinds) > MOST:
                self._kinds = {}
            for n in postorder(node, into=lambda n: n.key not in self._kinds):
                below = (self._kinds[i.key] for i in n.inputs())
                self._kinds[n.key] = n.model if isinstance(n, Dataset) else next((k for k in below if k), "")
            model = self._kinds[node.key]
        return self._by_model.get(model, model)
