"""The passes of one round, over their tables side by side.

Before: passes that do not wait for each other. After: each of them done, in their order. Their batches are one sequence of work, in
which those of several tables are in flight at a time, and no more than there are workers. What comes of them is taken in the order of
the sequence, so nothing in a result or a report depends on which was there first.
"""

from __future__ import annotations

from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError
from hep_flows.in_order import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from hep_flows.execute.batches import Batch
    from hep_flows.execute.machine import Limits
    from hep_flows.execute.run_batch import BatchDone
    from hep_flows.execute.run_pass import PassRun

_Item = tuple["PassRun", "Batch"]


def run_passes(passes: Sequence[PassRun], limits: Limits) -> Generator[PassRun, None, None]:
    """Do the work of some passes, and give each as soon as it and those before it are done.

    Parameters
    ----------
    passes : sequence of PassRun
        In the order in which they are to be given.
    limits : Limits
        How to use the machine.

    Raises
    ------
    HepFlowsError
        The first one in the order of the passes that ends the run; the pass has noted it.
    """
    for is_alone, some in groupby(passes, _is_alone):
        for group in [[one] for one in some] if is_alone else [list(some)]:
            _ahead([one for one in group if one.is_streaming], limits)
            yield from _batches(group, limits)


def _is_alone(one: PassRun) -> bool:
    """Say whether a pass is not to run beside others: it stops early, or all that it asks for ahead is held in memory."""
    return bool(one.one.enough) or (one.is_streaming and not one.machine.results.is_kept)


def _ahead(passes: Sequence[PassRun], limits: Limits) -> None:
    each = max(1, limits.workers // max(1, len(passes)))

    def work(one: PassRun, cancelled: Callable[[], bool]) -> None:
        one.ahead(each, cancelled)

    with closing(in_order(work, passes, limits.workers, limits.cancelled)) as results:
        for one in passes:
            try:
                next(results)
            except HepFlowsError as error:
                one.begin()
                one.ended(error)
                raise


def _batches(passes: Sequence[PassRun], limits: Limits) -> Generator[PassRun, None, None]:
    items = [(one, batch) for one in passes for batch in one.batches if not one.one.enough]
    side_by_side = max(1, min(limits.workers, len(items)))
    each, is_alone = max(1, limits.workers // side_by_side), side_by_side == 1

    def work(item: _Item, cancelled: Callable[[], bool]) -> BatchDone | HepFlowsError:
        one, batch = item
        return one.work(batch, each, cancelled, is_alone=is_alone)

    with closing(in_order(work, items, side_by_side, limits.cancelled)) as results:
        for one in passes:
            one.begin()
            if one.one.enough:
                one.until_enough()
            for batch in one.batches if not one.one.enough else ():
                try:
                    done = next(results)
                except HepFlowsError as error:
                    one.ended(error, batch)
                    raise
                one.take(batch, done, is_told=is_alone)
            yield one
