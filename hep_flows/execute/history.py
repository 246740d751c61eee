"""The expressions that were computed last, so that a plan can say what changed since then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import RecordError, line_of
from hep_flows.expr.key import digest
from hep_flows.expr.transport import decode, encode
from hep_flows.planning.changes import shape

if TYPE_CHECKING:
    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Expr
    from hep_flows.planning.task import Plan


def note_run(plan: Plan, results: Results) -> None:
    """Remember what was asked for."""
    if not results.is_kept:
        return
    for expr in plan.exprs:
        written = encode(expr).decode()
        for name in _names(expr):
            results.remember(name, written)


def last_like(expr: Expr, results: Results) -> Expr | None:
    """Give what was computed last on the same line of the analysis, or else something of the same shape."""
    for name in _names(expr):
        written = results.remembered(name)
        if isinstance(written, str):
            try:
                return decode(written.encode())
            except RecordError:
                continue
    return None


def _names(expr: Expr) -> tuple[bytes, ...]:
    form = shape(expr)
    line = line_of(expr.where)
    if line is None:
        return (digest("last", form),)
    file = line.file.rsplit("/", 1)[-1]
    return digest("last", form, file, line.line), digest("last", form), digest("last", b"", file, line.line)
