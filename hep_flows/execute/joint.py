"""Results that are made of several: what varies, by variation, cutflows, and what is said of single events."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hep_flows.errors import visible
from hep_flows.execute.report import Missing
from hep_flows.expr.variations import AXIS
from hep_flows.record.variations import Reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from hep_flows.record.variations import Asked, Blinded, Rows


def together(asked: Asked, values: Mapping[str, Any]) -> Any:
    """Give what was asked for from the values of its parts."""
    match asked.becomes:
        case "itself":
            return values[""]
        case "a dict":
            return dict(values)
        case "one histogram":
            return stacked(values)
        case "an event list":
            made = {v: one if isinstance(one, Missing) else EventList(one) for v, one in values.items()}
            return made.get("", made)
        case Reasons(variations=named) as reasons:
            return {v: _explanation(reasons, values, f"{v}.") for v in named} if named else _explanation(reasons, values, "")
        case rows:
            named = rows.variations
            return {v: _cutflow(rows, values, f"{v}.") for v in named} if named else _cutflow(rows, values, "")


def _cutflow(rows: Rows, values: Mapping[str, Any], prefix: str) -> Cutflow | Missing:
    missing = next((v for n, v in values.items() if n.startswith(prefix) and isinstance(v, Missing)), None)
    if missing is not None:
        return missing
    events = [int(values[f"{prefix}{i}.events"]) for i in range(len(rows.names))]
    found = [
        CutRow(name, n, float(values.get(f"{prefix}{i}.sumw", n)))
        for i, (name, n) in enumerate(zip(rows.names, events, strict=True))
    ]
    return Cutflow(tuple(found), rows.n_minus_one, rows.weighted)


def _explanation(reasons: Reasons, values: Mapping[str, Any], prefix: str) -> Explanation | int:
    """Give why the event is selected or not; how many there are that are called so, where that is not one."""
    found = int(values[f"{prefix}found"])
    if found != 1:
        return found
    rows = []
    for i, (name, texts) in enumerate(zip(reasons.names, reasons.texts, strict=True)):
        passes = _of_one(values[f"{prefix}{i}.passes"])
        shown = {text: _of_one(values[f"{prefix}{i}.{j}"]) for j, text in enumerate(texts)}
        rows.append(Reason(name, None if passes is None else bool(passes), shown))
    return Explanation(dict(reasons.event), tuple(rows))


def _of_one(value: Any) -> Any:
    """Give the value of the one event there is; a number over all events is itself."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return plain[0] if isinstance(plain, list) else plain


def stacked(values: Mapping[str, Any]) -> Any:
    """Give histograms as one, with a first axis ``variation``; what is none (numpy's pair, a value that is missing) stays by name.

    Categories that a growing axis has in one variation alone are there in all, in the order in which they came.
    """
    import hist

    parts = list(values.values())
    if not all(isinstance(p, hist.Hist) for p in parts):
        return next((p for p in parts if isinstance(p, Missing)), dict(values))
    whole = parts[0].copy().reset()
    for part in parts:  # Adding an empty histogram changes no number, and unites the categories of axes that grow.
        whole = whole + part.copy().reset()
    first = hist.axis.StrCategory(list(values), name=AXIS, label=AXIS)
    new = hist.Hist(first, *whole.axes, storage=whole.storage_type(), name=whole.name, label=whole.label)
    for i, part in enumerate(parts):
        new.view(flow=True)[i, ...] = (whole + part).view(flow=True) if part.axes != whole.axes else part.view(flow=True)
    return new


def as_hist(value: Any) -> Any:
    """Give a histogram as one that can be written: numpy's pair of counts and edges as a `hist.Hist` without flow bins."""
    if not isinstance(value, tuple):
        return value
    import hist
    import numpy as np

    counts, edges = value
    storage = hist.storage.Int64() if np.issubdtype(counts.dtype, np.integer) else hist.storage.Double()
    made = hist.Hist(hist.axis.Variable(edges, name="x", underflow=False, overflow=False), storage=storage)
    made[...] = counts
    return made


