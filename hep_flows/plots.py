"""Pictures of histograms, efficiencies and cutflows, as figures of matplotlib; drawn by mplhep, with the intervals of hist.

Each function takes histograms (`hist.Hist`), draws what is in them and scales nothing. A histogram with an axis ``variation`` is drawn as
its nominal one, and its variations make the systematic uncertainty. No figure belongs to ``pyplot``: show it, or ``figure.savefig``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AnalysisError, did_you_mean, with_article
from hep_flows.execute.joint import Cutflow, as_hist, stacked
from hep_flows.expr.variations import AXIS, NOMINAL, up_and_down
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[Any]

# Colours that stay apart for colour-blind readers, from M. A. Petroff, arXiv:2107.02270.
COLOURS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadb")
_OF_SIGNALS = ("#d6008c", "#004d40", "#1a1a1a")
_OWN_STYLE = {
    "figure.figsize": (7.0, 5.6),
    "font.size": 12,
    "axes.labelsize": "large",
    "legend.frameon": False,
    "legend.fontsize": "medium",
    "legend.handlelength": 1.5,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
}
_MOST_NAMES = 12  # of bins, along one axis
_UNIT = re.compile(r"\[([^\[\]]+)\]\s*$")
_STYLES = ("CMS", "ATLAS", "LHCb2", "ALICE", "DUNE", "ROOT")


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture looks.

    Parameters
    ----------
    style : str
        A style of mplhep, ``CMS`` or ``ATLAS`` for example, with the label of the experiment; a plain one when empty.
    label : str
        What follows the name of the experiment: ``Preliminary``.
    lumi : float, optional
        The integrated luminosity in 1/fb, for the label.
    com : float or str, optional
        The energy in the centre of mass in TeV, for the label.
    title : str
        What stands above the picture, at the left.
    log : bool
        Whether the vertical axis is logarithmic.
    xlabel, ylabel : str
        The labels of the axes; those of the histogram when empty.
    counts : str
        What is counted, for the label of the vertical axis: ``Events``; found out from the contents when empty.
    recorded : bool
        Whether it is recorded data: styles of experiments say so where it is simulation.
    """

    style: str = ""
    label: str = ""
    lumi: float | None = None
    com: float | str | None = None
    title: str = ""
    log: bool = False
    xlabel: str = ""
    ylabel: str = ""
    counts: str = ""
    recorded: bool = False


@contextmanager
def _figure(look: Look, rows: int = 1, *, wide: bool = False) -> Iterator[tuple[Any, list[Any]]]:
    """Give a figure in a style with its axes: one, or one above a lower one of a third of its height."""
    import matplotlib as mpl
    import mplhep
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.rcsetup import cycler

    if look.style and not isinstance(getattr(mplhep.style, look.style, None), dict):
        names = [n for n in dir(mplhep.style) if isinstance(getattr(mplhep.style, n), dict)]
        raise AnalysisError(
            f"mplhep has no style {look.style!r}",
            why=f"there are {', '.join(_STYLES)}",
            do=did_you_mean(look.style, names),
            where=user_site(),
        )
    rc = dict(getattr(mplhep.style, look.style)) if look.style else dict(_OWN_STYLE)
    rc["axes.prop_cycle"] = cycler(color=COLOURS)

    class Styled(Figure):
        """Drawn in its style whenever that is: matplotlib looks fonts up when it draws."""

        def draw(self, renderer: Any) -> None:
            with mpl.rc_context(rc):
                super().draw(renderer)

    with mpl.rc_context({**mpl.rcParamsDefault, "backend": mpl.rcParams["backend"]}), mpl.rc_context(rc):
        width, height = mpl.rcParams["figure.figsize"]
        figure = Styled(figsize=(width * (1.15 if wide else 1), height), layout="constrained")
        FigureCanvasAgg(figure)
        if rows == 1:
            axes = [figure.add_subplot()]
        else:
            grid = figure.add_gridspec(2, 1, height_ratios=(3, 1))
            axes = [figure.add_subplot(grid[0])]
            axes.append(figure.add_subplot(grid[1], sharex=axes[0]))
            axes[0].tick_params(labelbottom=False)
            figure.set_layout_engine("constrained", hspace=0.0, h_pad=0.02)
        yield figure, axes
        _say(axes[0], look)
        _fit_labels(figure, axes)


