"""Histograms with hist's axes and storages: built like hist's quick construction, filled with expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from hep_flows.expr import build
from hep_flows.expr.types import Histogram as HistogramItem
from hep_flows.record.histogram_fill import Fill, by_axis
from hep_flows.record.histogram_new import NewHistogram
from hep_flows.record.histogram_request import HistogramRequest
from hep_flows.record.histogram_spec import axes_of, storage_of
from hep_flows.record.histogram_template import spec_of
from hep_flows.record.numpy_histogram import numpy_histogram
from hep_flows.record.operands import two_tables
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.record.table import Table

__all__ = ["Histogram", "numpy_histogram"]


class _New:
    """``Histogram.new``: a builder without axes."""

    def __get__(self, instance: object, owner: type[Histogram]) -> NewHistogram:
        return NewHistogram(owner._empty)  # noqa: SLF001


class Histogram(HistogramRequest):
    """A histogram to be filled: ``Histogram.new.Reg(50, 0, 200, name="pt").Weight().fill(pt=df.Jet.pt, weight=w)``.

    It never changes: ``fill`` gives a new one. Its value is a `hist.Hist`.

    Parameters
    ----------
    template : hist.Hist or boost_histogram.Histogram
        An empty histogram whose axes and storage it takes.
    """

    __slots__ = ()
    new = _New()

    def __new__(cls, template: Any) -> Self:
        """Give a histogram with the axes and the storage of an empty one."""
        where = user_site()
        return cls._empty(spec_of(template, where), where)

    def __init__(self, template: Any) -> None:
        """Nothing is left to do."""

    @classmethod
    def _empty(cls, spec: str, where: Where) -> Self:
        return cls._of(build.histogram("histogram", (), (("spec", spec),), spec, where), None)

    def fill(self, *values: Any, weight: Any = None, sample: Any = None, **named: Any) -> Self:
        """Give the histogram with one more fill.

        Parameters
        ----------
        *values, **named : DataFrame, number, bool or str
            One for each axis: by name, or in the order of the axes. They align as operands do, so an event's value counts for
            each of its jets; nested values are flattened; an entry of which any value is missing is left out.
        weight : DataFrame or number, optional
            The weight of each entry; as many as the cells of a ``MultiCell`` storage, as a tuple.
        sample : DataFrame or number, optional
            What ``Mean`` and ``WeightedMean`` storages average.

        Raises
        ------
        LiteralError
            When an argument is missing, unknown or of the wrong kind.
        AxisError
            When the arguments do not align.
        """
        where = user_site()
        spec = self._spec
        axes = axes_of(spec)
        given = by_axis(axes, values, named, where)
        table = self._common_table([*given, sample, *(weight if isinstance(weight, tuple | list) else [weight])], where)
        new = Fill(table, where)
        sources = tuple([new.axis(v, a) for v, a in zip(given, axes, strict=True)])
        weights, samples = new.weight(weight, storage_of(spec)), new.sample(sample, storage_of(spec))
        args, members = new.arguments()
        options = (("members", members), ("axes", sources), ("weight", weights), ("sample", samples))
        return self._of(build.histogram("fill", (self._expr, *args), options, spec, where), table)

    @property
    def _spec(self) -> str:
        item = self._expr.type.item
        assert isinstance(item, HistogramItem)
        return item.spec

    def _common_table(self, values: list[Any], where: Where) -> Table | None:
        table = self._table
        for value in values:
            other = getattr(value, "_table", None)
            if table is not None and other is not None and other is not table:
                raise two_tables(table, other, where)
            table = table if other is None else other
        return table