def _table(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    widths = [max([len(r[i]) for r in rows]) for i in range(len(rows[0]))]
    return "\n".join(
        [
            "  ".join([c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True))]).rstrip()
            for r in rows
        ]
    )


# Blinded bins --------------------------------------------------------------------------------------------------------------------


def hidden(value: Any, blinded: Blinded) -> Any:
    """Give a histogram in which blinded bins, flow bins included, are not a number; anything else is itself."""
    if not blinded or isinstance(value, Missing):
        return value
    if isinstance(value, dict):
        return {name: hidden(one, blinded) for name, one in value.items()}
    import hist
    import numpy as np

    inside = np.ones(value.view(flow=True).shape[: value.ndim], bool)
    by_name = dict(blinded)
    for i, axis in enumerate(value.axes):
        if axis.name in by_name:
            shape = [1] * value.ndim
            shape[i] = -1
            inside &= np.asarray([_is_blinded(b, by_name[axis.name]) for b in bounds_of(axis)]).reshape(shape)
    if value.storage_type.__name__ in ("Int64", "AtomicInt64", "Unlimited"):
        counts = hist.Hist(*value.axes, storage=hist.storage.Double(), name=value.name, label=value.label)
        counts.view(flow=True)[...] = value.values(flow=True)
    else:
        counts = value.copy()
    view = counts.view(flow=True)
    for part in [np.asarray(view)[n] for n in view.dtype.names] if view.dtype.names else [view]:
        part[inside] = np.nan
    return counts


def bounds_of(axis: Any) -> list[tuple[float, float] | str]:
    """Give the categories, or the edges of each bin, flow bins included."""
    if type(axis).__name__ == "StrCategory":
        return [*axis, *([""] * (axis.extent - axis.size))]
    edges = axis.edges.tolist()
    found = [(c, c + 1) for c in axis] if type(axis).__name__ == "IntCategory" else list(pairwise(edges))
    if axis.traits.underflow:
        found.insert(0, (float("-inf"), edges[0]))
    if axis.traits.overflow and len(found) < axis.extent:
        found.append((edges[-1], float("inf")))
    return found  # type: ignore[return-value]


def _is_blinded(bounds: tuple[float, float] | str, parts: Iterable[tuple[float, float] | str]) -> bool:
    if isinstance(bounds, str):
        return bounds in parts
    return any(not isinstance(p, str) and bounds[0] < p[1] and p[0] < bounds[1] for p in parts)


# Rows of a cutflow, and what shows them ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CutRow:
    """One row: the name of the cut, the events that are left after it, and their sum of weights (their number where there is no weight)."""

    name: str
    events: int
    sumw: float


@dataclass(frozen=True, slots=True)
class Cutflow:
    """The rows of a cutflow, all events first; or, without one cut at a time, a row for each cut that is left out."""

    rows: tuple[CutRow, ...]
    n_minus_one: bool = False
    weighted: bool = False

    def __iter__(self) -> Iterator[CutRow]:
        """Give the rows."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.rows)

    def __getitem__(self, which: int | str) -> CutRow:
        """Give a row by its number or its name."""
        if isinstance(which, str):
            found = [r for r in self.rows if r.name == which]
            if not found:
                raise KeyError(f"no cut is called {which!r}; there are: {', '.join([r.name for r in self.rows])}")
            return found[0]
        return self.rows[which]

    def _cells(self) -> list[tuple[str, ...]]:
        """Give the cells: of a cutflow, the share of all events and of the row before too."""
        head: tuple[str, ...] = ("all cuts but" if self.n_minus_one else "cut", "events")
        head += ("sum of weights",) if self.weighted else ()
        head += () if self.n_minus_one else ("of all", "of the row before")
        table = [head]
        for i, row in enumerate(self.rows):
            cells: tuple[str, ...] = (visible(row.name), str(row.events))
            cells += (f"{row.sumw:.6g}",) if self.weighted else ()
            if not self.n_minus_one:
                first, before = self.rows[0].sumw, self.rows[max(i - 1, 0)].sumw
                cells += (_share(row.sumw, first), _share(row.sumw, before))
            table.append(cells)
        return table

    def __str__(self) -> str:
        """Give a table."""
        return _table(self._cells(), {0})

    def _repr_html_(self) -> str:
        from html import escape

        head, *rows = self._cells()
        top = "".join([f"<th>{escape(c)}</th>" for c in head])
        body = "".join([f"<tr>{''.join([f'<td>{escape(c)}</td>' for c in r])}</tr>" for r in rows])
        return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"

    def csv(self) -> str:
        """Give the rows as CSV: name, events, sum of weights."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("cut", "events", "sumw"))
        writer.writerows([(r.name, r.events, repr(r.sumw)) for r in self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """Give a LaTeX tabular."""
        table = [[latex(c) for c in r] for r in self._cells()]
        head, *rows = [" & ".join(r) + r" \\" for r in table]
        return "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * (len(table[0]) - 1)}}}",
                r"\hline",
                head,
                r"\hline",
                *rows,
                r"\hline",
                r"\end{tabular}",
                "",
            ]
        )

    def hist(self) -> Any:
        """Give a histogram with a bin for each row: sums of weights where there are weights, else numbers of events."""
        import hist

        new = hist.Hist(hist.axis.StrCategory([r.name for r in self.rows], name="cut", label="cut"), storage=hist.storage.Double())
        new.view()[:] = [r.sumw if self.weighted else r.events for r in self.rows]
        return new

    def as_json(self) -> list[dict[str, Any]]:
        """Give the rows as plain data."""
        return [{"name": r.name, "events": r.events, "sumw": r.sumw} for r in self.rows]


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