def _fit_labels(figure: Any, axes: Sequence[Any]) -> None:
    """Make the vertical labels as small as the axes are high; the lower one is no larger than the upper one."""
    figure.draw_without_rendering()
    size = float("inf")
    for ax in axes:
        label = ax.yaxis.label
        long = label.get_window_extent().height
        size = min(size, label.get_size() * min(1.0, 0.96 * ax.bbox.height / long) if long else size)
        label.set_size(min(size, label.get_size()))


def _say(ax: Any, look: Look) -> None:
    """Write the experiment, the luminosity and the energy above the axes; without a style, the title and these two."""
    import mplhep

    about = [f"{look.lumi:.3g} fb$^{{-1}}$"] if look.lumi is not None else []
    about += [f"({look.com} TeV)" if about else f"{look.com} TeV"] if look.com is not None else []
    experiment: Any = getattr(mplhep, look.style.rstrip("0123456789Tex").lower(), None) if look.style else None
    if hasattr(experiment, "label"):
        experiment.label(look.label or None, data=look.recorded or ax.get_label() == "data", rlabel=" ".join(about), ax=ax, loc=0)
        if look.title:
            ax.text(0.04, 0.955, look.title, transform=ax.transAxes, va="top", fontsize="small")
        return
    ax.set_title("  ".join([t for t in (look.label, look.title) if t]), loc="left", fontsize="medium")
    ax.set_title(" ".join(about), loc="right", fontsize="medium")


# What a histogram says about its axes --------------------------------------------------------------------------------------------


def unit_in(label: str) -> str:
    """Give the unit that a label ends with: ``GeV`` of ``$p_T$ [GeV]``."""
    found = _UNIT.search(label)
    return found[1] if found else ""


def _width(axis: Any, label: str) -> str:
    """Give what one bin is: ``5 GeV`` where all are of one width, else ``bin``."""
    import numpy as np

    widths = axis.widths
    if not axis.traits.continuous or not np.allclose(widths, widths[0], rtol=1e-6):
        return "bin"
    return f"{widths[0]:.3g} {unit_in(label)}".strip()


def _are_counts(histogram: Any) -> bool:
    """Say whether the contents are numbers of entries: whole, and with themselves as variances; blinded bins say nothing."""
    import numpy as np

    values, variances = np.asarray(histogram.values(flow=True)), histogram.variances(flow=True)
    shown = np.isfinite(values)
    values = values[shown]
    return bool(np.all(values == np.round(values)) and (variances is None or np.array_equal(values, np.asarray(variances)[shown])))


def _labelled(ax: Any, histogram: Any, look: Look, *, counts: str = "") -> None:
    """Label the axes of a picture of a histogram on one axis."""
    axis = histogram.axes[0]
    label = look.xlabel or axis.label
    word = counts or look.counts or ("Entries" if _are_counts(histogram) else "Sum of weights")
    width = _width(axis, label)
    ax.set_ylabel(look.ylabel or (word if width == "bin" and not axis.traits.continuous else f"{word} / {width}"))
    _horizontal(ax, histogram, label)


def _horizontal(ax: Any, histogram: Any, label: str) -> None:
    axis = histogram.axes[0]
    ax.set_xlabel(label)
    edges = _edges(histogram)
    ax.set_xlim(edges[0], edges[-1])
    if not axis.traits.continuous and (len(axis) <= _MOST_NAMES or type(axis).__name__ != "Integer"):
        ax.set_xticks((edges[:-1] + edges[1:]) / 2, [str(c) for c in axis])
        ax.tick_params(axis="x", which="minor", bottom=False, top=False)


def _edges(histogram: Any) -> Numbers:
    return _edges_of(histogram.axes[0])


def _edges_of(axis: Any) -> Numbers:
    """Give the edges of an axis; the bin of a whole number or of a category has it in its middle."""
    import numpy as np

    if axis.traits.continuous:
        return np.asarray(axis.edges, dtype=float)
    first = axis.bin(0) if type(axis).__name__ == "Integer" else 0
    return np.arange(len(axis) + 1) + first - 0.5


