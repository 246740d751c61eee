"""The units of one run as one flow run of Prefect."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from prefect import allow_failure, flow
from prefect.states import Completed, Failed

from hep_flows.errors import OrchestrationError
from hep_flows.orchestrate.names import name_of
from hep_flows.orchestrate.outcome import Outcome
from hep_flows.orchestrate.show import Progress, report_artifact
from hep_flows.orchestrate.tasks import plain, unit_task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prefect.futures import PrefectWrappedFuture
    from prefect.states import State

    from hep_flows.orchestrate.carried import Carried
    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Plan
    from hep_flows.store.store import Store

FLOW = "hep-flows"
MOST_THREADS = 64
_ASK_S = 0.1


def run_flow(  # noqa: PLR0913 - every part of a flow run can be chosen
    plan: Plan,
    units: Sequence[Unit],
    carried: Callable[[Unit], Carried],
    store: Store,
    *,
    name: str,
    refresh: bool,
    task_runner: Any,
    stop: threading.Event,
    first_error_ends: bool,
) -> list[Outcome]:
    """Run the units, and give what became of each, in their order.

    Parameters
    ----------
    plan : Plan
        What they are units of.
    units : sequence of Unit
        In an order in which they can run.
    carried : callable
        Makes of a unit what a task run gets.
    store : Store
        Where the results are; the records lie in its folder.
    name : str
        The name of the flow run.
    refresh : bool
        Whether everything is done anew.
    task_runner : TaskRunner
        Prefect's.
    stop : threading.Event
        Set when nobody wants the results any more; units in this process see it.
    first_error_ends : bool
        Whether the first unit that fails ends the run.
    """
    roots = store.folder.root, tuple([layer.root for layer in store.layers])
    outcomes: list[Outcome] = []
    broken: list[BaseException] = []

    def all_units() -> State[Any]:
        futures: list[PrefectWrappedFuture[Any, Any]] = []
        try:
            for unit in units:
                made = unit_task(name_of(unit, plan), *roots, refresh=refresh)
                after = [futures[n] for n in unit.after]
                follows = [allow_failure(futures[n]) for n in unit.follows]
                futures.append(made.submit(unit.key.hex(), carried(unit), after, follows))
            outcomes.extend(_waited(units, futures, stop, first_error_ends=first_error_ends))
            report_artifact(plan, units, outcomes)
        except BaseException as error:
            stop.set()
            broken.append(error)
            raise
        return _final(outcomes)

    state = flow(all_units, name=FLOW, flow_run_name=plain(name), task_runner=task_runner, log_prints=False)(return_state=True)
    if broken:
        raise broken[0]
    if len(outcomes) < len(units):
        raise OrchestrationError(f"the flow run ended as {state.name} before its tasks did", why=str(state.message or ""))
    return outcomes


def _waited(
    units: Sequence[Unit], futures: Sequence[PrefectWrappedFuture[Any, Any]], stop: threading.Event, *, first_error_ends: bool
) -> list[Outcome]:
    """Wait for all units, and tell how far they are."""
    progress = Progress(len(units))
    done: dict[int, Outcome] = {}
    try:
        while len(done) < len(units):
            news = [i for i, f in enumerate(futures) if i not in done and f.wrapped_future.done()]
            for i in news:
                futures[i].wait()  # else the state is asked of the server, which does not have what the task gave
                done[i] = Outcome.of(units[i], futures[i].state)
                if first_error_ends and done[i].errors:
                    stop.set()
            progress.show(len(done))
            if not news:
                time.sleep(_ASK_S)
    except BaseException:
        stop.set()
        raise
    progress.show(len(done))
    return [done[i] for i in range(len(units))]


def _final(outcomes: Sequence[Outcome]) -> State[Any]:
    lost = [o for o in outcomes if not o.is_done]
    if not lost:
        return Completed(message=f"{len(outcomes)} tasks are done")
    return Failed(message=f"{len(lost)} of {len(outcomes)} tasks are missing; run it again, and only these are computed")