_SIGNS = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex(text: str) -> str:
    """Give a text with the signs that LaTeX takes for something else."""
    return "".join([_SIGNS.get(c, c) for c in text])


# Single events -------------------------------------------------------------------------------------------------------------------

_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Reason:
    """What one cut says of an event: its name, whether the event passes (None where that is missing, which is no pass), and the values."""

    name: str
    passes: bool | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an event is selected or not: each cut by itself, whatever those before it say."""

    event: Mapping[str, int]
    rows: tuple[Reason, ...]

    @property
    def passes(self) -> bool:
        """Whether the event is selected."""
        return all(r.passes for r in self.rows)

    def __iter__(self) -> Iterator[Reason]:
        """Give the rows."""
        return iter(self.rows)

    def __str__(self) -> str:
        """Give a table."""
        failed = [visible(r.name) for r in self.rows if not r.passes]
        event = ", ".join([f"{name} {n}" for name, n in self.event.items()])
        head = f"{event}: {'fails ' + ', '.join(failed) if failed else 'is selected'}"
        words = {True: "yes", False: "no", None: "missing"}
        table = [("cut", "passes", "values")]
        for row in self.rows:
            lines = [f"{visible(text)} = {_short(value)}" for text, value in row.values.items()] or [""]
            table += [(visible(row.name), words[row.passes], lines[0]), *[("", "", line) for line in lines[1:]]]
        return f"{head}\n{_table(table, {0, 1, 2})}"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if isinstance(value, list):
        text = f"[{', '.join([_short(v) for v in value])}]"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 4]} ..."


class EventList:
    """The events of a selection: what tells each one apart, in the order of the dataset.

    Parameters
    ----------
    stored : ak.Array or Skim
        Records of whole numbers, ``run``, ``lumi`` and ``event``; or the files that hold them.
    """

    __slots__ = ("_stored",)

    def __init__(self, stored: Any) -> None:
        """Nothing is read yet."""
        self._stored = stored

    @property
    def array(self) -> Any:
        """The records as an awkward array."""
        return self._stored.array() if hasattr(self._stored, "paths") else self._stored

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Give ``(run, lumi, event)`` of each event."""
        array = self.array
        return zip(*[array[name].tolist() for name in array.fields], strict=True)

    def __len__(self) -> int:
        """Give the number of events."""
        return self._stored.rows if hasattr(self._stored, "paths") else len(self._stored)

    def __repr__(self) -> str:
        """Say how many there are."""
        return f"<list of {len(self)} events>"

    def csv(self) -> str:
        """Give the events as CSV, with a head of names."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.array.fields)
        writer.writerows(self)
        return text.getvalue()