def on_axes(histogram: Any, name: str, most: int = 1, **chosen: Any) -> Any:
    """Give a histogram on one axis (or up to ``most``), and ``variation`` where it has that: from each other axis something is chosen.

    Parameters
    ----------
    histogram : hist.Hist, or numpy's pair
        The histogram.
    name : str
        How it is called in messages.
    most : int
        How many axes there may be.
    **chosen
        By axis, what UHI's indexing takes: a category, ``sum``, ``hist.loc(30)``, a slice.

    Raises
    ------
    AnalysisError
        When an axis is left, or there is no such axis or category.
    """
    import hist

    histogram = as_hist(histogram)
    if not isinstance(histogram, hist.BaseHist):
        raise AnalysisError(f"{name!r} is no histogram", why=f"it is {with_article(histogram)}", where=user_site())
    names = [a.name for a in histogram.axes]
    unknown = [n for n in chosen if n not in names]
    if unknown:
        raise AnalysisError(f"{name!r} has no axis {unknown[0]!r}", why=f"its axes are {', '.join(names)}", where=user_site())
    try:
        found = histogram[{n: hist.loc(v) if isinstance(v, str) else v for n, v in chosen.items()}] if chosen else histogram
    except (IndexError, KeyError) as error:
        raise AnalysisError(f"nothing of {name!r} is chosen by {chosen}", why=str(error), where=user_site()) from None
    left = [a for a in found.axes if a.name != AXIS] if isinstance(found, hist.BaseHist) else []
    if not 0 < len(left) <= most:
        several = [a for a in left if not a.traits.continuous] or left
        do = f"choose: select={{{several[-1].name!r}: {next(iter(several[-1]))!r}}}, or sum for all of it" if several else ""
        raise AnalysisError(
            f"{name!r} is drawn on {most} of its axes, which are {', '.join([a.name for a in left]) or 'none'}",
            do=do,
            where=user_site(),
        )
    return found


def summed(histograms: Sequence[Any]) -> Any:
    """Give the sum of histograms; one that a variation does not touch counts with its nominal contents there."""
    names = dict.fromkeys([v for h in histograms for v in (NOMINAL, *variations_of(h))])
    parts = {v: [variations_of(h).get(v, nominal(h)) for h in histograms] for v in names}
    sums = {v: sum(some[1:], some[0]) for v, some in parts.items()}
    return stacked(sums) if len(sums) > 1 else sums[NOMINAL]


def nominal(value: Any) -> Any:
    """Give a result without its variations: of a histogram the bins of the nominal one, of a dict by variation its nominal value."""
    import hist

    if hasattr(value, "items"):
        return value.get(NOMINAL)
    if not isinstance(value, hist.BaseHist) or AXIS not in [a.name for a in value.axes]:
        return value
    return value[{AXIS: hist.loc(NOMINAL)}]


