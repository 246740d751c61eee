"""Cutflows: how many events each cut leaves, in the order of the cuts, from the filters that an expression has anyway.

Nothing is booked. The event filters between the table and an expression are found in the expression itself; a mask ``a & b`` is two
cuts, unless `cut` makes it one. Each row is a count (and a sum of weights) of its own, so that all rows are computed in the same pass
over the data as everything else that is asked for, and are stored like it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AxisError, LiteralError, Site, visible, with_article
from hep_flows.expr import build
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Dataset, Expr, Filter
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Bool, Histogram
from hep_flows.expr.variations import at, labels
from hep_flows.expr.walk import postorder, rewrite
from hep_flows.record.arguments import checked
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.histogram import HistogramRequest
from hep_flows.record.operands import expr_of
from hep_flows.record.variations import Asked, Rows
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hep_flows.errors import Where
    from hep_flows.record.table import Table

_WIDTH = 100
ALL = "all events"


class _CutSite(Site):
    """Where a mask was written that has a name; the name changes no result and no key."""

    __slots__ = ("name",)

    def __init__(self, site: Site, name: str) -> None:
        super().__init__(site.code, site.instruction, site.lineno)
        self.name = name


@checked
def cut(name: Any, mask: Any) -> Any:
    """Give a mask a name for cutflows: ``df[cut("2 muons", df.Muon.Count() >= 2)]``. It is the same mask, of the same key.

    Parameters
    ----------
    name : str
        The name of the row. A mask ``a & b`` that has a name is one cut.
    mask : DataFrame
        True or false for each event.
    """
    where = user_site()
    if not isinstance(name, str) or not name.strip():
        raise LiteralError(f"a cut is called by a text, not {name!r}", where=where, do='cut("2 muons", mask)')
    if not isinstance(mask, DataFrame):
        raise LiteralError(f"a cut is a mask, not {with_article(mask)}", where=where, do=f'cut("{visible(name)}", df.MET.pt > 30)')
    expr = mask._expr  # noqa: SLF001
    if not isinstance(expr.type.item, Bool):
        raise LiteralError(
            f"a cut is true or false for each event, and this is {expr.type}", where=where, do="compare it with a number"
        )
    site = where if where is not None else Site(cut.__code__, 0, cut.__code__.co_firstlineno)
    named = replace(expr, where=_CutSite(site, name))
    return mask._made(named)  # noqa: SLF001


class CutflowRequest:
    """A cutflow in an analysis: computed with its other results."""

    __slots__ = ("_asked", "_table")

    def __init__(self, asked: Asked, table: Table) -> None:
        """Take what is asked for, and the table that it is of."""
        self._asked, self._table = asked, table

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<cutflow of {self._table.name}>"


def requested(e: Any, weight: Any, *, n_minus_one: bool, where: Where) -> CutflowRequest:
    """Give the cutflow of an expression, to be computed; see `hep_flows.verbs.cutflow`."""
    if not isinstance(e, DataFrame | HistogramRequest) or e._table is None:  # noqa: SLF001
        raise LiteralError(
            f"a cutflow is of an expression of events, not of {with_article(e)}", where=where, do="cutflow(df[mask].MET.pt)"
        )
    table = e._table  # noqa: SLF001
    whole = table.whole
    cuts = _cuts(_events_of(e._expr, where), whole)  # noqa: SLF001
    w = None if weight is None else _weight(weight, table, where)
    exprs = _left_out(cuts, whole, w) if n_minus_one else _one_by_one(cuts, whole, w)
    names = [*([] if n_minus_one else [ALL]), *[c.name for c in cuts]]
    return CutflowRequest(_asked(names, exprs, n_minus_one=n_minus_one, weighted=w is not None), table)


def _asked(names: Sequence[str], exprs: Sequence[tuple[Expr, Expr | None]], *, n_minus_one: bool, weighted: bool) -> Asked:
    parts: dict[str, Expr] = {}
    for i, (events, sumw) in enumerate(exprs):
        parts[f"{i}.events"] = events
        if sumw is not None:
            parts[f"{i}.sumw"] = sumw
    variations = labels(*parts.values())
    every = parts
    if variations:
        each = at(parts.values(), *variations)
        every = {f"{v}.{n}": e for v in variations for n, e in zip(parts, each[v], strict=True)}
    return Asked(every, Rows(tuple(names), n_minus_one, weighted, variations))


# The cuts of an expression -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut:
    """A cut: its name, its mask on the events that the filters before left, and on all events; which filter it belongs to."""

    name: str
    mask: Expr
    of_all: Expr
    filter: int


def _events_of(expr: Expr, where: Where) -> Expr:
    """Give a part of an expression that has a value for each event.

    Raises
    ------
    LiteralError
        When there is none, or there are some of several selections.
    """
    found: dict[bytes, Expr] = {}
    ahead = [expr]
    while ahead:
        node = ahead.pop()
        if node.type.axes:
            found.setdefault(node.type.axes[0].key, node)
            continue
        inputs: list[Expr] = [i for i in node.inputs() if not isinstance(i, Dataset)] or [*node.inputs()]
        if isinstance(node, Call) and node.function == "scaled":
            inputs = inputs[:1]
        elif isinstance(node, Call) and node.function == "fill":  # a number that all its entries share is of no events
            inputs = [i for i in inputs if i.type.axes or isinstance(i.type.item, Histogram)]
        ahead += inputs
    if len(found) != 1:
        what = "this is of several selections" if found else "this is one number"
        raise LiteralError(f"a cutflow is of an expression of events, and {what}", where=where, do="cutflow(df[mask].MET.pt)")
    return next(iter(found.values()))


def _cuts(of: Expr, whole: Expr) -> list[_Cut]:
    """Give the cuts between a table and an expression, the first one first."""
    axis = of.type.axes[0].key
    nodes = list(postorder(of))
    masks: list[Expr] = []
    while axis != whole.type.axes[0].key:
        made = next((n for n in nodes if _selects(n) and n.type.axes[0].key == axis), None)
        if made is None:
            break
        before: Expr = made.inputs()[0]
        masks.insert(0, made.mask if isinstance(made, Filter) else made)
        axis = before.type.axes[0].key
    found: list[_Cut] = []
    stripped = {m.key for m in masks}
    for i, mask in enumerate(masks):
        if isinstance(mask, Call) and mask.function == "slice":
            found.append(_Cut(f"events {one_line(mask, _WIDTH).rpartition('[')[2].rstrip(']')}", mask, mask, i))
            continue
        for part in _parts(mask):
            of_all = _of_all_events(part, stripped)
            found.append(_Cut(_name(part) or one_line(of_all, _WIDTH), part, of_all, i))
    return found


def _selects(node: Expr) -> bool:
    if isinstance(node, Filter):
        return node.at == 0
    return isinstance(node, Call) and node.function == "slice" and node.option("at") == 0


def _name(mask: Expr) -> str:
    return mask.where.name if isinstance(mask.where, _CutSite) else ""


def _parts(mask: Expr) -> list[Expr]:
    """Give the masks that all have to be true, in the order in which they were written."""
    found: list[Expr] = []
    ahead = [mask]
    while ahead:
        node = ahead.pop()
        if isinstance(node, Call) and node.function in ("bitwise_and", "logical_and") and not _name(node) and _are_masks(node):
            ahead += [node.args[1], node.args[0]]
        else:
            found.append(node)
    return found


def _are_masks(node: Call) -> bool:
    return all(isinstance(a.type.item, Bool) for a in node.args)


def _of_all_events(mask: Expr, stripped: set[bytes]) -> Expr:
    """Give a mask without the selections of events before it; numbers over all selected events stay what they are."""

    def change(node: Expr, inputs: tuple[Expr, ...]) -> Expr:
        if isinstance(node, Filter) and node.at == 0 and node.mask.key in stripped:
            return inputs[0]
        return rebuilt(node, inputs)

    return rewrite([mask], change, into=lambda node: bool(node.type.axes))[0]


def _weight(weight: Any, table: Table, where: Where) -> Expr:
    w = expr_of(weight, table, where)
    if w.type.axes and w.type.axes != table.whole.type.axes:
        raise AxisError(
            f"the weight of a cutflow is one number for each event of the table, and this is {w.type}",
            where=where,
            why="its first row has all events",
            do="take the weight of the table itself: cutflow(ev, weight=df.genWeight)",
        )
    if w.type.optional:
        raise LiteralError(
            f"the weight may be missing: it is {w.type}",
            where=where,
            why="an event without a weight would count in the number of events and not in the sum",
            do="say what it is then: ak.fill_none(w, 1.0)",
        )
    return w


def _rows_of(selected: Expr, w: Expr | None) -> tuple[Expr, Expr | None]:
    events = build.call("count", (selected,))
    if w is None:
        return events, None
    return events, build.call("sum", (w,)) if w.type.axes else build.call("multiply", (events, w))


def _selected(w: Expr | None, mask: Expr) -> Expr | None:
    """Give the weights of selected events; one number is that of each event."""
    return w if w is None or not w.type.axes else build.filtered(w, mask, 0)


def _one_by_one(cuts: Sequence[_Cut], whole: Expr, w: Expr | None) -> list[tuple[Expr, Expr | None]]:
    rows = [_rows_of(whole, w)]
    before, w_before = whole, w
    so_far: list[Expr] = []
    for i, one in enumerate(cuts):
        if isinstance(one.mask, Call) and one.mask.function == "slice":
            before = rebuilt(one.mask, (before,))
            w_before = w_before if w_before is None or not w_before.type.axes else rebuilt(one.mask, (w_before,))
            rows.append(_rows_of(before, w_before))
            continue
        so_far.append(one.mask)
        mask = _all(so_far)
        selected = build.filtered(before, mask, 0)
        w_selected = _selected(w_before, mask)
        rows.append(_rows_of(selected, w_selected))
        if i + 1 == len(cuts) or cuts[i + 1].filter != one.filter:
            before, w_before, so_far = selected, w_selected, []
    return rows


def _left_out(cuts: Sequence[_Cut], whole: Expr, w: Expr | None) -> list[tuple[Expr, Expr | None]]:
    rows = []
    for one in cuts:
        others = [c.of_all for c in cuts if c is not one]
        mask = _all(others) if others else None
        selected = whole if mask is None else build.filtered(whole, mask, 0)
        rows.append(_rows_of(selected, w if mask is None else _selected(w, mask)))
    return rows


def _all(masks: Sequence[Expr]) -> Expr:
    mask = masks[0]
    for more in masks[1:]:
        mask = build.call("bitwise_and", (mask, more))
    return mask
