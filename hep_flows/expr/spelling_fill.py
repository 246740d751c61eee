"""How a fill of a histogram is written: ``Histogram(...).fill(pt=..., weight=...)``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hep_flows.expr.nodes import Call, Expr
from hep_flows.expr.types import Histogram

if TYPE_CHECKING:
    from hep_flows.expr.nodes import Constant


def fill_arguments(node: Call) -> list[str | Expr]:
    """Give the arguments of a fill as the user wrote them: texts, and expressions that stand between them.

    The node holds one record of what is filled per entry, then the numbers that all entries share; its options say what goes where.
    """
    options = dict(node.options)
    members = options.get("members", ())
    sources = options.get("axes", ())
    if not isinstance(members, tuple) or not isinstance(sources, tuple):
        return [part for i, a in enumerate(node.args[1:]) for part in (", " if i else "", a)]
    titles = [f"{n}=" if n else "" for n in _axis_names(node)]
    titled = list(zip(titles, sources, strict=False))
    titled += [(f"{n}=", options[n]) for n in ("weight", "sample") if options.get(n) is not None]
    written: list[str | Expr] = []
    for i, (title, source) in enumerate(titled):
        written += [f"{', ' if i else ''}{title}", *_source(node, source, has_record=bool(members))]
    return written


def _axis_names(node: Call) -> list[str]:
    assert isinstance(node.type.item, Histogram)
    try:
        axes = json.loads(node.type.item.spec)["axes"]
        return [str(a["name"]) for a in axes]
    except (ValueError, LookupError, TypeError):
        return [""] * len(node.args)


def _source(node: Call, source: Constant, *, has_record: bool) -> list[str | Expr]:
    match source:
        case ("member", str(name)):
            return _member(node.args[1], name)
        case ("number", int(position)):
            return [node.args[1 + has_record + position]]
        case ("constant", constant):
            return [f"{constant!r}"]
        case ("cells", tuple(several)):
            inside = [p for i, s in enumerate(several) for p in (", " if i else "", *_source(node, s, has_record=has_record))]
            return ["[", *inside, "]"]
        case _:
            return [f"{source!r}"]


def _member(record: Expr, name: str) -> list[str | Expr]:
    if isinstance(record, Call) and record.function == "record":
        names = record.option("names")
        assert isinstance(names, tuple)
        return [record.args[names.index(name)]]
    return [record, f".{name}" if name.isidentifier() else f"[{name!r}]"]