def variations_of(histogram: Any) -> dict[str, Any]:
    """Give the histograms of all variations but the nominal one, by name."""
    import hist

    found = {a.name: a for a in histogram.axes}
    return {v: histogram[{AXIS: hist.loc(v)}] for v in found[AXIS] if v != NOMINAL} if AXIS in found else {}


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The total of several histograms, and its uncertainty in each bin.

    Parameters
    ----------
    values : numpy.ndarray
        The total.
    statistical : numpy.ndarray
        The root of the sum of variances.
    down, up : numpy.ndarray
        The systematic uncertainty: of each source the largest deviation to that side, all sources in quadrature.
    """

    values: Numbers
    statistical: Numbers
    down: Numbers
    up: Numbers

    def band(self, *, systematics: bool = True) -> tuple[Numbers, Numbers]:
        """Give the lower and upper edge of the band of all uncertainties in quadrature."""
        import numpy as np

        return (
            self.values - np.hypot(self.statistical, self.down * systematics),
            self.values + np.hypot(self.statistical, self.up * systematics),
        )


def uncertainty(histograms: Sequence[Any], *, flow: bool = False) -> Uncertainty:
    """Give the total of histograms with its uncertainties; one that a variation does not touch counts with its nominal contents."""
    import numpy as np

    named = [(nominal(h), variations_of(h)) for h in histograms]
    central = np.sum([n.values(flow=flow) for n, _ in named], axis=0)
    variances = np.sum([_variances(n, flow=flow) for n, _ in named], axis=0)
    down, up = np.zeros_like(central, dtype=float), np.zeros_like(central, dtype=float)
    for words in up_and_down(dict.fromkeys([v for _, some in named for v in some])).values():
        moved = [np.sum([some.get(w, n).values(flow=flow) for n, some in named], axis=0) - central for w in words if w]
        up += np.max([*moved, 0 * central], axis=0) ** 2
        down += np.min([*moved, 0 * central], axis=0) ** 2
    return Uncertainty(central, np.sqrt(variances), np.sqrt(down), np.sqrt(up))


def known_variances(histogram: Any, *, flow: bool = False) -> Numbers | None:
    """Give the variances of the contents; None where nothing knows them: a storage of plain sums that are no numbers of entries."""
    import numpy as np

    if histogram.storage_type.__name__ in ("Double", "Unlimited") and not _are_counts(histogram):
        return None
    found = histogram.variances(flow=flow)
    return None if found is None else np.asarray(found, dtype=float)


def _variances(histogram: Any, *, flow: bool = False) -> Numbers:
    found = known_variances(histogram, flow=flow)
    if found is None:
        raise AnalysisError(
            "nothing knows the statistical uncertainty of a histogram",
            where=user_site(),
            why="its storage, Double, has no sums of squared weights",
            do="fill a histogram with the storage Weight()",
        )
    return found


# A stack of processes, with data -------------------------------------------------------------------------------------------------


def stack(  # noqa: PLR0913 - all that a stack shows
    model: Mapping[str, Any],
    data: Any = None,
    *,
    signal: Mapping[str, Any] | None = None,
    signal_scale: float = 1.0,
    ratio: bool | None = None,
    systematics: bool = True,
    yields: bool = False,
    **look: Any,
) -> Any:
    """Draw histograms of processes on top of each other, and data as points.

    Parameters
    ----------
    model : mapping of str to hist.Hist
        The stacked processes, on one axis, and ``variation`` where there is any; the largest is drawn on top.
    data : hist.Hist, optional
        The data, drawn with central Poisson intervals of 68.3 % (Garwood); no point stands where there is no entry.
    signal : mapping of str to hist.Hist, optional
        What is drawn as lines, not stacked.
    signal_scale : float
        What these are multiplied by in the picture; the legend says it.
    ratio : bool, optional
        Whether data over the total is drawn below; where there is data, when left out.
    systematics : bool
        Whether the band has the variations, too; else the statistical uncertainty alone.
    yields : bool
        Whether the legend says the sums.
    **look
        See `Look`: ``style``, ``log``, ``lumi``, ``com``, ``label``, ``title``, ``xlabel``, ``ylabel``.

    Returns
    -------
    matplotlib.figure.Figure
        Its ``axes`` are the picture, and the ratio where it is drawn.
    """
    import mplhep

    if not model:
        raise AnalysisError("there is nothing to stack", do="give histograms by process", where=user_site())
    seen = Look(**look)
    order = sorted(model, key=lambda n: float(nominal(model[n]).values().sum()))
    plain = {n: nominal(model[n]) for n in order}
    first = plain[order[-1]]
    edges, total = _edges(first), uncertainty(list(model.values()))
    has_systematics = systematics and any(variations_of(h) for h in model.values())
    low, high = total.band(systematics=systematics)
    both = bool(data is not None if ratio is None else ratio)
    with _figure(seen, 2 if both else 1) as (figure, axes):
        ax = axes[0]
        names = [_named(n, plain[n], yields=yields) for n in order]
        points = "" if data is None else _named("Data", nominal(data), yields=yields)
        colours = {n: COLOURS[i % len(COLOURS)] for i, n in enumerate(reversed(order))}
        mplhep.histplot(
            [plain[n].values() for n in order],
            edges,
            stack=True,
            histtype="fill",
            ax=ax,
            yerr=False,
            label=names,
            color=[colours[n] for n in order],
            flow="none",
        )
        band = "Stat. + syst. unc." if has_systematics else "Stat. unc."
        _band(ax, edges, low, high, band)
        lines = []
        for i, (name, h) in enumerate((signal or {}).items()):
            times = "" if signal_scale == 1 else f" $\\times$ {signal_scale:g}"
            label = _named(name, nominal(h), yields=yields) + times
            lines.append(label)
            colour = _OF_SIGNALS[i % len(_OF_SIGNALS)]
            ax.stairs(nominal(h).values() * signal_scale, edges, color=colour, linewidth=2, label=label, zorder=4)
        tops = [high, *[nominal(h).values() * signal_scale for h in (signal or {}).values()]]
        if data is not None:
            ax.set_label("data")
            tops.append(_points(ax, nominal(data), points))
        _labelled(ax, first if data is None else nominal(data), seen, counts=seen.counts or _word([*plain.values()], data))
        _room(ax, tops, [total.values], log=seen.log)
        _legend(ax, [points, *lines, *reversed(names), band])
        if both:
            _ratio(axes[1], edges, total, (low, high), None if data is None else nominal(data), [])
            _horizontal(axes[1], first, seen.xlabel or first.axes[0].label)
            axes[1].set_ylabel("Data / Pred." if data is not None else "Unc. / Pred.", loc="center")
            ax.set_xlabel("")
    return figure


def _word(histograms: Sequence[Any], data: Any) -> str:
    return "Entries" if all(_are_counts(h) for h in (*histograms, *([] if data is None else [nominal(data)]))) else "Sum of weights"


def _named(name: str, histogram: Any, *, yields: bool) -> str:
    """Give the entry of the legend; names are no formulas."""
    text = name if "$" in name else name.replace("_", " ")
    return f"{text} ({float(histogram.values().sum()):,.4g})" if yields else text


def _points(ax: Any, data: Any, label: str) -> Numbers:
    """Draw data as points with Poisson intervals; gives the upper ends. What is empty or blinded has no point."""
    import numpy as np

    values, edges = np.asarray(data.values(), dtype=float), _edges(data)
    low, high = poisson(data)
    there = np.isfinite(values) & (values != 0)
    ax.errorbar(
        ((edges[:-1] + edges[1:]) / 2)[there],
        values[there],
        yerr=np.stack([values - low, high - values])[:, there],
        fmt="o",
        color="black",
        markersize=5,
        linewidth=1.2,
        label=label,
        zorder=5,
    )
    return np.where(there, high, 0.0)


def poisson(histogram: Any) -> tuple[Numbers, Numbers]:
    """Give the ends of the central Poisson interval of 68.3 % of each bin (Garwood, as in hist; weighted contents scaled by their weight)."""
    import numpy as np
    from hist.intervals import poisson_interval

    values = np.asarray(histogram.values(), dtype=float)
    low, high = poisson_interval(values, None if _are_counts(histogram) else _variances(histogram))
    return np.nan_to_num(low), np.where(np.isfinite(high), high, values)


def _band(ax: Any, edges: Numbers, low: Numbers, high: Numbers, label: str = "") -> None:
    """Draw a hatched band; empty bins have none."""
    import numpy as np

    empty = low == high
    ax.stairs(
        np.where(empty, np.nan, high),
        edges,
        baseline=np.where(empty, np.nan, low),
        fill=True,
        facecolor="none",
        edgecolor="0.35",
        hatch="//////",
        linewidth=0,
        label=label or None,
        zorder=3,
    )


def _ratio(
    ax: Any, edges: Numbers, total: Uncertainty, band: tuple[Numbers, Numbers], data: Any, lines: Sequence[tuple[Any, str, str]]
) -> None:
    """Draw what is compared with a total: data with its own interval, lines, and the band of the total around one."""
    import numpy as np

    there = total.values > 0
    by = np.where(there, total.values, np.nan)
    low, high = band[0] / by, band[1] / by
    _band(ax, edges, np.where(there, low, 1.0), np.where(there, high, 1.0))
    ax.axhline(1, color="0.3", linewidth=1, linestyle="--")
    reach = [np.abs(low - 1), np.abs(high - 1)]
    if data is not None:
        values, (down, up) = np.asarray(data.values(), dtype=float), poisson(data)
        shown = there & (values != 0)
        middle, at = ((edges[:-1] + edges[1:]) / 2)[shown], (values / by)[shown]
        errors = np.stack([(values - down) / by, (up - values) / by])[:, shown]
        ax.errorbar(middle, at, yerr=errors, fmt="o", color="black", markersize=5, linewidth=1.2, zorder=5)
        reach += [np.abs(at - 1) + 0.3 * errors.max(axis=0)] if shown.any() else []
    for values, colour, style in lines:
        ax.stairs(values / by, edges, color=colour, linestyle=style, linewidth=1.5)
        reach.append(np.abs(values / by - 1))
    found = np.concatenate([r[np.isfinite(r)] for r in reach])
    most = float(np.quantile(found, 0.95)) if len(found) else 0.5
    most = min(max(1.25 * most, 0.06 if data is None else 0.25), 1.0)
    ax.set_ylim(1 - most, 1 + most)


def _room(ax: Any, tops: Sequence[Numbers], bottoms: Sequence[Numbers], *, log: bool) -> None:
    """Leave room for the legend above what is drawn; a logarithmic axis begins below the smallest content."""
    import numpy as np

    tops, bottoms = [[a[np.isfinite(a)] for a in side] for side in (tops, bottoms)]  # blinded bins are not a number
    top = max([float(t.max()) for t in tops if len(t)], default=1.0) or 1.0
    positive = np.concatenate([b[b > 0] for b in bottoms])
    if not log or not len(positive):
        lowest = min([float(b.min()) for b in bottoms if len(b)], default=0.0)
        ax.set_ylim(min(0.0, 1.1 * lowest), 1.45 * top)
        return
    bottom = max(0.1 * float(positive.min()), 1e-6 * top)
    ax.set_yscale("log")
    ax.set_ylim(bottom, top * (top / bottom) ** 0.45 * 1.5)


def _legend(ax: Any, labels: Sequence[str] = ()) -> None:
    """Name what is drawn, in the order of ``labels`` where there is one."""
    known = {n: h for h, n in zip(*ax.get_legend_handles_labels(), strict=True)}
    several = [n for n in labels or known if n in known]
    ax.legend([known[n] for n in several], several, loc="upper right", ncols=1 + (len(several) > 5))


# One histogram, or several on top of each other as lines -------------------------------------------------------------------------


def plot(value: Any, *, density: bool = False, **look: Any) -> Any:
    """Draw a histogram, several, or a cutflow.

    Parameters
    ----------
    value : hist.Hist, Cutflow, numpy's pair of counts and edges, or mapping of str to any of these
        On one axis: lines, with a band of statistical uncertainty where they are weighted; points with errors where they are averages (a
        profile). On two axes: colours. Further axes must be chosen from before.
    density : bool
        Of lines: the share of the sum in each bin, so that shapes can be compared.
    **look
        See `Look`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    seen = Look(**look)
    several = dict(value) if hasattr(value, "items") and NOMINAL not in value else {"": value}
    several = {n: nominal(as_hist(v)) for n, v in several.items()}
    if not several:
        raise AnalysisError("there is nothing to draw", where=user_site())
    first = next(iter(several.values()))
    if isinstance(first, Cutflow):
        return _bars(several, seen)
    if first.ndim == 2:
        if len(several) > 1:
            raise AnalysisError(
                "histograms on two axes are drawn one by one",
                why=f"there are {', '.join(several)}",
                do="choose one of them",
                where=user_site(),
            )
        return _coloured(first, seen)
    return _lines(several, seen, density=density)


