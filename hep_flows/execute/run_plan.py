"""Run a plan in this process: for tests, notebooks and debugging, and inside of every larger engine.

What is stored is looked up first, backwards from what was asked for. Then each table is gone through once per round, batch by batch
on threads; results are merged in the order of the batches.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hep_flows.execute.machine import Limits
from hep_flows.execute.results import Results
from hep_flows.execute.retry import DELAYS_S
from hep_flows.execute.run import Run, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.execute.report import RunReport, Step
    from hep_flows.planning.task import Key, Plan
    from hep_flows.plugin import Plugin, Result
    from hep_flows.store.store import Store

RETRIES = len(DELAYS_S)


def run_plan(
    plan: Plan,
    plugins: Sequence[Plugin],
    *,
    workers: int | None = None,
    chunk_events: int = 200_000,
    progress: Callable[[Step], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[Key, Result]:
    """Give the results of the plan's targets, by task key; nothing is looked up, and nothing stored.

    Parameters
    ----------
    plan : Plan
        What to run.
    plugins : sequence of Plugin
        Those that the plan was made with.
    workers : int, optional
        Threads; as many as there are processors when left out. The results do not depend on it.
    chunk_events : int
        About how many events a range has; another number may change the last digits of sums of floats.
    progress : callable, optional
        Gets a `Step` whenever a partition is done, in this thread.
    cancelled : callable, optional
        Asked now and then; once it is true the run ends with `Stopped`.

    Raises
    ------
    TaskError
        When a plug-in fails; the original is chained. Errors of hep_flows come out as they are.
    """
    return run_and_report(plan, plugins, workers=workers, chunk_events=chunk_events, progress=progress, cancelled=cancelled)[0]


def run_and_report(  # noqa: PLR0913 - every part of a run can be chosen
    plan: Plan,
    plugins: Sequence[Plugin],
    *,
    store: Store | None = None,
    refresh: bool = False,
    keep_going: bool = False,
    workers: int | None = None,
    chunk_events: int = 200_000,
    memory: int | None = None,
    slice_events: int | None = None,
    progress: Callable[[Step], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[dict[Key, Result], RunReport]:
    """Give the results as `run_plan` does, and what the run did.

    Parameters
    ----------
    store : Store, optional
        Where results are looked up and put.
    refresh : bool
        Compute what is stored once more, and replace it.
    keep_going : bool
        When something fails, compute everything else; what cannot be delivered is then missing in the results.
    """
    limits = Limits.with_slots(workers or _processors(), chunk_events, cancelled, RETRIES, memory=memory, slice_events=slice_events)
    return Run(plan, plugins, Results(store, refresh=refresh), limits, progress).all(Wish(keep_going=keep_going))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
