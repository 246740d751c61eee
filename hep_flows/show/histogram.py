"""A histogram as a picture in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def save_histogram_plot(histogram: Any, path: Path, title: str = "", *, ylabel: str = "") -> Path:
    """Draw a one-dimensional `hist.Hist` into a file and give its path.

    Parameters
    ----------
    histogram : hist.Hist
        Its axis label is the label of the x axis.
    path : Path
        The ending decides the format (``.png``, ``.pdf``, ``.svg``); the folder is made.
    title : str
        What stands above the plot.
    ylabel : str
        What the y axis counts; by default entries per bin width.
    """
    import mplhep
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axis = histogram.axes[0]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    mplhep.histplot(histogram, ax=ax, histtype="fill", color="tab:blue", alpha=0.25, yerr=False)
    mplhep.histplot(histogram, ax=ax, histtype="step", color="tab:blue", flow="none")
    ax.set_xlim(axis.edges[0], axis.edges[-1])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(axis.label, loc="right")
    ax.set_ylabel(ylabel or f"Entries / {axis.widths[0]:.3g}", loc="top")
    ax.set_title(title, loc="left", fontsize="medium")
    ax.text(0.97, 0.95, _summary(histogram), transform=ax.transAxes, ha="right", va="top", fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def _summary(histogram: Any) -> str:
    """Say how many entries there are and how many lie outside, and where the middle and the width are."""
    import numpy as np

    values, flow = histogram.values(), histogram.values(flow=True)
    centers, total = histogram.axes[0].centers, float(values.sum())
    outside = float(flow.sum()) - total
    lines = [f"{total + outside:,.0f} entries" + (f", {outside:,.0f} outside" if outside else "")]
    if total > 0:
        mean = float((values * centers).sum() / total)
        width = float(np.sqrt((values * (centers - mean) ** 2).sum() / total))
        lines.append(f"mean {mean:.3g}, std. dev. {width:.3g}")
    return "\n".join(lines)