def _errors(histogram: Any) -> Numbers:
    import numpy as np

    found = known_variances(histogram)
    return np.zeros(histogram.shape) if found is None else np.sqrt(found)


def _lines(several: Mapping[str, Any], look: Look, *, density: bool) -> Any:
    import numpy as np

    first = next(iter(several.values()))
    mean = first.kind.value == "MEAN"
    with _figure(look) as (figure, (ax,)):
        tops, bottoms = [], []
        for i, (name, h) in enumerate(several.items()):
            edges, values, error = _edges(h), np.asarray(h.values(), dtype=float), _errors(h)
            colour, label = COLOURS[i % len(COLOURS)], name.replace("_", " ") or None
            if density and not mean:
                values, error = values / (abs(values.sum()) or 1.0), error / (abs(values.sum()) or 1.0)
            if mean:
                there = np.asarray(h.counts()) > 0
                middle = ((edges[:-1] + edges[1:]) / 2)[there]
                error = np.nan_to_num(error)
                ax.errorbar(
                    middle,
                    values[there],
                    error[there],
                    (np.diff(edges) / 2)[there],
                    fmt="o",
                    markersize=4,
                    color=colour,
                    label=label,
                )
                values, error = values[there], error[there]
            else:
                ax.stairs(values, edges, color=colour, linewidth=1.6, label=label, fill=False)
                if len(several) == 1:
                    ax.stairs(values, edges, color=colour, alpha=0.2, fill=True)
                shown = np.where(values != 0, error, 0.0)
                ax.stairs(values + shown, edges, baseline=values - shown, fill=True, color=colour, alpha=0.25, linewidth=0)
            tops.append(values + error)
            bottoms.append(values)
        if mean:
            _labelled(ax, first, look, counts=look.ylabel or "Mean")
            ax.set_ylabel(look.ylabel or "Mean")
            ax.margins(y=0.2)
        else:
            counts = "Entries" if all(_are_counts(h) for h in several.values()) else "Sum of weights"
            _labelled(ax, first, look, counts="Share" if density else look.counts or counts)
            _room(ax, tops, bottoms, log=look.log)
        if any(several):
            _legend(ax)
        elif not mean:
            ax.text(0.96, 0.95, summary(first), transform=ax.transAxes, ha="right", va="top", fontsize="small")
    return figure


