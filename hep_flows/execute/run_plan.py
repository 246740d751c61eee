"""Run a plan in this process: for tests, notebooks and debugging, and inside of every larger engine.

Each table is read once per round, partition by partition on threads; results are merged in the order of the partitions.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.errors import PluginError
from hep_flows.execute.in_order import Done, Item, in_order
from hep_flows.execute.merge import Merging
from hep_flows.execute.report import RunReport, StageTime, Step
from hep_flows.execute.run_stages import run_stages
from hep_flows.execute.schedule import schedule
from hep_flows.plugin import Partition, RunContext, Splitting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence

    from hep_flows.execute.schedule import Pass, Round, Stage
    from hep_flows.expr.nodes import Dataset
    from hep_flows.planning.task import Key, Plan
    from hep_flows.plugin import Plugin, Program, Result


def run_plan(
    plan: Plan,
    plugins: Sequence[Plugin],
    *,
    workers: int | None = None,
    chunk_events: int = 200_000,
    progress: Callable[[Step], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[Key, Result]:
    """Give the results of the plan's targets, by task key.

    Parameters
    ----------
    plan : Plan
        What to run.
    plugins : sequence of Plugin
        Those that the plan was made with.
    workers : int, optional
        Threads; as many as there are processors when left out. The results do not depend on it.
    chunk_events : int
        About how many events one partition has.
    progress : callable, optional
        Gets a `Step` whenever a partition is merged, in this thread.
    cancelled : callable, optional
        Asked now and then; once it is true the run ends with `Stopped`.

    Raises
    ------
    TaskError
        When a plug-in fails; the original is chained. Errors of hep_flows come out as they are.
    """
    return run_and_report(plan, plugins, workers=workers, chunk_events=chunk_events, progress=progress, cancelled=cancelled)[0]


def run_and_report(
    plan: Plan,
    plugins: Sequence[Plugin],
    *,
    workers: int | None = None,
    chunk_events: int = 200_000,
    progress: Callable[[Step], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[dict[Key, Result], RunReport]:
    """Give the results as `run_plan` does, and what the run did."""
    run = _Run(plan, plugins, Limits(workers or _processors(), chunk_events, cancelled), progress)
    start = time.perf_counter()
    rounds = schedule(plan)
    for number, this in enumerate(rounds):
        run.round(this, number, len(rounds))
        run.keep_only({*plan.targets, *_inputs(rounds[number + 1 :])})
    targets = {k: run.merged[k] for k in plan.targets}
    stages = tuple([StageTime(plugin, tasks, seconds) for (plugin, tasks), seconds in run.stages.items()])
    seconds = time.perf_counter() - start
    return targets, RunReport(seconds, run.events, run.partitions, len(rounds), stages, run.merging)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run is to use the machine, and whether it is still wanted."""

    workers: int
    chunk_events: int
    cancelled: Callable[[], bool]


