"""Which tasks an error belongs to, found out without running them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import Site, line_of
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Collection

    from hep_flows.errors import HepFlowsError, SourceLine
    from hep_flows.execute.batches import Batch
    from hep_flows.execute.machine import Machine
    from hep_flows.execute.schedule import Pass
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Key, Task


def unstored(machine: Machine, one: Pass, batch: Batch, wanted: Collection[Key]) -> list[Task]:
    """Give the tasks of a pass that have to run on a batch for the results that are wanted, the last ones first."""
    needed = set(wanted)
    found: list[Task] = []
    for task in reversed([t for s in one.stages for t in s.tasks]):
        if task.key in needed and not machine.results.has(machine.keys.of_batch(task, batch)):
            needed.update(task.inputs)
            found.append(task)
    return found


def blamed(machine: Machine, one: Pass, batch: Batch, error: HepFlowsError) -> list[Key]:
    """Give those of the merged tasks of a pass that an error on a batch belongs to.

    These are the ones that need an expression of the line that the error names. An error that names none, as of a file that cannot be
    read, belongs to all that still had to be computed.
    """
    needed = {key: unstored(machine, one, batch, {key}) for key in sorted(one.merged)}
    tasks = {t.key: t for some in needed.values() for t in some}
    there = {k for k, t in tasks.items() if error.where is not None and _stands_at(t.expr, error.where)}
    found = [key for key, some in needed.items() if there.intersection([t.key for t in some])]
    return found or [key for key, some in needed.items() if some] or list(needed)


def _stands_at(root: Expr, place: SourceLine) -> bool:
    for node in postorder(root):
        where = node.where
        # To find the columns of a site takes long: most are of another line.
        if isinstance(where, Site) and (where.code.co_filename, where.lineno) != (place.file, place.line):
            continue
        if line_of(where) == place:
            return True
    return False
