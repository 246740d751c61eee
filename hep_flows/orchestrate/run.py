"""Run a plan with the engine that fits: what is stored is answered at once, and Prefect is not even imported for it.

The work is done in two steps. A flow run of Prefect fills the store, unit by unit. Then the run within this process, which every
engine has, finds it filled and gives the values; what cannot be stored it computes itself. So all engines give the same bits.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, contextmanager
from contextvars import Context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hep_flows.execute.batches import Batches
from hep_flows.execute.history import note_run
from hep_flows.execute.interrupts import noted_interrupts
from hep_flows.execute.keys import Keys, result_versions
from hep_flows.execute.machine import Limits
from hep_flows.execute.needs import needs
from hep_flows.execute.report import told_of_errors
from hep_flows.execute.results import Results
from hep_flows.execute.run import Run, Wish
from hep_flows.execute.run_plan import RETRIES
from hep_flows.execute.same_functions import check_same_functions
from hep_flows.orchestrate.address import is_healthy
from hep_flows.orchestrate.background import check_importable, private_background
from hep_flows.orchestrate.engine import Engine, Situation, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hep_flows.execute.needs import Needs
    from hep_flows.execute.report import RunReport, Step
    from hep_flows.orchestrate.carried import Carried, Told
    from hep_flows.orchestrate.outcome import Outcome
    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Key, Plan
    from hep_flows.plugin import Plugin, Result
    from hep_flows.store.store import Store

# A table is cut finer where several machines work on it.
CLUSTER_SHARD_BATCHES = 4


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run, and how.

    Parameters
    ----------
    plan, plugins, store
        As in `hep_flows.execute.run_plan`.
    engine : str, optional
        The engine that was asked for.
    task_runner : TaskRunner, optional
        One of Prefect's; threads when left out.
    workers, chunk_events, refresh, keep_going, cancelled, progress
        As in `hep_flows.execute.run_plan`.
    small_bytes : int
        Work over fewer bytes of local files is done in this process, where no engine was asked for.
    name : str
        What the flow run is called.
    tell : callable
        Gets a line for the user.
    memory, slice_events : int, optional
        As in `hep_flows.execute.machine.Limits`.
    parts_only : collection of bytes
        Tasks whose results are stored batch by batch, and not given: see `hep_flows.execute.stored_parts`.
    """

    plan: Plan
    plugins: Sequence[Plugin]
    store: Store | None
    engine: str | None
    task_runner: Any
    workers: int
    chunk_events: int
    refresh: bool
    keep_going: bool
    small_bytes: int
    cancelled: Callable[[], bool]
    progress: Callable[[Step], None] | None = None
    name: str = ""
    tell: Callable[[str], None] = lambda _line: None
    parts_only: frozenset[Key] = frozenset()
    memory: int | None = None
    slice_events: int | None = None


def _limits(order: Order, cancelled: Callable[[], bool], retries: int = 0) -> Limits:
    return Limits.with_slots(
        order.workers, order.chunk_events, cancelled, retries, memory=order.memory, slice_events=order.slice_events
    )


def run_order(order: Order) -> tuple[dict[Key, Result], RunReport]:
    """Give the results of the targets by task key, and the report."""
    with noted_interrupts(order.cancelled) as cancelled:
        return _run_order(replace(order, cancelled=cancelled))


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

    limits = _limits(order, order.cancelled, RETRIES)
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
    """Say whether what has to be read are few bytes of local files."""
    tables = {t.dataset.key: t.dataset for t in order.plan.tasks if t.dataset is not None and need.missing.get(t.key)}
    total = 0
    for table in tables.values():
        for file in table.files:
            try:
                total += os.stat(file).st_size  # noqa: PTH116 - thousands of files
            except OSError:
                return False
            if total >= order.small_bytes:
                return False
    return order.small_bytes > 0


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
        from hep_flows.orchestrate.reports import together

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
        from hep_flows.orchestrate.embedded import embedded_server, running_embedded

        is_new = not running_embedded(folder)
        server = embedded_server(folder)  # it starts while Prefect is imported
        if is_new:
            order.tell("starting a Prefect server for this process (hep-flows server start gives one that stays)")
    urls: list[str] = []
    with private_background(lambda: all(map(is_healthy, urls))):
        from hep_flows.orchestrate.prefect_settings import private_settings

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

    from hep_flows.orchestrate.carried import Here, Sender
    from hep_flows.orchestrate.work import Session

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
        "slice_events": order.slice_events,
        "refresh": order.refresh,
        "keep_going": order.keep_going,
    }
    return Sender(order.plan, told).carried


def _delivered(order: Order, outcomes: Sequence[Outcome]) -> tuple[dict[Key, Result], RunReport]:
    """Read the results that are wanted; what failed in a unit is not tried again."""
    from hep_flows.orchestrate.outcome import failures_of

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
