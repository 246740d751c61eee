"""What a recording looked at besides the values that it wrote down: everything that may make it come out otherwise elsewhere.

An analysis is recorded over one dataset, and holds for another one where all of this is the same: the metadata that it read, the
names that it asked for (those that it did not find, too), and what these names stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Expr


@dataclass(slots=True)
class Looked:
    """What was looked at on one table, so far.

    Parameters
    ----------
    names : mapping
        By key of an expression and name: the expression, and the stored leaf of that name; None where there is none.
    gets : dict
        By key, the leaves that were asked for with a default.
    whole_schema : bool
        Whether names were listed, or leaves chosen by what there is.
    keys : set of str
        The metadata that was read, by name; those that are not there count too.
    all_metadata : bool
        Whether metadata was listed, counted or compared.
    values : bool
        Whether something was computed: what follows may depend on the content of the files.
    closed : bool
        Whether the recording is over: what is not looked at by now must not be looked at any more.
    """

    names: dict[tuple[bytes, str], tuple[Expr, Expr | None]] = field(default_factory=dict)
    gets: dict[bytes, Expr] = field(default_factory=dict)
    whole_schema: bool = False
    keys: set[str] = field(default_factory=set)
    all_metadata: bool = False
    values: bool = False
    closed: bool = False
