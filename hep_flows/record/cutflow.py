"""Cutflows: how many events each cut leaves, from the filters that an expression has anyway; and why a single event passes or fails.

Nothing is booked. The event filters between the table and an expression are found in the expression itself; a mask ``a & b`` is two
cuts, unless `cut` makes it one. Each row is a count (and a sum of weights) of its own, so that all rows are computed in the same pass
over the data as everything else that is asked for, and are stored like it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from hep_flows.errors import AxisError, LiteralError, Site, visible, with_article
from hep_flows.expr import build
from hep_flows.expr.loops import rebuilt
from hep_flows.expr.nodes import Call, Dataset, Expr, Field, Filter, Literal
from hep_flows.expr.text import one_line
from hep_flows.expr.types import Bool, Histogram, Record
from hep_flows.expr.variations import NOMINAL, at, labels
from hep_flows.expr.walk import postorder, rewrite
from hep_flows.record.arguments import checked
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.histogram import HistogramRequest
from hep_flows.record.operands import event_ids, expr_of
from hep_flows.record.variations import Asked, Reasons, Requested, Rows
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


def requested(e: Any, weight: Any, *, n_minus_one: bool, where: Where) -> Requested:
    """Give the cutflow of an expression, to be computed; see `hep_flows.verbs.cutflow`."""
    table = _table_of(e, "a cutflow", "cutflow(df[mask].MET.pt)", where)
    whole = table.whole
    cuts = _cuts(_events_of(e._expr, "a cutflow", where), whole)  # noqa: SLF001
    w = None if weight is None else _weight(weight, table, where)
    exprs = _left_out(cuts, whole, w) if n_minus_one else _one_by_one(cuts, whole, w)
    names = [*([] if n_minus_one else [ALL]), *[c.name for c in cuts]]
    return Requested("cutflow", _asked(names, exprs, n_minus_one=n_minus_one, weighted=w is not None), table)


def _table_of(e: Any, what: str, do: str, where: Where) -> Table:
    if not isinstance(e, DataFrame | HistogramRequest) or e._table is None:  # noqa: SLF001
        raise LiteralError(f"{what} is of an expression of events, not of {with_article(e)}", where=where, do=do)
    return e._table  # noqa: SLF001


def _asked(names: Sequence[str], exprs: Sequence[tuple[Expr, Expr | None]], *, n_minus_one: bool, weighted: bool) -> Asked:
    parts: dict[str, Expr] = {}
    for i, (events, sumw) in enumerate(exprs):
        parts[f"{i}.events"] = events
        if sumw is not None:
            parts[f"{i}.sumw"] = sumw
    variations, every = _by_variation(parts)
    return Asked(every, Rows(tuple(names), n_minus_one, weighted, variations))


def _by_variation(parts: Mapping[str, Expr]) -> tuple[tuple[str, ...], Mapping[str, Expr]]:
    variations = labels(*parts.values())
    if not variations:
        return (), parts
    each = at(parts.values(), *variations)
    return variations, {f"{v}.{n}": e for v in variations for n, e in zip(parts, each[v], strict=True)}


# The cuts of an expression -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cut:
    """A cut: its name, its mask on the events that the filters before left, and on all events; which filter it belongs to."""

    name: str
    mask: Expr
    of_all: Expr
    filter: int


def _events_of(expr: Expr, asked: str, where: Where) -> Expr:
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
        raise LiteralError(
            f"{asked} is of an expression of events, and {what}", where=where, do="take the events themselves: df[mask]"
        )
    return next(iter(found.values()))


def _cuts(of: Expr, whole: Expr) -> list[_Cut]:
    """Give the cuts between a table and an expression, the first one first."""
    masks = _selections(of, whole)
    found: list[_Cut] = []
    stripped = {m.type.axes[0].key if _is_slice(m) else m.key for m in masks}
    for i, mask in enumerate(masks):
        if _is_slice(mask):
            bounds = ["" if mask.option(b) is None else str(mask.option(b)) for b in ("start", "stop", "step")]
            found.append(_Cut(f"events {':'.join(bounds if bounds[2] else bounds[:2])}", mask, mask, i))
            continue
        for part in _parts(mask):
            of_all = _of_all_events(part, stripped)
            found.append(_Cut(_name(part) or _text(of_all), part, of_all, i))
    return found


def _selections(of: Expr, whole: Expr) -> list[Expr]:
    """Give the selections of events between a table and an expression, the first one first: masks, and slices of whole events."""
    axis = of.type.axes[0].key
    nodes = list(postorder(of))
    made_by: list[Expr] = []
    while axis != whole.type.axes[0].key:
        made = next((n for n in nodes if _selects(n) and n.type.axes[0].key == axis), None)
        if made is None:
            break
        made_by.insert(0, made)
        axis = made.inputs()[0].type.axes[0].key
    found: list[Expr] = []
    for made in made_by:
        found.append(made.mask if isinstance(made, Filter) else rebuilt(made, (_selected_by(whole, found),)))
    return found


def _selected_by(of: Expr, selections: Sequence[Expr]) -> Expr:
    """Give what is left of something of all events after selections of events."""
    for one in selections:
        of = rebuilt(one, (of,)) if _is_slice(one) else build.filtered(of, one, 0)
    return of


def _selects(node: Expr) -> bool:
    if isinstance(node, Filter):
        return node.at == 0
    return isinstance(node, Call) and node.function == "slice" and node.option("at") == 0


def _is_slice(selection: Expr) -> TypeGuard[Call]:
    """Say whether a selection is a slice of events; a mask may be a slice of another one."""
    return _selects(selection) and isinstance(selection.type.item, Record)


def _text(expr: Expr) -> str:
    """Give the text of an expression as it is without variations."""
    return one_line(at([expr], NOMINAL)[NOMINAL][0], _WIDTH)


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
        if _selects(node) and (node.mask.key if isinstance(node, Filter) else node.type.axes[0].key) in stripped:
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
        if _is_slice(one.mask):
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
        selections: list[Expr] = []
        masks: list[Expr] = []
        for other in [c for c in cuts if c is not one]:
            if _is_slice(other.mask):
                selections += [*_together(masks, selections), other.mask]
                masks = []
            else:
                masks.append(other.of_all)
        selections += _together(masks, selections)
        left = w if w is None or not w.type.axes else _selected_by(w, selections)
        rows.append(_rows_of(_selected_by(whole, selections), left))
    return rows


def _together(masks: Sequence[Expr], selections: Sequence[Expr]) -> list[Expr]:
    """Give masks of all events as one of those that some selections leave."""
    return [_selected_by(_all(masks), selections)] if masks else []


def _all(masks: Sequence[Expr]) -> Expr:
    mask = masks[0]
    for more in masks[1:]:
        mask = build.call("bitwise_and", (mask, more))
    return mask


# Single events: which ones are selected, and why one is or is not ----------------------------------------------------------------

_ID_NAMES = {1: ("event",), 2: ("run", "event"), 3: ("run", "lumi", "event")}


def _ids(table: Table, event_id: Sequence[Any] | None, where: Where) -> dict[str, Expr]:
    leaves = event_ids(table, event_id, where)
    if len(leaves) not in _ID_NAMES:
        raise LiteralError(
            f"an event is called by run, luminosity block and event, not by {len(leaves)} numbers",
            where=where,
            do='event_id=("run", "lumi", "evt"), or two without the block',
        )
    return dict(zip(_ID_NAMES[len(leaves)], leaves, strict=True))


def listed(e: Any, event_id: Sequence[Any] | None, where: Where) -> Requested:
    """Give the list of the events of an expression, to be computed; see `hep_flows.verbs.event_list`."""
    table = _table_of(e, "a list of events", "event_list(df[mask])", where)
    selections = _selections(_events_of(e._expr, "a list of events", where), table.whole)  # noqa: SLF001
    ids = {name: _selected_by(leaf, selections) for name, leaf in _ids(table, event_id, where).items()}
    expr = build.record(tuple(ids), tuple(ids.values()), where)
    variations = labels(expr)
    parts = {v: one for v, (one,) in at([expr], *variations).items()} if variations else {"": expr}
    return Requested("list of events", Asked(parts, "an event list"), table)


def explained(e: Any, event: Mapping[str, Any], event_id: Sequence[Any] | None, where: Where) -> Requested:
    """Give the explanation of one event, to be computed; see `hep_flows.verbs.explain`."""
    table = _table_of(e, "an explanation", "explain(df[mask], run=1, event=17)", where)
    of = _events_of(e._expr, "an explanation", where)  # noqa: SLF001
    ids = _ids(table, event_id, where)
    wanted = {name: value for name, value in event.items() if value is not None}
    for name, value in wanted.items():
        if name not in ids:
            raise LiteralError(
                f"the events of {table.name} are told apart by {', '.join(ids)} alone", where=where, do=f"leave {name}= out"
            )
        if type(value) is not int and type(value).__module__ != "numpy":
            raise LiteralError(f"{name} is a whole number, not {value!r}", where=where, do="explain(df[mask], run=1, event=17)")
    wanted = {name: int(value) for name, value in wanted.items()}
    this = _all([build.call("equal", (ids[n], build.literal(v)), where=where) for n, v in wanted.items()])
    parts: dict[str, Expr] = {"found": build.call("sum", (this,))}
    cuts = _cuts(of, table.whole)
    selections = _selections(of, table.whole)
    texts: list[tuple[str, ...]] = []
    for i, one in enumerate(cuts):
        if _is_slice(one.mask):
            parts[f"{i}.passes"] = build.call("any", (_selected_by(this, selections[: one.filter + 1]),))
            texts.append(())
            continue
        parts[f"{i}.passes"] = _of_this(one.of_all, this)
        values = _values_of(one.of_all)
        parts |= {f"{i}.{j}": _of_this(value, this) for j, value in enumerate(values.values())}
        texts.append(tuple(values))
    variations, every = _by_variation(parts)
    reasons = Reasons(tuple([c.name for c in cuts]), tuple(texts), tuple(wanted.items()), variations)
    return Requested("explanation", Asked(every, reasons), table)


def _of_this(value: Expr, this: Expr) -> Expr:
    return build.filtered(value, this, 0) if value.type.axes else value


def _values_of(mask: Expr) -> dict[str, Expr]:
    """Give what a mask compares, and the stored leaves that this was made of, by their texts."""
    found: dict[str, Expr] = {}
    ahead = [mask]
    while ahead:
        node = ahead.pop(0)
        inputs: list[Expr] = [i for i in node.inputs() if not isinstance(i, Literal)]
        flags = [i for i in inputs if isinstance(i.type.item, Bool) and not i.type.loops]
        if isinstance(node, Call) and isinstance(node.type.item, Bool) and inputs:
            ahead[:0] = flags
            compared = [i for i in inputs if i not in flags and not i.type.loops]
        else:
            compared = [node]
        for one in compared:
            # What varies comes before the leaf that it is nominally, which has the same text.
            leaves: list[Expr] = [n for n in postorder(one) if _is_leaf(n)]
            for leaf in (one, *reversed(leaves)):
                if not isinstance(leaf.type.item, Record):
                    found.setdefault(_text(leaf), leaf)
    return found


def _is_leaf(node: Expr) -> bool:
    return not node.type.loops and (isinstance(node, Field) or (isinstance(node, Call) and node.function == "vary"))
