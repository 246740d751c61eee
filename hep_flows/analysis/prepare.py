"""Everything that precedes a run of an analysis: datasets, expressions, and one plan for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.expressions import expressions
from hep_flows.analysis.own_tables import own_tables
from hep_flows.errors import HepFlowsError
from hep_flows.execute.last_run import tables_of
from hep_flows.execute.open_store import open_store
from hep_flows.execute.results import Results
from hep_flows.filesets.describe import describe_all
from hep_flows.filesets.read_fileset import chosen, read_fileset
from hep_flows.planning.make_plan import make_plan
from hep_flows.plugins import installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hep_flows.analysis.expressions import Expressions
    from hep_flows.analysis.load import Analysis
    from hep_flows.expr.nodes import Expr
    from hep_flows.filesets.describe import Described
    from hep_flows.filesets.entry import Entry
    from hep_flows.planning.task import Key, Plan
    from hep_flows.plugin import Plugin
    from hep_flows.settings import Settings
    from hep_flows.store.store import Store


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run of an analysis begins with.

    Parameters
    ----------
    entries : tuple of Entry
        The datasets that were asked for.
    datasets : mapping of str to Described
        Those whose files could be looked at.
    expressions : Expressions
        What is asked of them.
    failed : mapping of str to HepFlowsError
        Why a dataset has no part in the plan.
    plan : Plan
        One for all.
    targets : mapping of str to mapping of str to bytes
        The key of the task of each result, by dataset and name.
    plugins : tuple of Plugin
        Those that it was made with.
    store : Store, optional
        Where results are.
    """

    entries: tuple[Entry, ...]
    datasets: Mapping[str, Described]
    expressions: Expressions
    failed: Mapping[str, HepFlowsError]
    plan: Plan
    targets: Mapping[str, Mapping[str, Key]]
    plugins: tuple[Plugin, ...]
    store: Store | None

    def dataset_of(self) -> dict[Key, str]:
        """Give the name of the dataset that each task works for; where several have the same content, that of the first."""
        return {key: "" if table is None else table.name for key, table in tables_of(self.plan).items()}


def prepare(  # noqa: PLR0913 - every part of a run can be chosen
    analysis: Analysis,
    fileset: Any,
    settings: Settings,
    *,
    only: Iterable[str] | None = None,
    kind: str = "",
    missing_tree: str = "",
    keep_going: bool = True,
) -> Prepared:
    """Give the plan of an analysis over a fileset.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    fileset : mapping, str or Path, optional
        The datasets; None for the table ``events`` that the file of the analysis makes.
    settings : Settings
        Where the cache is, and which plug-ins may be used.
    only : iterable of str, optional
        The datasets to take.
    kind : str
        The kind of table of datasets that do not name theirs.
    missing_tree : str
        What a file without the tree means in datasets that do not say.
    keep_going : bool
        Whether a dataset that cannot be used leaves the others; else its error comes out.

    Raises
    ------
    SourceError
        When the fileset has another form.
    HepFlowsError
        When recording fails for every dataset: the analysis' own error.
    """
    store = open_store(settings)
    if fileset is None:
        own = own_tables(analysis)
        entries = chosen([d.entry for d in own], only)
        datasets, failed = {d.entry.name: d for d in own if d.entry in entries}, dict[str, HepFlowsError]()
    else:
        entries = read_fileset(fileset, only=only)
        datasets, failed = describe_all(entries, Results(store), kind=kind, missing_tree=missing_tree, keep_going=keep_going)
    asked = expressions(analysis, datasets.values(), keep_going=keep_going)
    plugins = installed(settings.plugins)
    failed |= asked.failed
    by_dataset = dict(asked.by_dataset)
    try:
        plan = _plan(by_dataset.values(), plugins)
    except HepFlowsError as error:
        lost = _without_plan(by_dataset, plugins)
        if not keep_going or len(lost) == len(by_dataset):
            raise
        failed |= lost or dict.fromkeys(by_dataset, error)
        by_dataset = {n: e for n, e in by_dataset.items() if n not in failed}
        plan = _plan(by_dataset.values(), plugins)
    targets = iter(plan.targets)
    keys = {name: {n: next(targets) for n in exprs} for name, exprs in by_dataset.items()}
    ordered = {e.name: failed[e.name] for e in entries if e.name in failed}
    return Prepared(entries, datasets, asked, ordered, plan, keys, tuple(plugins), store)


def _plan(asked: Iterable[Mapping[str, Expr]], plugins: Sequence[Plugin]) -> Plan:
    return make_plan([e for exprs in asked for e in exprs.values()], plugins)


def _without_plan(asked: Mapping[str, Mapping[str, Expr]], plugins: Sequence[Plugin]) -> dict[str, HepFlowsError]:
    """Give the datasets that no plan can be made for, each with its error."""
    lost: dict[str, HepFlowsError] = {}
    for name, exprs in asked.items():
        try:
            _plan([exprs], plugins)
        except HepFlowsError as error:
            lost[name] = error
    return lost
