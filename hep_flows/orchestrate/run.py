"""Run a plan with the engine that fits: what is stored is answered at once, and Prefect is not even imported for it.

The work is done in two steps. A flow run of Prefect fills the store, unit by unit. Then the run within this process, which every
engine has, finds it filled and gives the values; what cannot be stored it computes itself. So all engines give the same bits.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from contextvars import Context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import OrchestrationError, SourceError, with_article
from hep_flows.execute.batches import Batches, Keys, alone, result_versions
from hep_flows.execute.history import note_run
from hep_flows.execute.machine import Limits
from hep_flows.execute.need import needs
from hep_flows.execute.report import ENDED, FAILED_ABOVE, STORED_ABOVE, StageTime, TaskRow, told_of_errors, with_remarks
from hep_flows.execute.results import Results
from hep_flows.execute.run import Run, Wish, check_same_functions
from hep_flows.orchestrate.server import is_healthy
from hep_flows.orchestrate.settings import check_importable, private_background
from hep_flows.retry import DELAYS_S
from hep_flows.settings import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from hep_flows.contract import Key, Plan, Plugin, Result, Task
    from hep_flows.errors import Where
    from hep_flows.execute.need import Needs
    from hep_flows.execute.report import RunReport, State, Step
    from hep_flows.expr.nodes import Dataset
    from hep_flows.orchestrate.flow import Outcome
    from hep_flows.orchestrate.units import Carried, Told, Unit
    from hep_flows.store.store import Store

# Who runs a plan: this process alone, a Prefect server of its own, or the one that the user has configured -----------------------

Kind = Literal["inline", "embedded", "server", "configured"]
KINDS = ("inline", "embedded", "configured")


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine, and why it is that one.

    Parameters
    ----------
    kind : str
        ``inline``: no Prefect; ``embedded``: a server of this process; ``server``: one that was started for this cache folder;
        ``configured``: the user's own.
    why : str
        A few words for the report.
    url : str
        The address of the API, where it is known.
    """

    kind: Kind
    why: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the choice depends on.

    Parameters
    ----------
    asked : str, optional
        The engine that was asked for: by an argument or a setting.
    can_store : bool
        Whether results can be handed on through the store.
    is_small : bool
        Whether the work takes less time than starting a server.
    has_runner : bool
        Whether a task runner was given, which needs Prefect.
    folder : str
        Where the servers of the cache folder are noted.
    """

    asked: str | None
    can_store: bool
    is_small: bool
    has_runner: bool
    folder: str


def chosen(situation: Situation) -> Engine:
    """Give the engine.

    What was asked for is taken. Else: a Prefect that the user has configured; a server that runs for this cache folder; a server of
    this process, unless the work is done sooner than that would start.

    Raises
    ------
    OrchestrationError
        When the engine that was asked for cannot be used.
    """
    asked = situation.asked
    if asked is not None and asked not in KINDS:
        raise OrchestrationError(f"there is no engine {asked!r}", do=f"it is one of {', '.join(KINDS)}")
    if asked == "inline":
        if situation.has_runner:
            raise OrchestrationError("a task runner needs Prefect", do='leave engine="inline" out, or the task runner')
        return Engine("inline", "asked for")
    if not situation.can_store:
        return _without_store(situation)
    if asked == "configured":
        return Engine("configured", "asked for")
    if asked is None and (where := configured_at()):
        return Engine("configured", where)
    if (url := _running(situation.folder)) is not None:
        return Engine("server", "a server runs for this cache folder", url)
    if asked is None and situation.is_small and not situation.has_runner:
        return Engine("inline", "the work takes less time than starting a server")
    return Engine("embedded", "asked for" if asked else "the default")


def check_task_runner(task_runner: object, where: Where) -> None:
    """Check that a task runner is one, before anything is computed with another.

    Raises
    ------
    OrchestrationError
        When it is none.
    """
    if task_runner is not None and not all(callable(getattr(task_runner, n, None)) for n in ("submit", "map", "duplicate")):
        raise OrchestrationError(
            f"a task runner is an object of Prefect, not {with_article(task_runner)}",
            where=where,
            why="its class says where the work is done, and its arguments at which address",
            do="give one: from prefect_dask import DaskTaskRunner; task_runner=DaskTaskRunner(address='tcp://host:8786')",
        )


def asked_engine(engine: str, sources: Mapping[str, str]) -> str | None:
    """Give the engine that somebody asked for, by an argument or a setting; None where it is the default."""
    return engine if sources.get("engine") != "default" else None


def configured_at() -> str:
    """Say where the user has configured a Prefect API, without importing Prefect; empty when nowhere."""
    known = environment()
    if known.get("PREFECT_API_URL"):
        return "PREFECT_API_URL is set"
    home = Path(known.get("PREFECT_HOME") or Path.home() / ".prefect")
    file = Path(known.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    name = _profile_with_url(file, known.get("PREFECT_PROFILE", ""))
    return f"the Prefect profile {name!r}" if name else ""


def _profile_with_url(file: Path, chosen_profile: str) -> str:
    import tomllib

    try:
        content: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    name = chosen_profile or content.get("active")
    profiles = content.get("profiles")
    profile = profiles.get(name) if isinstance(profiles, dict) else None
    return str(name) if isinstance(profile, dict) and profile.get("PREFECT_API_URL") else ""


def _without_store(situation: Situation) -> Engine:
    if situation.asked is not None or situation.has_runner:
        raise OrchestrationError(
            "tasks of Prefect hand results on through the cache, and there is none that can be written",
            do='set HEP_FLOWS_CACHE to a folder of yours, or run with engine="inline"',
        )
    return Engine("inline", "there is no cache to hand results on through")


def _running(folder: str) -> str | None:
    from hep_flows.orchestrate.server import running

    found = running(folder)
    return None if found is None else found.url


# Ctrl-C ends a run, also where the exception that Python makes of it gets lost ---------------------------------------------------
#
# An interrupt becomes an exception in whatever the main thread does at that moment: an import that tries what is installed and takes
# every exception for a no, or a finalizer, whose exceptions nobody sees. Then the run would go on as if nothing had been asked.


@contextmanager
def noted_interrupts(cancelled: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Give whether nobody wants the result any more: as told, or since there was an interrupt in the block.

    Parameters
    ----------
    cancelled : callable
        Whether it was cancelled in another way.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, where there was an interrupt.
    """
    seen: list[int] = []
    with _noting(seen):
        try:
            yield lambda: bool(seen) or cancelled()
        except Exception as error:
            if seen:
                raise KeyboardInterrupt from error
            raise
    if seen:
        raise KeyboardInterrupt


