"""The units of one run as one flow run of Prefect."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.states import Completed, Failed

from hep_flows.errors import OrchestrationError
from hep_flows.orchestrate.names import name_of
from hep_flows.orchestrate.outcome import Outcome
from hep_flows.orchestrate.show import Progress, report_artifact
from hep_flows.orchestrate.tasks import plain, unit_task

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectWrappedFuture

    from hep_flows.orchestrate.carried import Carried, Told
    from hep_flows.orchestrate.units import Unit
    from hep_flows.planning.task import Plan
    from hep_flows.store.store import Store

FLOW = "hep-flows"
MOST_THREADS = 64
_ASK_S = 0.1
_GLANCE_S = 0.01


@dataclass(slots=True)
class Job:
    """What a flow run does, and what came of it.

    Parameters
    ----------
    plan : Plan
        What the units are units of.
    units : sequence of Unit
        In an order in which they can run.
    carried : callable
        Makes of a unit, and of what it is told of those that it follows, what a task run gets.
    store : Store
        Where the results are; the records lie in its folder.
    name : str
        The name of the flow run.
    refresh : bool
        Whether everything is done anew.
    first_error_ends : bool
        Whether the first unit that fails ends the run.
    stop : threading.Event
        Set when nobody wants the results any more; units in this process see it.
    answers : callable
        Whether the server is still there; nothing is shown to one that is gone.
    """

    plan: Plan
    units: Sequence[Unit]
    carried: Callable[[Unit, Sequence[Told]], Carried]
    store: Store
    name: str
    refresh: bool
    first_error_ends: bool
    stop: threading.Event
    answers: Callable[[], bool] = lambda: True
    outcomes: list[Outcome] = field(default_factory=list)
    broken: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether it is known what became of each unit."""
        return len(self.outcomes) == len(self.units)


# The flow that Prefect sends to workers along with each task must hold nothing of this process, so it finds its job here.
_JOB: ContextVar[Job] = ContextVar("job of a flow run")


def run_flow(job: Job, task_runner: Any) -> list[Outcome]:
    """Run the units of a job, and give what became of each, in their order.

    Raises
    ------
    OrchestrationError
        When the flow run ended before its tasks did, or could not be started.
    """
    made = flow(name=FLOW, flow_run_name=plain(job.name), task_runner=task_runner, log_prints=False)(all_units)
    token = _JOB.set(job)
    try:
        state: State[Any] = made(return_state=True)
    except Exception as error:
        if job.broken is None and job.is_done:  # only the server does not know
            return job.outcomes
        raise _lost(error) from error
    finally:
        _JOB.reset(token)
    if job.broken is not None:
        raise job.broken
    if not job.is_done:
        raise OrchestrationError(f"the flow run ended as {state.name} before its tasks did", why=str(state.message or ""))
    return job.outcomes


def _lost(error: Exception) -> OrchestrationError:
    return OrchestrationError(
        "Prefect could not run the flow",
        why=f"{type(error).__name__}: {error}",
        do='what is computed is stored; see that the server runs, or run with engine="inline", which needs none',
    )


def all_units() -> State[Any]:
    """Submit the units of the job at hand, and wait for them."""
    job = _JOB.get()
    try:
        job.outcomes.extend(_Submitting(job).all())
    except BaseException as error:
        job.stop.set()
        job.broken = error
        raise
    if job.answers():
        report_artifact(job.plan, job.units, job.outcomes)
    return _final(job.outcomes)


class _Submitting:
    """Submits each unit as soon as those that it follows have ended; for what it takes results of, Prefect waits."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._roots = job.store.folder.root, tuple([layer.root for layer in job.store.layers])
        self._futures: dict[int, PrefectWrappedFuture[Any, Any]] = {}
        self._done: dict[int, Outcome] = {}

    def all(self) -> list[Outcome]:
        job = self._job
        progress = Progress(len(job.units), job.answers)
        while len(self._done) < len(job.units):
            n_before = len(self._done), len(self._futures)
            self._submit()
            self._collect()
            progress.show(len(self._done))
            if (len(self._done), len(self._futures)) == n_before:
                time.sleep(_ASK_S)
        return [self._done[u.number] for u in job.units]

    def _submit(self) -> None:
        for unit in self._job.units:
            if unit.number in self._futures or not set(unit.follows) <= set(self._done):
                continue
            if set(unit.after) <= set(self._futures):
                self._futures[unit.number] = self._submitted(unit)

    def _submitted(self, unit: Unit) -> PrefectWrappedFuture[Any, Any]:
        job = self._job
        made = unit_task(name_of(unit, job.plan), *self._roots, refresh=job.refresh)
        after = [self._futures[n] for n in unit.after]
        before = [self._done[n].told(objects=job.refresh) for n in unit.follows]
        future: Any = made.submit(unit.key.hex(), job.carried(unit, before), after)
        return future  # type: ignore[no-any-return]

    def _collect(self) -> None:
        for number, future in self._futures.items():
            if number in self._done or not _has_ended(future):
                continue
            future.wait()  # else the state is asked of the server, which does not have what the task gave
            self._done[number] = Outcome.of(self._job.units[number], future.state)
            if self._job.first_error_ends and self._done[number].errors:
                self._job.stop.set()


def _has_ended(future: PrefectWrappedFuture[Any, Any]) -> bool:
    """Say whether a task run is over, without asking the server."""
    done = getattr(future.wrapped_future, "done", None)
    if done is not None:
        return bool(done())
    future.wait(_GLANCE_S)  # Ray's futures can only be waited for
    return future._final_state is not None  # noqa: SLF001 - its public name asks the server


def _final(outcomes: Sequence[Outcome]) -> State[Any]:
    lost = [o for o in outcomes if not o.is_done]
    if not lost:
        return Completed(message=f"{len(outcomes)} tasks are done")
    return Failed(message=f"{len(lost)} of {len(outcomes)} tasks are missing; run it again, and only these are computed")