class _Run:
    """The state of one run: merged results, and how long what took."""

    def __init__(self, plan: Plan, plugins: Sequence[Plugin], limits: Limits, progress: Callable[[Step], None] | None) -> None:
        self.plugins: Mapping[str, Plugin] = {p.name: p for p in plugins}
        self.programs: dict[Key, Program] = {t.key: self.plugin(t.plugin).translate(t) for t in plan.tasks}
        self.limits = limits
        self.progress = progress
        self.merged: dict[Key, Result] = {}
        self.split: dict[Key, tuple[Partition | None, ...]] = {}
        self.stages: dict[tuple[str, tuple[Key, ...]], float] = {}
        self.merging: dict[Key, float] = {}
        self.events = 0
        self.partitions = 0

    def plugin(self, name: str) -> Plugin:
        if name not in self.plugins:
            raise PluginError(
                f"the plan needs the plug-in {name!r}, which is not here",
                why=f"there are: {', '.join(sorted(self.plugins)) or 'none'}",
                do="make the plan again, or install the plug-in",
            )
        return self.plugins[name]

    def round(self, this: Round, number: int, rounds: int) -> None:
        for one in this.passes:
            self.over_partitions(one, number, rounds)
        for stage in this.whole:
            keys = [t.key for t in stage.tasks]
            parts, seconds = run_stages(
                [stage], self.plugins, self.programs, self.merged, RunContext(cancelled=self.limits.cancelled), keys
            )
            self._took([stage], seconds)
            for key in keys:
                self._merge(key, [parts[key]])

    def keep_only(self, keys: Collection[Key]) -> None:
        """Let go of merged results that nothing needs any more."""
        self.merged = {k: r for k, r in self.merged.items() if k in keys}

    def over_partitions(self, one: Pass, number: int, rounds: int) -> None:
        partitions = self.partitions_of(one)
        merging = {k: Merging(self.plugins[self.programs[k].task.plugin], self.programs[k]) for k in one.merged}
        total = sum([_events(p) for p in partitions])
        done = 0

        def work(partition: Partition | None, cancelled: Callable[[], bool]) -> tuple[dict[Key, Result], list[float]]:
            context = RunContext(partition=partition, cancelled=cancelled)
            return run_stages(one.stages, self.plugins, self.programs, self.merged, context, one.merged)

        alone = 1 if one.enough else 0
        with closing(self.results(work, partitions, alone)) as results:
            for i, (partition, (parts, seconds)) in enumerate(zip(partitions, results, strict=True)):
                for key, merge in merging.items():
                    merge.add(parts[key])
                self._took(one.stages, seconds)
                done += _events(partition)
                if self.progress is not None:
                    self.progress(Step(one.dataset.name, number + 1, rounds, i + 1, len(partitions), done, total))
                self.partitions += 1
                if one.enough and all(merging[k].events >= n for k, n in one.enough.items()):
                    break
        self.events += done
        for key, merge in merging.items():
            self.merged[key] = merge.outcome()
            self.merging[key] = merge.seconds

    def results(
        self, work: Callable[[Item, Callable[[], bool]], Done], items: Sequence[Item], alone: int
    ) -> Generator[Done, None, None]:
        """Work on a few first items one by one (they may be all that is needed), then on the others on threads."""
        yield from in_order(work, items[:alone], 1, self.limits.cancelled)
        yield from in_order(work, items[alone:], self.limits.workers, self.limits.cancelled)

    def partitions_of(self, one: Pass) -> tuple[Partition | None, ...]:
        """Give the partitions of a table, at least one: an empty table has empty results of the right type."""
        dataset = one.dataset
        if dataset.key not in self.split:
            splitting = next((p for s in one.stages if isinstance(p := self.plugins[s.plugin], Splitting)), None)
            found = splitting.partitions(dataset, self.limits.chunk_events) if splitting is not None else (None,)
            self.split[dataset.key] = found or (_empty(dataset),)
        return self.split[dataset.key]

    def _merge(self, key: Key, parts: Sequence[Result]) -> None:
        merge = Merging(self.plugins[self.programs[key].task.plugin], self.programs[key])
        for part in parts:
            merge.add(part)
        self.merged[key] = merge.outcome()
        self.merging[key] = merge.seconds

    def _took(self, stages: Sequence[Stage], seconds: Sequence[float]) -> None:
        for stage, s in zip(stages, seconds, strict=True):
            name = (stage.plugin, tuple([t.key for t in stage.tasks]))
            self.stages[name] = self.stages.get(name, 0.0) + s


def _inputs(rounds: Sequence[Round]) -> Iterator[Key]:
    for this in rounds:
        for stage in [*[s for p in this.passes for s in p.stages], *this.whole]:
            for task in stage.tasks:
                yield from task.inputs


def _events(partition: Partition | None) -> int:
    return 0 if partition is None else partition.stop - partition.start


def _empty(dataset: Dataset) -> Partition:
    return Partition(dataset.files[0] if dataset.files else "", 0, 0, 0, 0)
