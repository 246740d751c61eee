"""What a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.errors import SourceLine
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.plugin import Numerics

Key = bytes
Output = Literal["columns", "scalar", "histogram"]
Spread = Literal["partitions", "whole"]
Reach = Literal["partitions", "whole", "anywhere"]


@dataclass(frozen=True, slots=True)
class Task:
    """One subtree for one plug-in.

    Parameters
    ----------
    key : bytes
        The content key of its result.
    plugin : str
        The label.
    expr : Expr
        The subtree; results of other tasks enter as `hep_flows.expr.nodes.Input`.
    meaning : Expr
        What it delivers, from the table up: the key names this, and no cut. Only results of another numerics family enter as `Input`.
    numerics : Numerics
        The family that the result belongs to.
    inputs : tuple of bytes
        The keys of those tasks, in order of use.
    output : str
        ``columns`` (an array, axis 0 = events in dataset order), ``scalar`` (one number) or ``histogram``.
    spread : str
        ``partitions``: runs once for each range of events, and the parts are merged in order; ``whole``: runs once, on merged inputs.
    dataset : Dataset, optional
        The table that a partitioned task runs over.
    columns : tuple of str
        What it reads itself, by the names that the files use.
    """

    key: Key
    plugin: str
    expr: Expr
    meaning: Expr
    numerics: Numerics
    inputs: tuple[Key, ...]
    output: Output
    spread: Spread
    dataset: Dataset | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in an order in which they can run, and which of them were asked for.

    Parameters
    ----------
    tasks : tuple of Task
        Producers before consumers.
    targets : tuple of bytes
        Task keys of the results, one for each expression asked for, in that order.
    exprs : tuple of Expr
        The normalised expressions themselves.
    labels : mapping of bytes to str
        Which plug-in runs each node, by expression key.
    refusals : mapping of bytes to mapping
        By expression key: why each other plug-in does not.
    lines : mapping of bytes to tuple of SourceLine
        By expression key: where the user wrote it.
    forms : mapping of bytes to bytes
        By task key: what it computes on each batch, apart from the data; only of tasks that run batch by batch.
    """

    tasks: tuple[Task, ...]
    targets: tuple[Key, ...]
    exprs: tuple[Expr, ...]
    labels: Mapping[Key, str]
    refusals: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)
    lines: Mapping[Key, tuple[SourceLine, ...]] = field(default_factory=dict)
    forms: Mapping[Key, Key] = field(default_factory=dict)