@contextmanager
def _noting(seen: list[int]) -> Iterator[None]:
    """Note interrupts beside what is done about them; only the main thread may, and only where Python handles them."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, before)


# A table is cut finer where several machines work on it.
CLUSTER_SHARD_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run, and how.

    Parameters
    ----------
    plan, plugins, store
        As in `hep_flows.execute.run.run_plan`.
    engine : str, optional
        The engine that was asked for.
    task_runner : TaskRunner, optional
        One of Prefect's; threads when left out.
    workers, refresh, keep_going, cancelled, progress
        As in `hep_flows.execute.run.run_plan`.
    small_bytes : int
        Work over fewer bytes of local files, or of the columns of them that are needed, is done in this process, where no engine was asked for.
    name : str
        What the flow run is called.
    tell : callable
        Gets a line for the user.
    chunk_events, memory : int, optional
        At most so many events are worked on at a time, in so many bytes; no result depends on them.
    parts_only : collection of bytes
        Tasks whose results are stored batch by batch, and not given: see `hep_flows.execute.stored_parts`.
    """

    plan: Plan
    plugins: Sequence[Plugin]
    store: Store | None
    engine: str | None
    task_runner: Any
    workers: int
    refresh: bool
    keep_going: bool
    small_bytes: int
    cancelled: Callable[[], bool]
    progress: Callable[[Step], None] | None = None
    name: str = ""
    tell: Callable[[str], None] = lambda _line: None
    parts_only: frozenset[Key] = frozenset()
    chunk_events: int | None = None
    memory: int | None = None


def _limits(order: Order, cancelled: Callable[[], bool], delays_s: tuple[float, ...] = ()) -> Limits:
    return Limits.with_slots(order.workers, cancelled, delays_s, memory=order.memory, slice_events=order.chunk_events)


def run_order(order: Order) -> tuple[dict[Key, Result], RunReport]:
    """Give the results of the targets by task key, and the report."""
    with noted_interrupts(order.cancelled) as cancelled:
        found, report = _run_order(replace(order, cancelled=cancelled))
    return found, with_remarks(report, found)


