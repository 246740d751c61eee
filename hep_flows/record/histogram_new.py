"""The quick construction of histograms, ``Histogram.new.Reg(50, 0, 200, name="pt").Weight()``: hist's names, arguments and order.

Builders never change: every call gives a new one. Arguments are checked when they are given, and errors show the user's line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from hep_flows.errors import FieldError, LiteralError, did_you_mean
from hep_flows.record import histogram_spec as spec
from hep_flows.record.arguments import checked
from hep_flows.record.histogram_template import function_transform, transform_of
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hep_flows.errors import Where
    from hep_flows.record.histogram import Histogram
    from hep_flows.record.histogram_spec import AxisSpec

    Finish = Callable[[str, Where], Histogram]


class NewHistogram:
    """A histogram that is being built: axes first, then the storage."""

    __slots__ = ("_axes", "_finish")

    def __init__(self, finish: Finish, axes: tuple[AxisSpec, ...] = ()) -> None:
        """Begin with these axes; ``finish`` makes the histogram."""
        self._finish = finish
        self._axes = axes

    def __repr__(self) -> str:
        """Show the axes so far."""
        return f"<new histogram: {', '.join([f'{a.kind} {a.name}'.strip() for a in self._axes]) or 'no axis yet'}>"

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse: what is not an axis or a storage comes when those are there."""
        if name.startswith("_"):
            raise AttributeError(name)
        steps = [n for n in dir(type(self)) if not n.startswith("_")]
        begun = isinstance(self, NewHistogramWithAxes)
        storage = ".Double() or .Weight()" if begun else ".Reg(50, 0, 200, name='pt').Double()"
        raise FieldError(
            f"a histogram without a storage has no {name!r}",
            where=user_site(),
            why="axes come first, then the storage, then fill",
            do=did_you_mean(name, steps) or f"add {'a storage' if begun else 'an axis and a storage'} before: {storage}",
        )

    def _with(self, axis: AxisSpec, where: Where) -> NewHistogramWithAxes:
        if axis.name and axis.name in [a.name for a in self._axes]:
            raise LiteralError(f"two axes are called {axis.name!r}", where=where)
        return NewHistogramWithAxes(self._finish, (*self._axes, axis))

    def _regular(
        self, ends: tuple[Any, Any, Any], transform: Mapping[str, Any] | None, about: Mapping[str, Any]
    ) -> NewHistogramWithAxes:
        where = user_site()
        return self._with(spec.regular(*ends, transform, about, where), where)

    @checked
    def Regular(  # noqa: N802, PLR0913
        self,
        bins: int,
        start: float,
        stop: float,
        *,
        name: str = "",
        label: str = "",
        metadata: Any = None,
        flow: bool = True,
        underflow: bool | None = None,
        overflow: bool | None = None,
        growth: bool = False,
        circular: bool = False,
        transform: Any = None,
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width; the upper edge is open, under- and overflow are kept."""
        flows = {"flow": flow, "underflow": underflow, "overflow": overflow, "growth": growth, "circular": circular}
        about = {"name": name, "label": label, "metadata": metadata, **flows}
        return self._regular((bins, start, stop), transform_of(transform, user_site()), about)

    @checked
    def Sqrt(  # noqa: N802
        self, bins: int, start: float, stop: float, *, name: str = "", label: str = "", metadata: Any = None
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width in the square root."""
        return self._regular((bins, start, stop), {"kind": "sqrt"}, {"name": name, "label": label, "metadata": metadata})

    @checked
    def Log(  # noqa: N802
        self, bins: int, start: float, stop: float, *, name: str = "", label: str = "", metadata: Any = None
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width in the logarithm."""
        return self._regular((bins, start, stop), {"kind": "log"}, {"name": name, "label": label, "metadata": metadata})

    @checked
    def Pow(  # noqa: N802, PLR0913
        self, bins: int, start: float, stop: float, *, power: float, name: str = "", label: str = "", metadata: Any = None
    ) -> NewHistogramWithAxes:
        """Add an axis of bins of equal width in a power."""
        transform = {"kind": "pow", "power": spec.real(power, "power", user_site())}
        return self._regular((bins, start, stop), transform, {"name": name, "label": label, "metadata": metadata})

    def Func(self, *_: Any, **__: Any) -> NewHistogramWithAxes:  # noqa: N802
        """Refuse: a Python function cannot be part of a key."""
        raise function_transform(user_site())

    @checked
    def Variable(  # noqa: N802, PLR0913
        self,
        edges: Iterable[float],
        *,
        name: str = "",
        label: str = "",
        metadata: Any = None,
        flow: bool = True,
        underflow: bool | None = None,
        overflow: bool | None = None,
        growth: bool = False,
        circular: bool = False,
    ) -> NewHistogramWithAxes:
        """Add an axis of bins between these edges."""
        where = user_site()
        flows = {"flow": flow, "underflow": underflow, "overflow": overflow, "growth": growth, "circular": circular}
        about = {"name": name, "label": label, "metadata": metadata, **flows}
        return self._with(spec.variable(edges, about, where), where)

    @checked
    def Integer(  # noqa: N802, PLR0913
        self,
        start: int,
        stop: int,
        *,
        name: str = "",
        label: str = "",
        metadata: Any = None,
        flow: bool = True,
        underflow: bool | None = None,
        overflow: bool | None = None,
        growth: bool = False,
        circular: bool = False,
    ) -> NewHistogramWithAxes:
        """Add an axis with a bin for each integer from ``start`` up to, but without, ``stop``."""
        where = user_site()
        flows = {"flow": flow, "underflow": underflow, "overflow": overflow, "growth": growth, "circular": circular}
        about = {"name": name, "label": label, "metadata": metadata, **flows}
        return self._with(spec.integer(start, stop, about, where), where)

    @checked
    def IntCategory(  # noqa: N802
        self, categories: Iterable[int], *, name: str = "", label: str = "", metadata: Any = None, growth: bool = False
    ) -> NewHistogramWithAxes:
        """Add an axis with a bin for each of these integers."""
        where = user_site()
        about = {"name": name, "label": label, "metadata": metadata, "growth": growth}
        return self._with(spec.categories("IntCategory", categories, about, where), where)

    @checked
    def StrCategory(  # noqa: N802
        self, categories: Iterable[str], *, name: str = "", label: str = "", metadata: Any = None, growth: bool = False
    ) -> NewHistogramWithAxes:
        """Add an axis with a bin for each of these texts."""
        where = user_site()
        about = {"name": name, "label": label, "metadata": metadata, "growth": growth}
        return self._with(spec.categories("StrCategory", categories, about, where), where)

    @checked
    def Boolean(self, name: str = "", label: str = "", metadata: Any = None) -> NewHistogramWithAxes:  # noqa: N802
        """Add an axis with a bin for false and one for true."""
        where = user_site()
        return self._with(spec.boolean({"name": name, "label": label, "metadata": metadata}, where), where)

    Reg, Var, Int, IntCat, StrCat, Bool = Regular, Variable, Integer, IntCategory, StrCategory, Boolean


class NewHistogramWithAxes(NewHistogram):
    """A histogram that has axes and needs a storage."""

    __slots__ = ()

    def _stored(self, kind: str, about: Mapping[str, Any], **more: int) -> Histogram:
        where = user_site()
        kept = {k: None if about[k] is None else spec.text(about[k], k, where) for k in ("name", "label")}
        kept["metadata"] = spec.plain(about["metadata"], "metadata", where)
        return self._finish(spec.spec_text(self._axes, {"kind": kind, **more}, kept), where)

    @checked
    def Double(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Sum weights in 64-bit floats."""
        return self._stored("Double", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Int64(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Count in 64-bit integers."""
        return self._stored("Int64", {"metadata": metadata, "label": label, "name": name})

    @checked
    def AtomicInt64(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Count in 64-bit integers that threads may share."""
        return self._stored("AtomicInt64", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Unlimited(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Count in as many bits as needed."""
        return self._stored("Unlimited", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Weight(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Sum weights and their squares."""
        return self._stored("Weight", {"metadata": metadata, "label": label, "name": name})

    @checked
    def Mean(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Average ``sample``."""
        return self._stored("Mean", {"metadata": metadata, "label": label, "name": name})

    @checked
    def WeightedMean(self, *, metadata: Any = None, label: str | None = None, name: str | None = None) -> Histogram:  # noqa: N802
        """Average ``sample`` by weight."""
        return self._stored("WeightedMean", {"metadata": metadata, "label": label, "name": name})

    @checked
    def MultiCell(  # noqa: N802
        self, nelem: int, /, *, metadata: Any = None, label: str | None = None, name: str | None = None
    ) -> Histogram:
        """Sum several weights in each bin."""
        cells = spec.whole(nelem, "the number of cells", user_site())
        return self._stored("MultiCell", {"metadata": metadata, "label": label, "name": name}, cells=cells)
