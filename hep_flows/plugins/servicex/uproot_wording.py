"""Tasks as queries about the branches of files, for the code generator ``uproot``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.expr.types import Bool, Float, Int, Record
from hep_flows.plugin import Columns, Scalar
from hep_flows.plugins.servicex.asked import Asked, asked, branches
from hep_flows.plugins.servicex.build_terms import Builder
from hep_flows.plugins.servicex.capabilities import Capabilities
from hep_flows.plugins.servicex.delivered import array_of, empty_array
from hep_flows.plugins.servicex.endpoint import Query
from hep_flows.plugins.servicex.merge_columns import concatenated
from hep_flows.plugins.servicex.qastle_text import qastle_text
from hep_flows.plugins.servicex.query_ast import query_ast
from hep_flows.plugins.servicex.remote_identity import RemoteIdentity
from hep_flows.plugins.servicex.terms import Term, Terms
from hep_flows.plugins.servicex.wordings import UPROOT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr
    from hep_flows.planning.task import Key, Task
    from hep_flows.plugin import Result
    from hep_flows.plugins.servicex.dialect import Dialect


@dataclass(frozen=True, slots=True)
class UprootRequest:
    """One query, and the tasks that it answers.

    Parameters
    ----------
    query : Query
        What is sent.
    columns : mapping of int to str
        The name of each column, by the identity of its term.
    asked : mapping of bytes to Asked
        What each task asks for, by its key.
    only_counts : bool
        Whether all that is asked for is the number of all events: where that is known, nothing is sent.
    """

    query: Query
    columns: Mapping[int, str]
    asked: Mapping[Key, Asked]
    only_counts: bool = False

    @property
    def keys(self) -> Collection[Key]:
        """The keys of the tasks."""
        return self.asked.keys()

    @property
    def where(self) -> Where:
        """The user's line."""
        return next(iter(self.asked.values())).output.expr.where

    def results(self, columns: Mapping[str, Any], n_rows: int) -> dict[Key, Result]:
        """Give the results from the columns that came back for a file, by task key."""
        by_term = {term: columns[name] for term, name in self.columns.items()}
        return {k: Scalar(n_rows) if _counts(one) else Columns(array_of(one.output, by_term)) for k, one in self.asked.items()}

    def without_query(self, n_events: int) -> dict[Key, Result]:
        """Give what is known without a query: a number of events, or that there is nothing."""
        return {k: Scalar(n_events) if _counts(one) else Columns(empty_array(one.output)) for k, one in self.asked.items()}


class UprootWording:
    """Queries about branches, for the code generator ``uproot``.

    Parameters
    ----------
    dialect : Dialect
        What it can do.
    """

    kinds = UPROOT

    def __init__(self, dialect: Dialect) -> None:
        """Nothing is looked at yet."""
        self._dialect = dialect
        self._capabilities = Capabilities(dialect)
        self._last: tuple[Dataset | None, list[Task], list[UprootRequest]] = (None, [], [])

    def refusal(self, node: Expr) -> str:
        """Give why a node cannot be sent when its inputs can; empty when it can."""
        return self._capabilities.refusal(node)

    def requests(self, dataset: Dataset, tasks: Sequence[Task]) -> list[UprootRequest]:
        """Give the queries that answer tasks over one table: one for each selection of events."""
        known, before, made = self._last
        # A plan of one task asks the same when it is made, when it starts and when it runs; the user's lines are in the expressions.
        if known is dataset and [(t.key, id(t.expr)) for t in before] == [(t.key, id(t.expr)) for t in tasks]:
            return made
        made = requests(self._dialect, dataset, tasks)
        self._last = (dataset, list(tasks), made)
        return made

    def together(self, expr: Expr, arrays: Sequence[Any]) -> Any:
        """Give one array of all events from those of files; without any, that of no events."""
        return concatenated(self._dialect, expr, arrays)


def requests(dialect: Dialect, dataset: Dataset, tasks: Sequence[Task]) -> list[UprootRequest]:
    """Give the queries that answer tasks over one table: one for each selection of events.

    Raises
    ------
    Refused
        When a task cannot be said in the dialect.
    """
    builder = Builder(dialect, Terms())
    groups: dict[tuple[Term, ...], dict[Key, Asked]] = {}
    for task in tasks:
        wanted = asked(builder, task.expr)
        groups.setdefault(wanted.masks, {})[task.key] = wanted
    return [_request(builder.terms, dialect, dataset, masks, group) for masks, group in groups.items()]


def _request(
    terms: Terms, dialect: Dialect, dataset: Dataset, masks: tuple[Term, ...], group: Mapping[Key, Asked]
) -> UprootRequest:
    columns: dict[int, str] = {}
    outputs: dict[str, Term] = {}
    for one in group.values():
        for term in one.output.terms():
            if id(term) not in columns:
                columns[id(term)] = f"c{len(columns)}"
                outputs[columns[id(term)]] = term
    only_counts = not outputs and not masks
    outputs |= _rows(terms, dataset) if only_counts else _beside(terms, masks, list(outputs.values()))
    tree = query_ast(dialect, dataset, masks, outputs) if outputs else None
    text = "" if tree is None else qastle_text(tree)
    reads = branches([*masks, *outputs.values()])
    return UprootRequest(Query(text, dialect.name, tuple(outputs), reads, dataset.tree), columns, group, only_counts)  # type: ignore[arg-type]


def _rows(terms: Terms, dataset: Dataset) -> dict[str, Term]:
    """Give a stored number of each event, so that something comes back for each; nothing where there is none.

    Of files that are read here it is known how many events they have.
    """
    if all([RemoteIdentity.read(c) is None for c in dataset.content]):
        return {}
    assert isinstance(dataset.type.item, Record)
    for member in dataset.type.item.members.values():
        if (
            member.column
            and not member.axes
            and member.is_plain
            and not member.widened
            and isinstance(member.item, Bool | Int | Float)
        ):
            return {"rows": terms.column(member.column, member.item, 0)}
    return {}


def _stored_list(term: Term) -> Term:
    """Give the list that a list is made of: it is there anyway, and nothing is computed twice."""
    while term.op in {"select", "where"}:
        term = term.args[0]
    return term


def _beside(terms: Terms, masks: Sequence[Term], outputs: Sequence[Term]) -> dict[str, Term]:
    """Give a column of truths that takes no room.

    A dict of one list comes back as a list of dicts; and where events are only counted, something must come back for each.
    """
    if not outputs:
        return {"rows": masks[-1]} if masks else {}
    if len(outputs) > 1 or outputs[0].lists == 0:
        return {}
    some = terms.counted(_stored_list(outputs[0]))
    return {"rows": terms.call("greater_equal", (some, terms.constant(0, Int(64))), Bool())}


def _counts(one: Asked) -> bool:
    return one.output.term is None and not one.output.members
