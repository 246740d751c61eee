"""Which histograms are drawn, and what the pictures are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.analysis.outputs.whole_files import file_name

if TYPE_CHECKING:
    from collections.abc import Sequence


def can_plot(histogram: Any) -> bool:
    """Say whether a histogram can be drawn: counts, on one axis of numbers."""
    if histogram.ndim != 1 or histogram.kind.value != "COUNT":
        return False
    return type(histogram.axes[0]).__name__ in ("Regular", "Variable", "Integer") and len(histogram.axes[0]) > 0


def plot_names(places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Give the file of each plot, by dataset and name: joined by as many underscores as it takes to tell all apart."""
    found: dict[tuple[str, str], str] = {}
    for dataset, name in places:
        between = "_"
        while (file := f"{file_name(dataset)}{between}{file_name(name)}.png") in found.values():
            between += "_"
        found[dataset, name] = file
    return found
