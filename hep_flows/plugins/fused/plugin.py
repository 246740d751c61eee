"""The plug-in that compiles: the same tasks as `awkward`'s, the same bits, in loops of machine code where that pays."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import TYPE_CHECKING

from hep_flows.contract import No, StandIn, Yes
from hep_flows.expr.nodes import Call, Filter, Map
from hep_flows.expr.walk import postorder
from hep_flows.plugins.awkward.plugin import AwkwardPlugin
from hep_flows.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.contract import Key, Label, Program, Result, RunContext, Task
    from hep_flows.expr.nodes import Expr

# The cost model. Numpy takes about so long for an item of one step of a task, and a task of less than that in all is left alone: a function
# takes as long to compile. Which loops of the others are compiled is seen while they run: `hep_flows.plugins.fused.regions.Loop`.
STEP_S = 3e-9
LEAST_S = 0.5
_STRUCTURE = frozenset({"argcombinations", "gather", "flatten", "concatenate", "argsort", "pick", "argmin", "argmax"})


class FusedPlugin(AwkwardPlugin):
    """Stands in for `awkward` in tasks of many events and steps.

    It reads files and merges as `awkward` does, and computes in compiled loops what `hep_flows.plugins.fused.source` can write.
    """

    name = "fused"
    sources = ()

    def __init__(self) -> None:
        """Look at the setting ``compiled``; numba is loaded when something is compiled."""
        super().__init__()
        self._how = read_settings().compiled if importlib.util.find_spec("numba") is not None else "never"

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say yes to what has a place in compiled loops; everything else stays with `awkward`."""
        del inputs
        from hep_flows.plugins.fused.source import refusal

        why = refusal(node)
        return No(why) if why else Yes()

    def stands_in(self, task: Task) -> StandIn | None:
        """Say whether a task is worth compiled loops, and which of its nodes stay outside."""
        if self._how == "never" or task.plugin != "awkward":
            return None
        nodes = list(postorder(task.expr))
        if self._how == "auto" and not _is_large(task, nodes):
            return None
        from hep_flows.plugins.awkward.needed import output_of
        from hep_flows.plugins.fused.regions import refusals

        roots = list(output_of(task.expr).exprs())
        left = refusals(roots)
        # How they are written is seen when they run: a plan of ten thousand tasks is only looked at.
        return StandIn(runs=any(n.key not in left and isinstance(n, Call | Filter | Map) for n in postorder(*roots)), left=left)

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Evaluate the tasks together, as `awkward` does; a loop that is not worth compiling is left to numpy."""
        from hep_flows.plugins.awkward.evaluate import run_tasks
        from hep_flows.plugins.fused.regions import compiled, evaluate_fused
        from hep_flows.sources.read import read_columns

        evaluating = partial(evaluate_fused, loop_of=compiled, always=self._how == "always")
        return run_tasks([p.task for p in programs], inputs, context, partial(read_columns, tables=self._tables()), evaluating)


def _is_large(task: Task, nodes: Sequence[Expr]) -> bool:
    """Say whether numpy would take longer for a task than compiling does: by the events and the steps, and only where structure is made."""
    if task.dataset is None or not any(n.type.loops or (isinstance(n, Call) and n.function in _STRUCTURE) for n in nodes):
        return False
    said = [c.partition(":")[0] for c in task.dataset.content]
    if not all(n.isdigit() for n in said):
        return False  # only a server knows how many events there are
    return sum(map(int, said)) * len(nodes) * STEP_S >= LEAST_S
