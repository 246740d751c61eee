"""Record an analysis over one dataset, and say for which others the recording holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.user_line import line_in
from hep_flows.errors import AnalysisError, HepFlowsError, with_article
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder
from hep_flows.normalise import normalise
from hep_flows.planning.instantiate import instantiate
from hep_flows.record.aliases import alias_scope
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.histogram_request import HistogramRequest
from hep_flows.record.members import leaf_of
from hep_flows.record.metadata import metadata_key
from hep_flows.record.sources import frame_of
from hep_flows.record.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.analysis.load import Analysis
    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Type
    from hep_flows.filesets.describe import Described
    from hep_flows.record.looked import Looked

_NAME = re.compile(r"^\w[\w.+-]*$")


@dataclass(frozen=True, slots=True)
class Recording:
    """What an analysis gives for one dataset.

    Parameters
    ----------
    made_for : Described
        The dataset.
    exprs : mapping of str to Expr
        By name, as they were recorded; empty where that failed.
    normal : mapping of str to Expr
        The same in their normal form.
    error : HepFlowsError, optional
        Why it failed.
    looked : Looked
        What was looked at on the way.
    keys : mapping of str to bytes
        What stands for each metadata that was read.
    schemas : dict
        By schema that was compared with: whether the recording holds for it.
    """

    made_for: Described
    exprs: Mapping[str, Expr]
    normal: Mapping[str, Expr]
    error: HepFlowsError | None
    looked: Looked
    keys: Mapping[str, bytes]
    schemas: dict[Record, bool]

    def over(self, other: Described) -> dict[str, Expr]:
        """Give the normal form of the expressions over another dataset.

        Raises
        ------
        HepFlowsError
            When they do not fit it.
        """
        tables = {self.made_for.table.key: other.table}
        if _schema(other.table) is _schema(self.made_for.table):
            # Types decide what is normal, and they are the same.
            return dict(zip(self.normal, instantiate(tuple(self.normal.values()), tables), strict=True))
        return dict(zip(self.exprs, normalise(instantiate(tuple(self.exprs.values()), tables)), strict=True))

    def holds_for(self, other: Described) -> bool:
        """Say whether recording over another dataset would give the same; of one that failed nothing is known."""
        if self.error is not None:
            return False
        values = other.entry.metadata
        if self.looked.values or any(metadata_key(values, k) != v for k, v in self.keys.items()):
            return False
        if self.looked.all_metadata and list(values) != list(self.made_for.entry.metadata):
            return False
        schema = _schema(other.table)
        if schema not in self.schemas:
            self.schemas[schema] = _same_names(self.looked, self.made_for.table, other.table)
        return self.schemas[schema]


def record(analysis: Analysis, dataset: Described) -> Recording:
    """Give what an analysis gives for a dataset, or the error that it ends with."""
    values = dataset.entry.metadata
    frame = frame_of(dataset.table, values)
    looked = frame._table.looked  # noqa: SLF001
    exprs: Mapping[str, Expr] = {}
    normal: Mapping[str, Expr] = {}
    failure: HepFlowsError | None = None
    try:
        exprs = _recorded(analysis, frame)
        normal = dict(zip(exprs, normalise(exprs.values()), strict=True))
    except HepFlowsError as error:
        failure = error
    looked.closed = True
    read = list(values) if looked.all_metadata else sorted(looked.keys)
    keys = {k: metadata_key(values, k) for k in read}
    return Recording(dataset, exprs, normal, failure, looked, keys, {_schema(dataset.table): True})


def _recorded(analysis: Analysis, frame: DataFrame) -> dict[str, Expr]:
    try:
        with alias_scope():  # what it defines for one dataset is not there for the next
            given = analysis.function(frame)
    except HepFlowsError:
        raise
    except (Exception, SystemExit) as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        where = line_in(error, analysis.folder) or analysis.where
        what = f"{analysis.title} fails on the dataset {frame._table.name!r}: {type(error).__name__}: {said}"  # noqa: SLF001
        raise AnalysisError(what, where=where) from error
    return _checked(analysis, given, frame._table.dataset)  # noqa: SLF001


def _checked(analysis: Analysis, given: Any, table: Dataset) -> dict[str, Expr]:
    do = "end it with: return {'pt': events.Jet.pt}"
    if not isinstance(given, dict):
        why = "did it forget its return?" if given is None else ""
        raise AnalysisError(f"{analysis.title} gives {_kind(given)}, not a dict", where=analysis.where, why=why, do=do)
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.match(name):
            why = "results become files: a name has letters, digits, _, -, + and dots, and begins with none of the last three"
            raise AnalysisError(f"{analysis.title} gives {name!r}, which is no name", where=analysis.where, why=why, do=do)
        if not isinstance(value, DataFrame | HistogramRequest):
            raise AnalysisError(
                f"{analysis.title} gives {_kind(value)} as {name!r}, not an expression",
                where=analysis.where,
                why="results are expressions on the events, and histograms of them, one for each name",
                do=_advice(value),
            )
    exprs = {n: v._expr for n, v in given.items()}  # noqa: SLF001
    for name, expr in exprs.items():
        if any(isinstance(n, Dataset) and n.key != table.key for n in postorder(expr)):
            raise AnalysisError(
                f"{name!r} is not over the events that {analysis.title} was given",
                where=expr.where or analysis.where,
                why="it is over a table of its own, so it would be the same for every dataset",
                do="use the argument of the function",
            )
    return exprs


def _kind(value: Any) -> str:
    return "nothing" if value is None else with_article(value)


def _advice(value: Any) -> str:
    from hep_flows.record.histogram_new import NewHistogram

    if isinstance(value, NewHistogram):
        return "end the histogram with a storage, .Double() or .Weight(), and fill it"
    if isinstance(value, dict | list | tuple):
        return "give each of its parts a name of its own"
    return "call it, and give what it returns" if callable(value) else ""


def _schema(table: Dataset) -> Record:
    assert isinstance(table.type.item, Record)
    return table.type.item


def _same_names(looked: Looked, made_for: Dataset, other: Dataset) -> bool:
    """Say whether every name that was asked for means the same in the files of another dataset."""
    if made_for.kind != other.kind or made_for.tree != other.tree or looked.whole_schema:
        return False
    table = Table(other)
    for expr in looked.gets.values():
        try:
            (there,) = instantiate([expr], {made_for.key: other})
        except HepFlowsError:
            return False
        if _form(there.type) != _form(expr.type):
            return False
    for (_, name), (of, leaf) in looked.names.items():
        try:
            (there,) = instantiate([of], {made_for.key: other})
            found = leaf_of(there, name, table, None)
        except HepFlowsError:
            return False
        if (found is None) != (leaf is None):
            return False
        if found is not None and leaf is not None and _form(found.type) != _form(leaf.type):
            return False
    return True


def _form(t: Type) -> tuple[object, ...]:
    """Give what recording may depend on: the kind of the values and their levels. What a collection has is asked for by name."""
    item = ("record", t.item.model) if isinstance(t.item, Record) else t.item
    return item, tuple([a.name for a in t.axes]), t.optional, t.unit