def _run_order(order: Order) -> tuple[dict[Key, Result], RunReport]:
    by_name = {p.name: p for p in order.plugins}
    results = Results(order.store, refresh=order.refresh)
    keys = Keys(order.plan)
    batches = Batches(order.plan, by_name, results)
    need = needs(order.plan, keys, batches, results)
    if need.nothing_to_compute:
        return _inline(order, Engine("inline", "everything is stored"))
    check_same_functions(order.plan, need)
    engine = chosen(_situation(order, need))
    if engine.kind == "inline":
        return _inline(order, engine)
    from hep_flows.orchestrate.units import SHARD_BATCHES, Wanted, units_of

    finest = SHARD_BATCHES if order.task_runner is None else CLUSTER_SHARD_BATCHES
    units = units_of(Wanted(order.plan, keys, need, batches, finest))
    if not units:
        return _inline(order, Engine("inline", "nothing of it can be stored"))
    return _with_prefect(order, engine, units)


def _inline(order: Order, engine: Engine) -> tuple[dict[Key, Result], RunReport]:
    def finished(report: RunReport) -> RunReport:
        return replace(report, engine=engine.kind, engine_why=engine.why)

    limits = _limits(order, order.cancelled, DELAYS_S)
    run = Run(order.plan, order.plugins, Results(order.store, refresh=order.refresh), limits, order.progress)
    with told_of_errors(finished):
        found, report = run.all(Wish(keep_going=order.keep_going, parts_only=order.parts_only))
    return found, finished(report)


def _situation(order: Order, need: Needs) -> Situation:
    store = order.store
    can_store = store is not None and store.writable
    folder = "" if store is None else _folder(store)
    return Situation(order.engine, can_store, _is_small(order, need), order.task_runner is not None, folder)


def _is_small(order: Order, need: Needs) -> bool:
    """Say whether what has to be read are few bytes of local files: of these files, or else of the columns that are needed."""
    tables: dict[Dataset, list[Task]] = {}
    for task in [t for t in order.plan.tasks if t.dataset is not None and need.missing.get(t.key)]:
        assert task.dataset is not None
        tables.setdefault(task.dataset, []).append(task)
    try:
        sizes = {t: [os.stat(f).st_size for f in t.files] for t in tables}  # noqa: PTH116 - thousands of files
    except OSError:
        return False
    if sum([sum(s) for s in sizes.values()]) < order.small_bytes:
        return True
    total, plugins = 0.0, {p.name: p for p in order.plugins}
    for table, tasks in tables.items():
        total += sum(sizes[table]) * _share(table, tasks, plugins, sizes[table])
        if total >= order.small_bytes:
            return False
    return order.small_bytes > 0


def _share(table: Dataset, tasks: Sequence[Task], plugins: Mapping[str, Plugin], sizes: Sequence[int]) -> float:
    """Give which part of a table's bytes some tasks read: that of its largest file stands for all."""
    number = max(range(len(sizes)), key=lambda n: sizes[n], default=0)
    read = 0
    for name in {t.plugin for t in tasks}:
        columns = tuple(sorted({c for t in tasks if t.plugin == name for c in t.columns}))
        try:
            found = plugins[name].column_bytes(alone(table, number), columns) if columns else 0
        except SourceError:
            return 1.0
        if found is None:
            return 1.0
        read += found
    return min(1.0, read / max(1, sizes[number])) if sizes else 0.0


def _folder(store: Store) -> str:
    return f"{store.folder.root}/prefect"


def _with_prefect(order: Order, engine: Engine, units: Sequence[Unit]) -> tuple[dict[Key, Result], RunReport]:
    check_importable()
    if engine.kind == "configured":
        return _in_a_flow(order, engine, units)
    # A flow of the user that is going on belongs to another server: ours must not become a part of it.
    return Context().run(_in_a_flow, order, engine, units)


