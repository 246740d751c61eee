"""Systematic variations: one expression that stands for the nominal analysis and for others, each of which differs from it in one source.

A leaf that varies is one node, and everything that is recorded on top of it is an ordinary expression; `hep_flows.expr.variations`
takes it apart before it is planned. A collection varies by its leaves, and by which of its objects stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import AxisError, FieldError, LiteralError, RecordError, did_you_mean, with_article
from hep_flows.expr import build
from hep_flows.expr.loops import is_with, names_with
from hep_flows.expr.nodes import Expr, Filter
from hep_flows.expr.types import Float, Histogram, Int, Record
from hep_flows.expr.variations import NOMINAL, at, label, labels, source_of, varying
from hep_flows.record.arguments import checked
from hep_flows.record.dataframe import DataFrame
from hep_flows.record.histogram import HistogramRequest, axes_of
from hep_flows.record.members import member_of, plain_member, spread
from hep_flows.record.operands import expr_of
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.record.table import Table


_XAOD = "Analysis"  # stands in front of the names of PHYSLITE's containers


@checked
def vary(
    x: DataFrame,
    source: Any,
    values: Mapping[str, Any] | None = None,
    /,
    *,
    sumw: Mapping[str, Any] | None = None,
    **variations: Any,
) -> Any:
    """Give a table or a value together with its variations of one source.

    Parameters
    ----------
    x : DataFrame
        The table, or a leaf of any kind (a weight, for example).
    source : str
        The name of the source, ``jes``. Variations of the same name in several places move together.
    values : mapping, optional
        Of a leaf: its variations by word, where they are no names of Python: ``{"0": w0, "1": w1}``.
    sumw : mapping, optional
        Of a weight: by word, the sum of that weight over all generated events, where it is not the nominal one. A number, or an expression
        of no axes: ``{"0": (runs.genEventSumw * runs.LHEScaleSumw[0]).Sum()}``. ``done.scaled`` divides by it.
    **variations
        Of a table: by collection (or leaf), a dict from word to a function of the collection as it is, or to the new one:
        ``Jet={"up": lambda j: j.With(pt=j.pt * 1.02)}``. A variation may replace leaves, and may select objects then. Of a leaf: by
        word, the value there.

    Returns
    -------
    DataFrame
        The same events (or elements). `make_local` of what depends on it gives a dict with ``nominal`` first and then, for each word, the
        name of the source and the word (``jesUp``); a histogram has a first axis ``variation`` instead. The nominal result is the one
        without ``vary``.

    Raises
    ------
    FieldError
        When the table has no such collection.
    LiteralError
        When a variation is none.
    AxisError
        When a variation belongs to other elements.
    """
    where = user_site()
    if not isinstance(x, DataFrame):
        raise LiteralError(f"{with_article(x)} has no variations", where=where, do='vary(df, "jes", Jet={"up": f, "down": g})')
    if not isinstance(source, str) or not source.isidentifier():
        raise LiteralError(f"the source of a variation is a name, not {source!r}", where=where, do='vary(df, "jes", ...)')
    if source == NOMINAL:
        raise LiteralError(
            f"{source!r} is what the expression is without variations", where=where, do='give the source its own name: "jes"'
        )
    given = dict(values or {}) | variations
    if not given:
        raise LiteralError(
            f"{source} has no variations",
            where=where,
            do='vary(df, "jes", Jet={"up": f}) of a table, vary(w, "pu", up=w * 1.1) of a weight',
        )
    of, table = x._expr, x._table  # noqa: SLF001
    for word, total in (sumw or {}).items():
        table.add_sum(label(source, word), _sum_of(word, total, given, of, table, where), where)
    if not isinstance(of.type.item, Record):
        return x._made(_of_leaf(x, source, given, where))  # noqa: SLF001
    if of.key != table.whole.key:
        raise LiteralError(
            "the variations of a collection are those of its table",
            where=where,
            why="every mention of the collection follows, references to it too",
            do=f'df = vary(df, "{source}", Jet={{"up": lambda j: j.With(pt=j.pt * 1.02)}}), before anything else',
        )
    new = x.With(**{name: _of_member(x, source, name, words, where) for name, words in given.items()})
    new._table.varies = True  # noqa: SLF001
    return new


def _sum_of(word: Any, total: Any, given: Mapping[str, Any], of: Expr, table: Any, where: Where) -> Expr:
    do = 'vary(w, "scale", {"0": w0, "1": w1}, sumw={"0": 1.2e9, "1": runs.genEventSumw.Sum()})'
    if isinstance(of.type.item, Record) or word not in given:
        what = "a collection" if isinstance(of.type.item, Record) else f"{word!r}, which is none of {', '.join(map(str, given))},"
        raise LiteralError(
            f"{what} has no sum of weights", where=where, why="sumw= belongs to variations of a weight, by word", do=do
        )
    expr = expr_of(total, table, where)
    if expr.type.axes or not isinstance(expr.type.item, Int | Float):
        raise LiteralError(f"a sum of weights is one number, and that of {word} is {expr.type}", where=where, do=do)
    return expr


def _of_leaf(x: DataFrame, source: str, given: Mapping[str, Any], where: Where) -> Expr:
    nominal, table = x._expr, x._table  # noqa: SLF001
    _check_new(source, nominal, where)
    others = [_value(x, v, f"{source}: {w}", where) for w, v in given.items()]
    return build.varied(nominal, others, table.source(source), tuple([_word(w, where) for w in given]), where)


def _value(x: DataFrame, value: Any, what: str, where: Where) -> Expr:
    made = value(x) if callable(value) and not hasattr(value, "_expr") else value
    return _repeated(expr_of(made, x._table, where), x._expr, what, where)  # noqa: SLF001


def _repeated(value: Expr, nominal: Expr, what: str, where: Where) -> Expr:
    """Give a value on the axes of the nominal one: one number is one for each element."""
    new = spread(value, nominal, where)
    if new.type.axes == nominal.type.axes:
        return new
    if not new.type.axes:
        return build.call("where", (_all_of(nominal, where), new, new), where=where)
    raise AxisError(
        f"{what}: it is {value.type}, and the nominal value is {nominal.type}",
        where=where,
        why="a variation has one value for each of the nominal ones",
        do="reduce it, or take the leaf of the same elements",
    )


def _all_of(nominal: Expr, where: Where) -> Expr:
    """Give what is true for every element."""
    missing = build.call("is_none", (nominal,), where=where)
    return build.call("logical_or", (missing, build.call("logical_not", (missing,), where=where)), where=where)


def _word(word: Any, where: Where) -> str:
    if not isinstance(word, str) or not word or not word.replace("_", "a").isalnum():
        raise LiteralError(f"a variation is called by a word, not {word!r}", where=where, do='{"up": ..., "down": ...}')
    return word


def _check_new(source: str, nominal: Expr, where: Where) -> None:
    if source in [source_of(n) for n in varying(nominal)]:
        raise LiteralError(
            f"{source!r} varies this already",
            where=where,
            why="two variations of one name move together, and which of the two this one means cannot be told",
            do="give all variations of a source in one vary, or give this one a name of its own",
        )


# Collections: the leaves that any of the variations replaces, and the objects that any of them drops -----------------------------


def _of_member(x: DataFrame, source: str, name: str, words: Any, where: Where) -> Any:
    table = x._table  # noqa: SLF001
    if not isinstance(words, Mapping) or not words:
        raise LiteralError(
            f"{name} is varied by a dict from words to functions, not by {with_article(words)}",
            where=where,
            do=f'vary(df, "{source}", {name}={{"up": lambda x: ..., "down": lambda x: ...}})',
        )
    base = plain_member(x._expr, name, table, where)  # noqa: SLF001
    if base is None:
        names = list(x._expr.type.item.members)  # type: ignore[union-attr]  # noqa: SLF001
        near = f"its name here is {_XAOD}{name}" if f"{_XAOD}{name}" in names else did_you_mean(name, names)
        raise FieldError(f"the table has no {name!r} to vary", where=where, do=near or "dir(df) lists what there is")
    frame = table.frame(base)
    if not isinstance(base.type.item, Record):
        _check_new(source, base, where)
        return frame._made(_of_leaf(frame, source, words, where))  # noqa: SLF001
    made = {_word(w, where): _replaced(frame, source, name, w, v, where) for w, v in words.items()}
    new: dict[str, Expr] = {}
    for leaf in dict.fromkeys([n for one in made.values() for n in one.leaves]):
        nominal = member_of(frame, base, leaf, table, where)  # an alias, where there is one
        if nominal is None:
            raise FieldError(
                f"{source} adds the leaf {leaf!r}, which the nominal {name} has not",
                where=where,
                do=f"add it for all first: df.{name}[{leaf!r}] = ..., then vary it",
            )
        _check_new(source, nominal, where)
        others = [_repeated(o.leaves.get(leaf, nominal), nominal, f"{source}: {w}: {leaf}", where) for w, o in made.items()]
        new[leaf] = build.varied(nominal, others, table.source(source), tuple(made), where)
    for leaf in new:
        table.gives(leaf)
    hidden = tuple(dict.fromkeys([n for one in made.values() for n in one.hidden if n not in new]))
    whole = build.replaced(base, tuple(new), tuple(new.values()), hidden, where) if new else base
    if any(one.mask is not None for one in made.values()):
        every = _all_of(build.call("index", (base,), where=where), where)
        masks = [every if one.mask is None else one.mask for one in made.values()]
        whole = build.filtered(
            whole, build.varied(every, masks, table.source(source), tuple(made), where), len(base.type.axes) - 1, where
        )
    return frame._made(whole)  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class _Replaced:
    """What one variation does to a collection: the new leaves, those that they make obsolete, and which objects stay."""

    leaves: Mapping[str, Expr]
    hidden: tuple[str, ...]
    mask: Expr | None


def _replaced(frame: Any, source: str, name: str, word: str, value: Any, where: Where) -> _Replaced:
    made = value(frame) if callable(value) and not hasattr(value, "_expr") else value
    do = "lambda x: x.With(pt=x.pt * 1.02), or x.With(pt=...)[lambda x: x.pt > 15] to drop objects"
    if not hasattr(made, "_expr"):
        raise LiteralError(f"{source}: {word}: {name} becomes {with_article(made)}, which is no collection", where=where, do=do)
    base: Expr = frame._expr  # noqa: SLF001
    node: Expr = expr_of(made, frame._table, where)  # noqa: SLF001
    leaves: dict[str, Expr] = {}
    hidden: list[str] = []
    mask: Expr | None = None
    while node.key != base.key:
        if is_with(node):
            names = node.option("names")
            for leaf, v in zip(names, node.args[1:], strict=True):  # type: ignore[arg-type]
                leaves.setdefault(str(leaf), v)
            hidden += [n for n in names_with(node) if n not in leaves]
            node = node.args[0]
        elif isinstance(node, Filter) and mask is None and not leaves and node.at == len(base.type.axes) - 1 > 0:
            mask, node = node.mask, node.of
        else:
            raise RecordError(
                f"{source}: {word}: what becomes of {name} is no variation of it",
                where=where,
                why="a variation has the objects of the nominal collection, with leaves replaced, and then may drop some of them",
                do=do,
            )
    return _Replaced(leaves, tuple(hidden), mask)


# What is asked for, and how the values of its parts become one ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """What the parts of a cutflow become: the names of its rows, and its variations, if it has any."""

    names: tuple[str, ...]
    n_minus_one: bool
    weighted: bool
    variations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the parts of an explanation become: the names of its cuts, the texts of the values of each, the event, and its variations."""

    names: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    event: tuple[tuple[str, int], ...]
    variations: tuple[str, ...]


