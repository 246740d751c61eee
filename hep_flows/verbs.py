"""The verbs: they join the steps from a recorded expression to its values, its plan or its text."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import ControlFlowError, HepFlowsError, LiteralError, line_of, with_article
from hep_flows.record.arguments import checked
from hep_flows.record.where import is_within_a_run, user_site

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hep_flows.contract import Key, Plan, Plugin
    from hep_flows.errors import Where
    from hep_flows.execute.report import Missing, RunReport, RunResult
    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Record
    from hep_flows.show.plan import PlanView

_DEEPEST = 100
_MOST_NAMED = 8


class LeavesLeftOut(UserWarning):
    """A result has whole objects or events, and leaves of these that cannot be read are not in it."""


class TextOfNoCategory(UserWarning):
    """Entries of a histogram have a text that is no category of an axis: they are in none of its bins, but in its overflow."""


@checked
def make_local(x: Any, *, workers: int | None = None, chunk_events: int | None = None) -> Any:
    """Give the values of expressions: this is where data is read and computed.

    Parameters
    ----------
    x : DataFrame, histogram, or a tuple, list or dict of these, nested
        Several expressions are computed together, each part once, and come back in the same containers. They may be over several
        tables.
    workers : int, optional
        Threads; the result does not depend on it.
    chunk_events : int, optional
        At most so many events are worked on at a time; as many as there is memory for when left out. The result does not depend on it.

    Returns
    -------
    ak.Array, number, text, hist.Hist, numpy's pair of counts and edges, or the array of `ml_features`
        Missing values are ``None``.

    Raises
    ------
    LiteralError
        When ``x`` holds anything else.
    TaskError
        When the computation fails; the original error is chained, and the ``report`` of the error says what became of each task.
    """
    return _made_local(x, user_site(), lambda: False, workers=workers, chunk_events=chunk_events)


@checked
def run(  # noqa: PLR0913 - every part of a run can be chosen
    exprs: Any,
    *,
    refresh: bool = False,
    on_error: Literal["keep", "raise"] = "keep",
    workers: int | None = None,
    chunk_events: int | None = None,
    engine: str | None = None,
    task_runner: Any = None,
    report: str | os.PathLike[str] | None = None,
) -> RunResult:
    """Give the values of expressions, and what became of each task: computed now, found in the cache, or failed and why.

    Parameters
    ----------
    exprs : DataFrame, histogram, or a tuple, list or dict of these, nested
        What is asked for.
    refresh : bool
        Compute everything again, and replace what is stored.
    on_error : str
        ``keep``: what does not depend on a failure is computed and stored, and a value that cannot be delivered is a `Missing` with the
        reason; ``raise``: the first error ends the run, and has the report as its ``report``. What was computed until then is stored.
    workers : int, optional
        Threads; the result does not depend on it.
    chunk_events : int, optional
        At most so many events are worked on at a time; as many as there is memory for when left out. The result does not depend on it.
    engine : str, optional
        Who runs what is not stored: ``inline``, ``embedded`` or ``configured``; the setting of that name when left out.
    task_runner : TaskRunner, optional
        A task runner of Prefect, such as ``DaskTaskRunner(address=...)``; threads of this process when left out.
    report : path, optional
        Where the report is written as JSON, also when an error ends the run.

    Returns
    -------
    RunResult
        With ``values``, in the containers of ``exprs``, and ``report``.
    """
    if on_error not in ("keep", "raise"):
        raise LiteralError(
            f"on_error is 'keep' or 'raise', not {on_error!r}", where=user_site(), do="write on_error='raise', or leave it out"
        )
    if report is not None:
        from hep_flows.store.commit import check_place

        check_place(report, "the report", user_site())
    given = {"workers": workers, "chunk_events": chunk_events, "engine": engine}
    going = on_error == "keep"
    try:
        done = _run(exprs, user_site(), lambda: False, given, refresh=refresh, keep_going=going, task_runner=task_runner)
    except HepFlowsError as error:
        if report is not None and error.report is not None:
            error.report.save(report)
        raise
    if report is not None:
        done.report.save(report)
    return done


@checked
def cutflow(e: Any, weight: Any = None, *, n_minus_one: bool = False) -> Any:
    """Count the events that each cut on the way to an expression leaves.

    Parameters
    ----------
    e : DataFrame or Histogram
        An expression of selected events, or a histogram of one fill.
    weight : DataFrame, optional
        A weight of each event of the table, before any selection.
    n_minus_one : bool
        Give, for each cut, the events that pass all the others.

    Returns
    -------
    Cutflow
        A row for all events and one for each event filter, in order: computed at once, and in the dict of an analysis together with the
        other results. Of an expression that varies, a dict by variation. Selections of objects drop no events and are no cuts.

    Raises
    ------
    LiteralError
        When ``e`` is no expression of events.
    AxisError
        When the weight belongs to other events.
    """
    from hep_flows.record.cutflow import requested

    where = user_site()
    asked = requested(e, weight, n_minus_one=n_minus_one, where=where)
    if asked._table.looked.of_analysis:  # noqa: SLF001
        return asked
    return _made_local(asked, where, lambda: False, workers=None, chunk_events=None)


@checked
def event_list(e: Any, *, event_id: Sequence[Any] | None = None) -> Any:
    """Give the run, the luminosity block and the number of each event that an expression is of.

    Parameters
    ----------
    e : DataFrame or Histogram
        An expression of selected events, or a histogram of one fill.
    event_id : sequence, optional
        What tells events apart: names of leaves of the table, or expressions of whole numbers, for run, luminosity block and event (or
        run and event, or event). When left out, the leaves that NanoAOD and xAOD have for that.

    Returns
    -------
    EventList
        ``(run, lumi, event)`` of each event, in the order of the dataset; ``csv()`` gives it as text. Computed at once, and in the dict
        of an analysis together with the other results. Of an expression that varies, a dict by variation.

    Raises
    ------
    FieldError
        When the table has no such leaves.
    LiteralError
        When ``e`` is no expression of events, or an event is told apart by something else than whole numbers.
    """
    from hep_flows.record.cutflow import listed

    where = user_site()
    asked = listed(e, event_id, where)
    if asked._table.looked.of_analysis:  # noqa: SLF001
        return asked
    return _made_local(asked, where, lambda: False, workers=None, chunk_events=None)


@checked
def explain(e: Any, *, event: int, run: int | None = None, lumi: int | None = None, event_id: Sequence[Any] | None = None) -> Any:
    """Say why one event is selected or not: each cut on the way to an expression, with the values that it looks at.

    Parameters
    ----------
    e : DataFrame or Histogram
        An expression of selected events, or a histogram of one fill.
    event, run, lumi : int
        The event; run and luminosity block may be left out where its number alone is enough.
    event_id : sequence, optional
        What tells events apart, as in `event_list`.

    Returns
    -------
    Explanation
        A row for each cut, with ``name``, ``passes`` and ``values`` by the text of what is compared and of the leaves that this is made
        of; it prints as a table. Of an expression that varies, a dict by variation.

    Raises
    ------
    FieldError
        When the table has no leaves that tell its events apart.
    LiteralError
        When no event is called so, or several are.
    """
    from hep_flows.execute.joint import Explanation
    from hep_flows.record.cutflow import explained

    where = user_site()
    named = {"run": run, "lumi": lumi, "event": event}
    asked = explained(e, named, event_id, where)
    found = _made_local(asked, where, lambda: False, workers=None, chunk_events=None)
    one = next(iter(found.values())) if isinstance(found, dict) else found
    if not isinstance(one, Explanation):
        called = ", ".join([f"{name}={n}" for name, n in named.items() if n is not None])
        raise LiteralError(
            f"{one or 'no'} event{'s are' if one else ' is'} called {called} in {asked._table.name}",  # noqa: SLF001
            where=where,
            do="name run, lumi and event; check_duplicates finds events that are there twice"
            if one
            else "event_list(df) gives all of them",
        )
    return found


@checked
async def make_local_async(x: Any, *, workers: int | None = None, chunk_events: int | None = None) -> Any:
    """Give the values of expressions without blocking the event loop; the arguments are those of `make_local`.

    When the task is cancelled, the threads stop after what they are doing.
    """
    import asyncio

    where = user_site()
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_made_local, x, where, stop.is_set, workers=workers, chunk_events=chunk_events)
    finally:
        stop.set()


@checked
def plan(x: Any) -> PlanView:
    """Give what make_local would do: tasks, plug-ins, columns, and what is stored already or why not. Nothing runs.

    Parameters
    ----------
    x : DataFrame, histogram, or a tuple, list or dict of these, nested
        What is asked for.
    """
    from hep_flows.execute.history import library_remarks, plan_status
    from hep_flows.execute.results import open_store
    from hep_flows.planning.normalise import normalise
    from hep_flows.planning.plan import make_plan
    from hep_flows.plugins import installed
    from hep_flows.settings import read_settings
    from hep_flows.show.plan import PlanView

    exprs, _ = _asked(x, user_site())
    settings = read_settings()
    plugins = installed(settings.plugins)
    made = make_plan(normalise(exprs), plugins)
    store = open_store(settings)
    if store is None:
        return PlanView(made, {}, _sent(made, plugins))
    return PlanView(made, plan_status(made, plugins, store), _sent(made, plugins), library_remarks(made, store))


def _sent(made: Plan, plugins: Sequence[Plugin]) -> dict[Key, tuple[str, str]]:
    """Give where tasks run that run elsewhere, and what is sent there."""
    from hep_flows.contract import Plugin

    by_name = {p.name: p for p in plugins if type(p).sends is not Plugin.sends}  # others need not be translated
    tasks = [(t, by_name[t.plugin]) for t in made.tasks if t.plugin in by_name]
    return {t.key: sent for t, plugin in tasks if (sent := plugin.sends(plugin.translate(t))) is not None}


@checked
def render(x: Any) -> Any:
    """Give the expression with names, columns and functions resolved, in its normal form. Nothing runs.

    Equal expressions give equal results, however they were written.

    Parameters
    ----------
    x : DataFrame, histogram, or a tuple, list or dict of these, nested
        What is asked for; containers come back as containers.
    """
    from hep_flows.planning.normalise import normalise

    exprs, rebuilt = _asked(x, user_site())
    return rebuilt(iter(normalise(exprs)))


@checked
def dumps(x: Any) -> str:
    """Give the expression as readable text, one line for each step; a part that is used twice is written once. Nothing runs.

    Parameters
    ----------
    x : DataFrame, histogram, or a tuple, list or dict of these, nested
        Several expressions are separated by an empty line.
    """
    from hep_flows.expr.text import tree_text
    from hep_flows.planning.normalise import normalise

    exprs, _ = _asked(x, user_site())
    return "\n\n".join([tree_text(e) for e in normalise(exprs)])


def _made_local(x: Any, where: Where, cancelled: Callable[[], bool], *, workers: int | None, chunk_events: int | None) -> Any:
    done = _run(x, where, cancelled, {"workers": workers, "chunk_events": chunk_events}, refresh=False, keep_going=False)
    for row in done.report.tasks:
        if row.remark:
            line = line_of(where)
            place = f"\n{line.text()}" if line else ""
            warnings.warn(f"{row.label}: {row.remark}{place}", TextOfNoCategory, stacklevel=2)
    return done.values


def _run(  # noqa: PLR0913 - every part of a run can be chosen
    x: Any,
    where: Where,
    cancelled: Callable[[], bool],
    given: Mapping[str, object],
    *,
    refresh: bool,
    keep_going: bool,
    task_runner: Any = None,
) -> RunResult:
    from hep_flows.execute.report import RunResult, not_begun, value_of
    from hep_flows.execute.results import open_store
    from hep_flows.orchestrate.run import Order, asked_engine, check_task_runner, run_order, tell
    from hep_flows.planning.normalise import normalise
    from hep_flows.planning.plan import make_plan
    from hep_flows.plugins import installed
    from hep_flows.settings import Settings, explained_settings
    from hep_flows.tables import changed_file

    check_no_run_within_a_run(where)
    exprs, rebuilt = _asked(x, where)
    check_task_runner(task_runner, where)
    _tell_what_is_left_out(exprs, where)
    explained = explained_settings(where, **{k: v for k, v in given.items() if v is not None})
    settings = Settings(**{s.name: s.value for s in explained})
    plugins = installed(settings.plugins)
    made = make_plan(normalise(exprs), plugins)
    store = open_store(settings)
    changed = changed_file({t.dataset.key: t.dataset for t in made.tasks if t.dataset is not None}.values(), store, where)
    if changed is not None and not keep_going:
        raise not_begun(made, *changed)
    order = Order(
        made,
        plugins,
        store,
        engine=asked_engine(settings.engine, {s.name: s.source for s in explained}),
        task_runner=task_runner,
        workers=settings.workers,
        chunk_events=settings.chunk_events,
        memory=settings.memory,
        # What is stored is of the old content of a changed file: with everything read again, that file fails by itself.
        refresh=refresh or changed is not None,
        keep_going=keep_going,
        small_bytes=settings.direct_below,
        cancelled=cancelled,
        tell=tell,
    )
    results, report = run_order(order)
    asked = zip(made.targets, made.exprs, strict=True)
    return RunResult(rebuilt(value_of(results[k], e) if k in results else _missing(k, report) for k, e in asked), report)


def _tell_what_is_left_out(exprs: Sequence[Expr], where: Where) -> None:
    """Say which leaves whole objects and events come without, and why."""
    from hep_flows.expr.types import Record

    for expr in exprs:
        if not isinstance(expr.type.item, Record):
            continue
        left_out = [f"{name} ({why})" for name, why in _left_out(expr.type.item, "")]
        if left_out:
            line = line_of(where)
            more = f", and {len(left_out) - _MOST_NAMED} more" if len(left_out) > _MOST_NAMED else ""
            number = "1 leaf is" if len(left_out) == 1 else f"{len(left_out)} leaves are"
            named = "; ".join(left_out[:_MOST_NAMED])
            place = f"\n{line.text()}" if line else ""
            warnings.warn(f"{number} not in {expr.type.item}: {named}{more}{place}", LeavesLeftOut, stacklevel=2)


def _left_out(record: Record, above: str) -> Iterator[tuple[str, str]]:
    from hep_flows.expr.types import Record

    for name, member in record.members.items():
        if not member.is_plain:
            yield f"{above}{name}", member.unreadable or member.lacking or member.differs
        elif isinstance(member.item, Record):
            yield from _left_out(member.item, f"{above}{name}.")


def check_no_run_within_a_run(where: Where) -> None:
    """Refuse a run that the body of a function starts.

    Raises
    ------
    ControlFlowError
        When there is one: it would wait for what waits for it.
    """
    if is_within_a_run():
        raise ControlFlowError(
            "a run cannot be started inside the body of a function: give the expression as an argument instead",
            where=where,
            why="the body is called with values while a run goes on",
            do="write it as an argument of the function, f(x, df.MET.pt): the body gets its values",
        )


def _missing(key: bytes, report: RunReport) -> Missing:
    from hep_flows.execute.report import Missing

    return Missing(next(r.reason for r in report.tasks if r.key == key.hex()))


def _asked(x: Any, where: Where) -> tuple[list[Expr], Callable[[Iterator[Any]], Any]]:
    """Give the expressions in containers, in order, and how to put values in their place."""
    exprs: list[Expr] = []
    rebuilt = _rebuilding(x, exprs, where, 0)
    return exprs, rebuilt


def _rebuilding(x: Any, exprs: list[Expr], where: Where, depth: int) -> Callable[[Iterator[Any]], Any]:
    from hep_flows.execute.joint import hidden, together
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.record.histogram import HistogramRequest
    from hep_flows.record.parameters import fixed
    from hep_flows.record.variations import Requested, asked

    if isinstance(x, DataFrame | HistogramRequest | Requested):
        if x._table is not None:  # noqa: SLF001
            x._table.looked.values = True  # noqa: SLF001 - what a verb says is known of these files only
        one = x._asked if isinstance(x, Requested) else asked(x._expr)  # noqa: SLF001
        known = {} if x._table is None else x._table.looked.parameters  # noqa: SLF001
        exprs.extend(fixed(one.parts.values(), known) if known else one.parts.values())
        return lambda values: hidden(together(one, {name: next(values) for name in one.parts}), one.blinded)
    if depth > _DEEPEST:
        raise LiteralError(f"containers are nested more than {_DEEPEST} deep, or hold themselves", where=where)
    if isinstance(x, dict):
        parts = {k: _rebuilding(v, exprs, where, depth + 1) for k, v in x.items()}
        return lambda values: {k: part(values) for k, part in parts.items()}
    if isinstance(x, tuple | list):
        items = [_rebuilding(v, exprs, where, depth + 1) for v in x]
        return lambda values: _like(x, [item(values) for item in items])
    raise LiteralError(
        f"{with_article(x)} is no expression",
        where=where,
        why="expressions are DataFrames and histograms, and tuples, lists or dicts of them",
        do=_advice(x),
    )


def _like(x: tuple[Any, ...] | list[Any], values: list[Any]) -> Any:
    if isinstance(x, list):
        return values
    return type(x)(*values) if hasattr(x, "_fields") else tuple(values)


def _advice(x: Any) -> str:
    from hep_flows.record.histogram import NewHistogram

    if isinstance(x, NewHistogram):
        return "end the histogram with a storage, .Double() or .Weight(), and fill it"
    if callable(x):
        return "call it, and pass what it returns"
    return "did a function forget its return?" if x is None else "what is a value already needs no make_local"