def summary(histogram: Any) -> str:
    """Say how many entries there are (or what the weights sum up to), how many lie outside, and where the middle and the width are."""
    import numpy as np

    values, flow = np.asarray(histogram.values()), np.asarray(histogram.values(flow=True))
    total, everything = float(values.sum()), float(flow.sum())
    outside = everything - total
    if _are_counts(histogram):
        lines = [f"{everything:,.0f} entries" + (f", {outside:,.0f} outside" if outside else "")]
    else:
        lines = [f"sum of weights {everything:.5g}" + (f", {outside:.3g} outside" if abs(outside) > 1e-12 * abs(total) else "")]
    if total > 0 and histogram.axes[0].traits.continuous:
        centers = histogram.axes[0].centers
        mean = float((values * centers).sum() / total)
        square = float((values * (centers - mean) ** 2).sum() / total)
        lines.append(f"mean {mean:.3g}" + (f", std. dev. {square**0.5:.3g}" if square >= 0 else ""))
    return "\n".join(lines)


def _coloured(histogram: Any, look: Look) -> Any:
    """Draw a histogram on two axes; empty bins stay white."""
    import numpy as np
    from matplotlib.colors import LogNorm

    x, y = histogram.axes
    values = np.ma.masked_equal(np.asarray(histogram.values(), dtype=float), 0.0)
    with _figure(replace(look, title=""), wide=True) as (figure, (ax,)):
        norm = LogNorm() if look.log and bool((values > 0).any()) else None
        drawn = ax.pcolormesh(_edges_of(x), _edges_of(y), values.T, norm=norm, cmap="viridis", rasterized=True)
        for axis, set_ticks in ((x, ax.set_xticks), (y, ax.set_yticks)):
            if not axis.traits.continuous:
                edges = _edges_of(axis)
                set_ticks((edges[:-1] + edges[1:]) / 2, [str(c) for c in axis])
        ax.set_xlabel(look.xlabel or x.label)
        ax.set_ylabel(look.ylabel or y.label)
        word = look.counts or ("Entries" if _are_counts(histogram) else "Sum of weights")
        if histogram.kind.value == "MEAN":
            word = "Mean"
        figure.colorbar(drawn, ax=ax, label=word + (f" ({look.title})" if look.title else ""), pad=0.02)
    return figure