def _in_a_flow(order: Order, engine: Engine, units: Sequence[Unit]) -> tuple[dict[Key, Result], RunReport]:
    assert order.store is not None
    start = time.perf_counter()
    stop = threading.Event()

    def cancelled() -> bool:
        return stop.is_set() or order.cancelled()

    with ExitStack() as held:
        held.callback(stop.set)
        url = held.enter_context(_api(order, engine, cancelled))
        from hep_flows.orchestrate.flow import Job, run_flow

        job = Job(
            order.plan,
            units,
            _carrying(order, cancelled),
            order.store,
            name=order.name or _name(order.plan),
            refresh=order.refresh,
            first_error_ends=not order.keep_going,
            stop=stop,
            answers=lambda: engine.kind == "configured" or is_healthy(url),
        )
        outcomes = run_flow(job, _runner(order, units))

        def finished(report: RunReport) -> RunReport:
            whole = replace(together(report, outcomes), engine=engine.kind, engine_why=engine.why, engine_url=url)
            return replace(whole, seconds=time.perf_counter() - start)

        with told_of_errors(finished):
            found, report = _delivered(order, outcomes)
        whole = finished(report)
        if any(row.state == "computed" for row in whole.tasks):
            note_run(order.plan, Results(order.store, refresh=order.refresh), whole.tasks, result_versions(order.plugins))
        return found, whole


@contextmanager
def _api(order: Order, engine: Engine, cancelled: Callable[[], bool]) -> Iterator[str]:
    """Let Prefect use the engine's server, and give its address."""
    if engine.kind == "configured":
        yield _configured_url()
        return
    assert order.store is not None
    folder = _folder(order.store)
    server = None
    if engine.kind == "embedded":
        from hep_flows.orchestrate.server import embedded_server, running_embedded

        is_new = not running_embedded(folder)
        server = embedded_server(folder)  # it starts while Prefect is imported
        if is_new:
            order.tell("starting a Prefect server for this process (hep-flows server start gives one that stays)")
    urls: list[str] = []
    with private_background(lambda: all(map(is_healthy, urls))):
        from hep_flows.orchestrate.settings import private_settings

        url = engine.url if server is None else server.api_url(cancelled)
        urls.append(url)
        with private_settings(url, folder):
            yield url


def _configured_url() -> str:
    from prefect.settings import PREFECT_API_URL

    from hep_flows.errors import OrchestrationError

    url = PREFECT_API_URL.value()
    if not url:
        raise OrchestrationError(
            "the configured engine needs the address of a Prefect API, and there is none",
            do='set PREFECT_API_URL or a Prefect profile, or leave engine="configured" out',
        )
    return str(url)


def _runner(order: Order, units: Sequence[Unit]) -> Any:
    if order.task_runner is not None:
        return order.task_runner
    from prefect.task_runners import ThreadPoolTaskRunner

    from hep_flows.orchestrate.flow import MOST_THREADS

    # Threads that wait for other units take no share of the machine: units hold a slot while they compute.
    return ThreadPoolTaskRunner(max_workers=max(2, min(len(units), MOST_THREADS)))


def _carrying(order: Order, cancelled: Callable[[], bool]) -> Callable[[Unit, Sequence[Told]], Carried]:
    """Give how a unit travels to the task runner."""
    from prefect.task_runners import ThreadPoolTaskRunner

    from hep_flows.orchestrate.units import Here, Sender, Session

    assert order.store is not None
    if order.task_runner is None or isinstance(order.task_runner, ThreadPoolTaskRunner):
        limits = _limits(order, cancelled)
        session = Session(order.plan, order.plugins, order.store, limits, order.refresh, order.keep_going, order.progress)
        return lambda unit, follows: Here(session, unit, follows)
    told = {
        "root": order.store.folder.root,
        "layers": [layer.root for layer in order.store.layers],
        "plugins": sorted([p.name for p in order.plugins]),
        "workers": 1,
        "chunk_events": order.chunk_events,
        "memory": order.memory,
        "refresh": order.refresh,
        "keep_going": order.keep_going,
    }
    return Sender(order.plan, told).carried


def _delivered(order: Order, outcomes: Sequence[Outcome]) -> tuple[dict[Key, Result], RunReport]:
    """Read the results that are wanted; what failed in a unit is not tried again."""
    from hep_flows.orchestrate.flow import failures_of

    put = {bytes.fromhex(k) for o in outcomes if o.reference is not None for k in o.reference["objects"]}
    results = Results(order.store, refresh=order.refresh, put=put)
    failed = failures_of(order.plan, outcomes, keep_going=order.keep_going)
    limits = _limits(order, order.cancelled)
    run = Run(order.plan, order.plugins, results, limits, order.progress)
    return run.all(Wish(keep_going=order.keep_going, parts_only=order.parts_only, failed=failed))