# By axis, the ranges of numbers and the categories; a bin is blinded where all axes say so.
Blinded = tuple[tuple[str, tuple[tuple[float, float] | str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that is asked for: its expressions by part, what their values become together, and what of it is blinded."""

    parts: Mapping[str, Expr]
    becomes: Rows | Reasons | Literal["itself", "a dict", "one histogram", "an event list"]
    blinded: Blinded = ()


def asked(expr: Expr) -> Asked:
    """Give an expression by variation; one that has none is one part with an empty name."""
    names = labels(expr)
    if not names:
        return Asked({"": expr}, "itself")
    parts = {name: one for name, (one,) in at([expr], *names).items()}
    return Asked(parts, "one histogram" if isinstance(expr.type.item, Histogram) else "a dict")


class Requested:
    """A cutflow, a list of events or a blinded histogram in an analysis: computed with its other results."""

    __slots__ = ("_asked", "_table", "_what")

    def __init__(self, what: str, asked: Asked, table: Table) -> None:
        """Take what is asked for, and the table that it is of."""
        self._what, self._asked, self._table = what, asked, table

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<{self._what} of {self._table.name}>"


@checked
def blind(h: Any, **regions: Any) -> Any:
    """Declare bins of a histogram of recorded data blinded: they are not a number in its results, until the run is told to unblind.

    Parameters
    ----------
    h : Histogram
        The histogram, filled.
    **regions
        By axis, what is blinded: a range ``(low, high)``, a category, or a list of these; a bin is blinded if it lies in them on every
        axis that is named, and a bin of which a part lies in a range too: ``blind(h, mass=(115, 135), region="SR")``.

    Returns
    -------
    Histogram
        For the dict of an analysis. `run_analysis` blinds it in datasets that are recorded data, ``unblind=True`` (``--unblind``) shows it, and
        the report says which was done. `make_local` blinds it whatever the table is.

    Raises
    ------
    LiteralError
        When there is no such axis or category, or a range is none.
    """
    where = user_site()
    do = 'blind(h, mass=(115, 135)), blind(h, region="SR")'
    if not isinstance(h, HistogramRequest) or h._table is None:  # noqa: SLF001
        raise LiteralError(f"what is blinded is a filled histogram, not {with_article(h)}", where=where, do=do)
    item = h._expr.type.item  # noqa: SLF001
    assert isinstance(item, Histogram)
    axes = {a.name: a for a in axes_of(item.spec) if a.name}
    if not regions:
        raise LiteralError("nothing of the histogram is blinded", where=where, do=do)
    found = []
    for name, given in regions.items():
        if name not in axes:
            near = did_you_mean(name, list(axes)) or f"its axes are {', '.join(axes) or 'without names'}"
            raise LiteralError(f"the histogram has no axis {name!r} to blind", where=where, do=near)
        parts = tuple(given) if isinstance(given, list) else (given,)
        known = axes[name].values.get("categories")
        for part in parts:
            if axes[name].kind == "StrCategory":
                if isinstance(part, str) and (axes[name].values.get("growth") or part in (known or ())):
                    continue
                near = did_you_mean(str(part), list(known or ()))
                raise LiteralError(f"the axis {name} has no category {part!r} to blind", where=where, do=near or do)
            if axes[name].takes == "integers" and type(part) is int:
                continue
            numbers = isinstance(part, tuple) and len(part) == 2 and all(type(n) in (int, float) for n in part)
            if not numbers or not part[0] < part[1]:
                raise LiteralError(f"a range is blinded from a number to a larger one, not {part!r}", where=where, do=do)
        found.append((name, tuple([(p, p + 1) if type(p) is int else p for p in parts])))
    return Requested("blinded histogram", replace(asked(h._expr), blinded=tuple(found)), h._table)  # noqa: SLF001