def _bars(flows: Mapping[str, Cutflow], look: Look) -> Any:
    """Draw what is left after each cut, or without each: a line of bars for each process, the first cut on top."""
    import numpy as np

    first = next(iter(flows.values()))
    names = [r.name for r in first]
    with _figure(look) as (figure, (ax,)):
        height = 0.8 / len(flows)
        weighted = any(f.weighted for f in flows.values())
        for i, (name, flow) in enumerate(flows.items()):
            values = np.array([r.sumw if weighted else r.events for r in flow], dtype=float)
            at = np.arange(len(values)) - 0.4 + height * (i + 0.5)
            drawn = ax.barh(at, values, height, color=COLOURS[i % len(COLOURS)], label=name.replace("_", " ") or None)
            ax.bar_label(drawn, [f"{v:,.4g}" if weighted else f"{v:,.0f}" for v in values], padding=4, fontsize="small")
        ax.set_yticks(range(len(names)), [_short(f"all but {n}" if first.n_minus_one else n) for n in names])
        ax.tick_params(axis="y", which="minor", left=False, right=False)
        ax.invert_yaxis()
        if look.log:
            ax.set_xscale("log")
        ax.margins(x=0.18)
        ax.set_xlabel(look.xlabel or look.counts or ("Sum of weights" if weighted else "Events"))
        if any(flows):
            ax.legend(loc="lower right")
    return figure


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"{name[: most - 4]} ..."


# Comparisons ---------------------------------------------------------------------------------------------------------------------