def _name(plan: Plan) -> str:
    tables = list(dict.fromkeys([t.dataset.name for t in plan.tasks if t.dataset is not None]))
    shown = ", ".join(tables[:3]) + (f" and {len(tables) - 3} more" if len(tables) > 3 else "")
    n = len(set(plan.targets))
    return f"{n} result{'' if n == 1 else 's'} · {shown}"


# Task runners of Prefect for more than one machine: clusters that are there are used, none is made -------------------------------


def dask_runner(address: str) -> Any:
    """Give a task runner for the Dask scheduler at an address, or None for an empty one.

    Raises
    ------
    OrchestrationError
        When Dask is not installed.
    """
    if not address:
        return None
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise OrchestrationError(
            "a Dask cluster needs Prefect's package for it", why=str(error), do="pip install 'hep-flows[dask]'"
        ) from None
    return DaskTaskRunner(address=address)


# Lines for the person who waits: on standard error, so that what a program prints stays what it is -------------------------------


def tell(line: str) -> None:
    """Print one line."""
    sys.stderr.write(f"hep_flows: {line}\n")
    sys.stderr.flush()


# One report of what task runs did and of what the process that asked found in the end --------------------------------------------

_IF_NOT_RUN = (STORED_ABOVE, FAILED_ABOVE)
_STRONGEST: tuple[State, ...] = ("failed", "computed", "cached")


def together(report: RunReport, outcomes: Sequence[Outcome]) -> RunReport:
    """Add what the units did to the report of the run that delivered the results."""
    rows = {r.key: r for r in report.tasks}
    for outcome in outcomes:
        for told in outcome.rows:
            row = TaskRow(**told)
            rows[row.key] = _added(rows[row.key], row)
    done = [o.reference for o in outcomes if o.reference is not None and o.state != "Cached"]
    stages = dict[tuple[str, tuple[bytes, ...]], float]()
    for plugin, tasks, seconds in [s for d in done for s in d["stages"]]:
        place = (plugin, tuple([bytes.fromhex(k) for k in tasks]))
        stages[place] = stages.get(place, 0.0) + seconds
    merging = dict(report.merging)
    for key, seconds in [m for d in done for m in d["merging"].items()]:
        merging[bytes.fromhex(key)] = merging.get(bytes.fromhex(key), 0.0) + seconds
    return replace(
        report,
        events=report.events + sum([d["events"] for d in done]),
        partitions=report.partitions + sum([d["partitions"] for d in done]),
        stages=(*[StageTime(plugin, tasks, s) for (plugin, tasks), s in stages.items()], *report.stages),
        merging=merging,
        tasks=tuple([rows[r.key] for r in report.tasks]),
    )


def _added(one: TaskRow, other: TaskRow) -> TaskRow:
    """Give one row for what two runs did of a task; what one of them computed the other found."""
    computed = one.batches_computed + other.batches_computed
    batches = max(one.batches, other.batches)
    cached = max(0, max(one.batches_cached, other.batches_cached, batches) - computed) if batches else one.batches_cached
    state: State = next((s for s in _STRONGEST if s in (one.state, other.state)), "not run")
    if state == "cached" and "not run" in (one.state, other.state) and one.reason.startswith("it takes"):
        state = "not run"
    if state != "failed" and one.reason.startswith(ENDED):
        state = "not run"
    reasons = [r for r in (one.reason, other.reason) if r and (state == "not run" or not r.startswith((*_IF_NOT_RUN, ENDED)))]
    return replace(
        one,
        state=state,
        attempts=max(one.attempts, other.attempts),
        seconds=one.seconds + other.seconds,
        rows=max(one.rows, other.rows),
        bytes=max(one.bytes, other.bytes),
        batches=batches,
        batches_computed=computed,
        batches_cached={"failed": 0, "not run": max(one.batches_cached, other.batches_cached)}.get(state, cached),
        reason=_joined(reasons),
    )


def _joined(reasons: Sequence[str]) -> str:
    """Say once what one of two runs says, too, in more words or fewer."""
    if len(reasons) == 2 and (reasons[0] in reasons[1] or reasons[1] in reasons[0]):
        return max(reasons, key=len)
    return "; ".join(reasons)
