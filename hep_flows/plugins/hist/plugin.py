"""The plug-in that fills histograms."""

from __future__ import annotations

import json
from functools import reduce
from typing import TYPE_CHECKING, TypeGuard

from hep_flows.contract import LOCAL, LOCAL_VERSION, HistogramResult, No, Plugin, Program, Scalar, Yes
from hep_flows.expr.nodes import Call
from hep_flows.expr.types import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.contract import Key, Label, Result, RunContext, Task
    from hep_flows.expr.nodes import Expr

FUNCTIONS = frozenset({"histogram", "fill", "np_histogram", "scaled"})


class HistPlugin(Plugin):
    """Fills `hist.Hist` histograms, and numpy's."""

    name = "hist"
    result_version = LOCAL_VERSION

    def family(self, kind: str) -> str:
        """Give the family of the built-in plug-ins."""
        del kind
        return LOCAL

    def can_run(self, node: Expr, inputs: Sequence[Label]) -> Yes | No:
        """Say yes to histograms and fills."""
        if isinstance(node, Call) and node.function in FUNCTIONS:
            return Yes()
        return No("it fills histograms and does nothing else")

    def translate(self, task: Task) -> Program:
        """Give what is filled, as text."""
        return Program(task, _text(task.expr), "hist")

    def columns(self, task: Task) -> tuple[str, ...]:
        """Give nothing: it fills with what others read."""
        return ()

    def run(self, programs: Sequence[Program], inputs: Mapping[Key, Result], context: RunContext) -> dict[Key, Result]:
        """Fill with the columns of one partition."""
        return {p.task.key: HistogramResult(_part(p.task, inputs, context)) for p in programs}

    def carries(self, task: Task) -> bool:
        """Say yes: every histogram is filled on."""
        del task
        return True

    def merge(self, program: Program, parts: Sequence[Result]) -> Result:
        """Add parts in order; gives a `hist.Hist`, or numpy's counts and edges."""
        total: Result | None = None
        for part in parts:
            total = self.fold(program, total, part)
        assert isinstance(total, HistogramResult)
        expr = program.task.expr
        if _is_numpy(expr):
            from hep_flows.plugins.hist.fill import counts_sum

            return HistogramResult(counts_sum(expr, [total.histogram]))
        from hep_flows.plugins.hist.fill import constant_factor, times

        factor = constant_factor(expr)
        whole = total.histogram.histogram()
        return HistogramResult(whole if factor is None else times(whole, factor))

    def fold(self, program: Program, before: Result | None, part: Result) -> Result:
        """Give one part for all before and this one."""
        assert isinstance(part, HistogramResult)
        expr = program.task.expr
        if _is_numpy(expr):
            from hep_flows.plugins.hist.fill import added

            if before is None:
                return part
            assert isinstance(before, HistogramResult)
            return HistogramResult(added(before.histogram, part.histogram))
        from hep_flows.plugins.hist.fill import FillSum

        if before is None and isinstance(part.histogram, FillSum):
            return part
        total = FillSum(expr) if before is None else before.histogram  # type: ignore[union-attr]
        total.add(part.histogram)
        return HistogramResult(total)

    def kept(self, program: Program, parts: Sequence[Result]) -> Result | None:
        """Give what was filled so far: a histogram, or the counts, the edges and the type of numpy's."""
        expr = program.task.expr
        made = [p.histogram for p in parts if isinstance(p, HistogramResult)]
        if _is_numpy(expr):
            from hep_flows.plugins.hist.fill import added

            total = reduce(added, made)
            return Scalar((total.counts, total.edges, total.dtype))
        from hep_flows.plugins.hist.fill import filled_alone

        alone = filled_alone(expr, made)
        return None if alone is None else HistogramResult(alone)

    def parts_of(self, program: Program, kept: Result) -> Sequence[Result]:
        """Give one part for all that were kept together."""
        if isinstance(kept, Scalar):
            from hep_flows.plugins.hist.fill import CountsPart

            return (HistogramResult(CountsPart(*kept.value)),)
        from hep_flows.plugins.hist.fill import FillPart

        assert isinstance(kept, HistogramResult)
        return (HistogramResult(FillPart(None, kept.histogram, ())),)


def _is_numpy(expr: Expr) -> TypeGuard[Call]:
    return isinstance(expr, Call) and expr.function == "np_histogram"


def _is_scaled(expr: Expr) -> TypeGuard[Call]:
    return isinstance(expr, Call) and expr.function == "scaled"


def _part(task: Task, inputs: Mapping[Key, Result], context: RunContext) -> object:
    earlier = context.slice.before.get(task.key) if context.slice is not None else None
    before = earlier.histogram if isinstance(earlier, HistogramResult) else None
    if _is_scaled(task.expr):
        from hep_flows.plugins.hist.fill import constant_factor, scaled

        if constant_factor(task.expr) is None:
            return scaled(task.expr, inputs)
    if _is_numpy(task.expr):
        from hep_flows.plugins.hist.fill import counts_part

        return counts_part(task.expr, inputs, before)
    from hep_flows.plugins.hist.fill import fill_part

    return fill_part(task.expr, inputs, before, more=context.slice is not None and context.slice.more)


def _text(expr: Expr) -> str:
    """Give the axes and the storage, and what is filled."""
    from hep_flows.expr.text import one_line

    assert isinstance(expr.type.item, Histogram)
    return "\n".join([*_axes_text(expr.type.item.spec), one_line(expr)])


def _axes_text(spec: str) -> list[str]:
    if not spec:
        return []
    read = json.loads(spec)
    axes = ", ".join([f"{a['kind']} {a['name']}".strip() for a in read["axes"]])
    return [f"Hist({axes}, {read['storage']['kind']})"]