def variations(histogram: Any, *sources: str, **look: Any) -> Any:
    """Draw the nominal histogram and its variations, and their ratio to it below.

    Parameters
    ----------
    histogram : hist.Hist
        On one axis, and ``variation``.
    *sources : str
        The sources to draw (``jes``); all when left out.
    **look
        See `Look`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    seen = Look(**look)
    known = up_and_down(list(variations_of(histogram)))
    if not known:
        raise AnalysisError("the histogram has no variations", do="vary(df, 'jes', ...) makes them", where=user_site())
    for s in sources:
        if s not in known:
            raise AnalysisError(f"there is no variation of {s!r}", why=f"the sources are {', '.join(known)}", where=user_site())
    plain, others = nominal(histogram), variations_of(histogram)
    edges, total = _edges(plain), uncertainty([plain])
    with _figure(seen, 2) as (figure, (ax, below)):
        ax.stairs(plain.values(), edges, color="black", linewidth=1.8, label="nominal")
        lines = []
        for i, source in enumerate(sources or known):
            words = [w for w in known[source] if w]
            for word, style in zip(words, ("-", "--", ":") if len(words) > 1 else ("-",), strict=False):
                lines.append((others[word].values(), COLOURS[i % len(COLOURS)], style))
                ax.stairs(others[word].values(), edges, color=lines[-1][1], linestyle=style, linewidth=1.5, label=word)
        _labelled(ax, plain, seen)
        _room(ax, [v for v, _, _ in lines] + [plain.values()], [plain.values()], log=seen.log)
        ax.legend(loc="upper right", ncols=1 + (len(lines) > 4))
        _ratio(below, edges, total, total.band(), None, lines)
        _horizontal(below, plain, seen.xlabel or plain.axes[0].label)
        below.set_ylabel("Var. / nom.", loc="center")
        ax.set_xlabel("")
    return figure


def efficiency(passed: Any, total: Any, **look: Any) -> Any:
    """Draw the efficiency in each bin with Clopper-Pearson intervals of 68.3 %.

    Parameters
    ----------
    passed, total : hist.Hist, or mappings of str to these
        Numbers of entries, of the same bins: those that passed, and all.
    **look
        See `Look`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture. Bins without entries have no point.

    Raises
    ------
    AnalysisError
        When they are weighted, which has no such interval, or more passed than there are.
    """
    import numpy as np
    from hist.intervals import clopper_pearson_interval

    seen = Look(**look)
    pairs = {n: (p, total[n]) for n, p in passed.items()} if hasattr(passed, "items") else {"": (passed, total)}
    with _figure(seen) as (figure, (ax,)):
        for i, (name, (some, every)) in enumerate(pairs.items()):
            k, n = np.asarray(some.values(), dtype=float), np.asarray(every.values(), dtype=float)
            if not _are_counts(some) or not _are_counts(every) or bool((k > n).any()) or some.axes != every.axes:
                raise AnalysisError(
                    "an efficiency is a part of entries over all of them, in the same bins",
                    why="one of the histograms is weighted or scaled, or has entries that the other does not have",
                    do="fill both without weights, the first with a selection of what fills the second",
                    where=user_site(),
                )
            edges, there = _edges(every), n > 0
            low, high = clopper_pearson_interval(k[there], n[there])
            at, middle = k[there] / n[there], ((edges[:-1] + edges[1:]) / 2)[there]
            ax.errorbar(
                middle,
                at,
                np.stack([at - low, high - at]).clip(0),
                (np.diff(edges) / 2)[there],
                fmt="o",
                markersize=4,
                color=COLOURS[i % len(COLOURS)],
                label=name.replace("_", " ") or None,
            )
        _horizontal(ax, every, seen.xlabel or every.axes[0].label)
        ax.set_ylim(0, 1.25)
        ax.axhline(1, color="0.6", linewidth=1, linestyle=":")
        ax.set_ylabel(seen.ylabel or "Efficiency")
        if any(pairs):
            ax.legend(loc="upper right")
    return figure


def drawn_by() -> tuple[str, ...]:
    """Give the versions of what decides how a picture looks."""
    from importlib.metadata import version

    return ("hf-plots/1", *[f"{n} {version(n)}" for n in ("matplotlib", "mplhep")])


def save(figure: Any, path: Any, about: Mapping[str, str] | None = None) -> None:
    """Write a figure into a file: the ending says the format; ``about`` goes into the text chunks of a PNG."""
    from pathlib import Path

    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    metadata = dict(about or {}) if place.suffix.lower() == ".png" else None
    figure.savefig(place, dpi=120 if figure.get_figwidth() < 9 else 80, metadata=metadata)
