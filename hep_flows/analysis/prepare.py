"""Everything that precedes a run of an analysis: datasets, expressions, and one plan for all of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.analysis.processes import is_data, is_total
from hep_flows.analysis.record import expressions
from hep_flows.errors import AnalysisError, HepFlowsError, visible
from hep_flows.execute.history import plan_status, seconds_like, tables_of
from hep_flows.execute.results import Results, open_store
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Record
from hep_flows.filesets import Described, Entry, chosen, describe_all, read_fileset
from hep_flows.planning.plan import make_plan
from hep_flows.plugins import installed
from hep_flows.record.dataframe import DataFrame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hep_flows.analysis.record import Analysis, Expressions
    from hep_flows.contract import Key, Plan, Plugin, Task
    from hep_flows.execute.history import TaskStatus
    from hep_flows.expr.nodes import Expr
    from hep_flows.settings import Settings
    from hep_flows.store.store import Store

# The tables that the file of an analysis makes itself, where no fileset is given -------------------------------------------------

NAME = "events"


def own_tables(analysis: Analysis) -> tuple[Described, ...]:
    """Give the tables that stand in the file as ``events``: one, or a dict of several by dataset.

    Raises
    ------
    AnalysisError
        When there is none.
    """
    found = analysis.names.get(NAME)
    tables: dict[Any, Any] = found if isinstance(found, dict) else {NAME: found}
    for name, table in tables.items():
        if not isinstance(name, str) or not isinstance(table, DataFrame) or not isinstance(table._expr, Dataset):  # noqa: SLF001
            raise AnalysisError(
                f"{analysis.title} makes no table of its own",
                where=analysis.where,
                why=f"without a fileset, {NAME} in the file is the table, or a dict of tables by dataset",
                do=f"give a fileset, or write {NAME} = nanoaod_table(...) above the function",
            )
    return tuple([_described(n, t._table.dataset) for n, t in tables.items()])  # noqa: SLF001


def _described(name: str, table: Dataset) -> Described:
    from dataclasses import replace

    return Described(Entry(name, table.files, table.tree, table.kind, {"dataset": name}), replace(table, name=name), "")


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
    unblind : bool
        Whether what is blinded in recorded data is shown.
    """

    entries: tuple[Entry, ...]
    datasets: Mapping[str, Described]
    expressions: Expressions
    failed: Mapping[str, HepFlowsError]
    plan: Plan
    targets: Mapping[str, Mapping[str, Key]]
    plugins: tuple[Plugin, ...]
    store: Store | None
    unblind: bool = False

    def is_data(self, dataset: str) -> bool:
        """Say whether a dataset is recorded data."""
        entry = next(e for e in self.entries if e.name == dataset)
        record = self.datasets[dataset].table.type.item if dataset in self.datasets else None
        return is_data(entry.metadata, record.members if isinstance(record, Record) else ())

    def blinded(self) -> dict[str, list[str]]:
        """Give the results with blinded bins, by dataset of recorded data."""
        found = {
            d: [n for n, one in joint.items() if one.blinded] for d, joint in self.expressions.joint.items() if self.is_data(d)
        }
        return {d: names for d, names in found.items() if names}

    def joined(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Give the values of every dataset by the names that the analysis gave; what could not be used at all stays as it is."""
        whole: dict[str, Any] = {
            name: given
            if name in self.failed
            else self.expressions.joined(name, given, shown=self.unblind or not self.is_data(name))
            for name, given in values.items()
        }
        return whole

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
    partial: bool = False,
    unblind: bool = False,
    left_out: Mapping[str, Mapping[str, str]] | None = None,
) -> Prepared:
    """Give the plan of an analysis over a fileset; of a dataset with files that cannot be used, over the others.

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
        Whether a dataset or a file that cannot be used leaves the others; else its error comes out.
    partial : bool
        Whether the results over the files that can be used are wanted: then nothing may stand in them that belongs to all files.
    unblind : bool
        Whether what is blinded in recorded data is shown.
    left_out : mapping, optional
        By dataset, files that are not to be used, each with the reason.

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
        datasets, failed = describe_all(
            entries, Results(store), kind=kind, missing_tree=missing_tree, keep_going=keep_going, left_out=left_out
        )
    asked = expressions(analysis, datasets.values(), keep_going=keep_going)
    plugins = installed(settings.plugins)
    failed |= asked.failed
    if partial:
        failed |= _with_totals_of_all_files(asked, datasets)
    by_dataset = {n: e for n, e in asked.by_dataset.items() if n not in failed}
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
    return Prepared(entries, datasets, asked, ordered, plan, keys, tuple(plugins), store, unblind)


def _with_totals_of_all_files(asked: Expressions, datasets: Mapping[str, Described]) -> dict[str, HepFlowsError]:
    """Give the incomplete datasets whose results have a number that somebody counted in all files."""
    found: dict[str, HepFlowsError] = {}
    for name in [n for n, d in datasets.items() if d.bad]:
        wrong = sorted([k for k in asked.read.get(name, ()) if is_total(k)])
        if wrong:
            found[name] = AnalysisError(
                f"the results of {visible(name)} have metadata[{wrong[0]!r}], which is that of all its files, and some cannot be used",
                why="normalised with it, what is left would be too small",
                do="use events.sumw or events.n_generated, which are those of the files that are read",
            )
    return found


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


# What a run of an analysis would do, task by task, and what it would cost --------------------------------------------------------

LABEL_WIDTH = 100


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One task.

    Parameters
    ----------
    key, plugin, label, dataset : str
        The key as digits, who runs it, what it gives, and the dataset.
    state : str
        ``hit``: it is stored, or what is made from it; ``miss``: at least a part of it has to be computed.
    why : str
        Why it has to be computed.
    columns : tuple of str
        What it reads from files, by the names that these use.
    bytes : int, optional
        About how many compressed bytes a run would read for it; None when that cannot be told.
    seconds : float, optional
        About how long it takes when it is computed, from the last task of its shape; None when there was none.
    """

    key: str
    plugin: str
    label: str
    dataset: str
    state: Literal["hit", "miss"]
    why: str
    columns: tuple[str, ...]
    bytes: int | None
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """Give the row as plain data."""
        return asdict(self) | {"columns": list(self.columns)}


def plan_rows(prepared: Prepared) -> tuple[PlanRow, ...]:
    """Give a row for each task, in the order in which they can run. Nothing runs, and nothing but file headers is read."""
    results = Results(prepared.store)
    status = plan_status(prepared.plan, prepared.plugins, prepared.store)
    names, seconds = prepared.dataset_of(), seconds_like(prepared.plan, results)
    plugins = {p.name: p for p in prepared.plugins}
    rows: list[PlanRow] = []
    for task in prepared.plan.tasks:
        found = status[task.key]
        n_bytes = _bytes(task, found, plugins[task.plugin], results)
        label = one_line(task.expr, LABEL_WIDTH)
        took = round(seconds[task.key], 6) if task.key in seconds else None
        rows.append(
            PlanRow(task.key.hex(), task.plugin, label, names[task.key], found.state, found.why, task.columns, n_bytes, took)
        )
    return tuple(rows)


def _bytes(task: Task, status: TaskStatus, plugin: Plugin, results: Results) -> int | None:
    if status.state == "hit" or not task.columns or task.dataset is None:
        return 0
    table, share = task.dataset, status.missing / max(status.batches, 1)
    name = digest("column bytes", task.plugin, table.kind, table.tree, table.content, task.columns)
    known = results.remembered(name)
    if type(known) is not int:
        known = plugin.column_bytes(table, task.columns)
        if known is None:
            return None
        results.remember(name, known)
    return round(known * share)
