"""Results in the forms that others read: fit programs, HEPData, tables. One call each; what is written is what the results are.

Histograms are split by their axes of text: each combination of categories is a region (a channel of a fit). Nothing is scaled here, and
what lacks a part is refused.
"""

from __future__ import annotations

import json
import re
import warnings
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import product
from pathlib import Path
from shutil import copy
from string import Formatter
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.analysis.histogram_files import write_json, write_root
from hep_flows.errors import AnalysisError, did_you_mean
from hep_flows.execute.joint import as_hist, latex
from hep_flows.expr.variations import AXIS, NOMINAL, up_and_down
from hep_flows.plots import known_variances, nominal, poisson, uncertainty, unit_in, variations_of
from hep_flows.record.where import user_site
from hep_flows.store.commit import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


Format = Literal["root", "uhi", "pyhf", "cabinetry", "combine", "hepdata", "csv", "latex"]
_ENDINGS: dict[str, Format] = {".root": "root", ".json": "uhi", ".csv": "csv", ".tex": "latex"}
_PATTERN = "{region}/{process}/{observable}_{variation}"
_SAME_SHAPE = 1e-9  # Where all bins move by one factor, up to rounding, a variation is one of the normalisation.


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be written.

    Parameters
    ----------
    histograms : mapping of str to mapping of str to mapping of str to hist.Hist
        By observable, region and process, with an axis ``variation`` where there is any.
    categories : mapping of str to mapping of str to mapping of str to str
        By observable and region, its category by axis.
    recorded : tuple of str
        The processes that are data.
    signal : tuple of str
        Those whose normalisation is measured.
    lumi_uncertainty : float, optional
        The relative uncertainty of the luminosity.
    poi : str
        The parameter of interest.
    """

    histograms: Mapping[str, Mapping[str, Mapping[str, Any]]]
    categories: Mapping[str, Mapping[str, Mapping[str, str]]]
    recorded: tuple[str, ...]
    signal: tuple[str, ...]
    lumi_uncertainty: float | None
    poi: str

    def channels(self) -> dict[str, dict[str, Any]]:
        """Give the histograms of each channel by process: of a region, or of an observable in it where there are several."""
        several = len(self.histograms) > 1
        return {
            _name(f"{observable}_{region}" if several and region else region or observable): dict(of)
            for observable, regions in self.histograms.items()
            for region, of in regions.items()
        }

    def simulated(self, of: Mapping[str, Any]) -> dict[str, Any]:
        """Give the processes that are predicted, with a word for each that is an identifier."""
        return {_name(p): h for p, h in of.items() if p not in self.recorded}

    def observed(self, of: Mapping[str, Any]) -> list[float]:
        """Give what was counted; where there is no data, what is predicted (an Asimov data set)."""
        counted = [nominal(h).values() for p, h in of.items() if p in self.recorded]
        return [float(v) for v in sum(counted or [nominal(h).values() for h in of.values()])]


def export(  # noqa: PLR0913 - what a file has
    result: Any,
    path: Any,
    pattern: str = "",
    *,
    to: Format | None = None,
    observables: str | Sequence[str] = (),
    select: Mapping[str, Any] | None = None,
    data: bool | str | Sequence[str] = True,
    signal: str | Sequence[str] = (),
    lumi_uncertainty: float | None = None,
    poi: str = "mu",
) -> Path:
    """Write results; see `AnalysisResult.export`."""
    where, place = user_site(), Path(path)
    form = to or _ENDINGS.get(place.suffix)
    if form not in _WRITERS:
        known = [*_WRITERS]
        raise AnalysisError(
            f"there is no form {form!r}" if form else f"{place.name} does not say in which form it is to be",
            where=where,
            why=f"there are {', '.join(known)}",
            do=did_you_mean(form or "", known) or 'done.export("histograms.root"), done.export("fit.json", to="pyhf")',
        )
    names = (observables,) if isinstance(observables, str) else tuple(observables)
    names = names or tuple(dict.fromkeys([n for v in result.processes.values() for n in v]))
    recorded = result.recorded if isinstance(data, bool) else (data,) if isinstance(data, str) else tuple(data)
    given = result if data else result.without(recorded)
    signals = (signal,) if isinstance(signal, str) else tuple(signal)
    asked = Asked(*_split(given, names, select or {}), recorded, signals, lumi_uncertainty, poi)
    processes = {p for regions in asked.histograms.values() for of in regions.values() for p in of}
    for one in (*signals, *(() if isinstance(data, bool) else recorded)):
        if one not in processes:
            raise AnalysisError(f"there is no process {one!r}", where=where, do=did_you_mean(one, list(processes)))
    if not asked.histograms:
        raise AnalysisError("there is no histogram to write", where=where, why=f"the results are {', '.join(names)}")
    if form in ("pyhf", "cabinetry", "combine", "hepdata"):
        _check_shown(asked, where)
    if form in ("pyhf", "cabinetry", "combine"):
        _check_fit(result, asked, form, where)
    place.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[form](place, asked, pattern or _PATTERN)
    return place


def _split(result: Any, names: Sequence[str], select: Mapping[str, Any]) -> tuple[Any, Any]:
    """Give the histograms by observable, region and process, and the categories of the regions."""
    import hist

    histograms: dict[str, dict[str, dict[str, Any]]] = {}
    categories: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        by_process = {p: as_hist(v) for p, v in result.of_processes(name).items()}
        if not all(isinstance(h, hist.BaseHist) for h in by_process.values()):
            continue
        for process, whole in by_process.items():
            chosen = {n: hist.loc(v) if isinstance(v, str) else v for n, v in select.items() if n in [a.name for a in whole.axes]}
            for words, h in split(whole[chosen] if chosen else whole):
                region = "_".join(words.values())
                histograms.setdefault(name, {}).setdefault(region, {})[process] = h
                categories.setdefault(name, {})[region] = words
    return histograms, categories


def split(histogram: Any) -> Iterator[tuple[dict[str, str], Any]]:
    """Give the histograms that one is made of, one for each combination of categories of its axes of text; a lone such axis stays."""
    import hist

    texts = [a for a in histogram.axes if isinstance(a, hist.axis.StrCategory) and a.name != AXIS]
    if len(texts) == len([a for a in histogram.axes if a.name != AXIS]):
        texts = texts[:-1]
    for words in product(*[list(a) for a in texts]):
        at = {a.name: w for a, w in zip(texts, words, strict=True)}
        yield at, histogram[{n: hist.loc(w) for n, w in at.items()}] if at else histogram


def _check_shown(asked: Asked, where: Any) -> None:
    """Refuse data with blinded bins, which are not a number: nothing can be fitted to them."""
    import numpy as np

    for observable, regions in asked.histograms.items():
        for of in regions.values():
            for process, h in of.items():
                if not np.all(np.isfinite(nominal(h).values())):
                    raise AnalysisError(
                        f"{observable!r} of {process} has blinded bins",
                        where=where,
                        do="data=False: the observations of a fit are what is predicted then",
                    )


def _check_fit(result: Any, asked: Asked, form: str, where: Any) -> None:
    """Refuse what would be fitted wrongly without a word: too many axes, unknown variances, what is not normalised."""
    for observable, regions in asked.histograms.items():
        for region, of in regions.items():
            if len([a for a in next(iter(of.values())).axes if a.name != AXIS]) != 1:
                raise AnalysisError(
                    f"{observable!r} has several axes of numbers, and a channel of {form} has one",
                    where=where,
                    do='observables="met" chooses histograms; select={"eta": sum} sums an axis',
                )
            bare = [p for p, h in asked.simulated(of).items() if known_variances(nominal(h)) is None]
            if bare:
                raise AnalysisError(
                    f"nothing knows the statistical uncertainty of {bare[0]} in {observable} {region}".rstrip(),
                    where=where,
                    why="the storage Double has no sums of squared weights",
                    do="fill a histogram with the storage Weight()",
                )
        result.check_normalised(observable)
    if not asked.signal:
        raise AnalysisError("a fit measures a signal, and none is named", where=where, do='signal="ttH" names the process')


def _name(text: str) -> str:
    """Give a name that fit programs take: letters, digits and underscores."""
    return re.sub(r"\W", "_", text)


def _moved(histogram: Any) -> dict[str, tuple[list[float], list[float]]]:
    """Give the contents up and down of each source; of a source with one variation the other one is its reflection."""
    plain, others = nominal(histogram).values(), variations_of(histogram)
    found = {}
    for source, (up, down) in up_and_down(list(others)).items():
        high = others[up].values() if up else 2 * plain - others[down].values()
        low = others[down].values() if down else 2 * plain - others[up].values()
        found[source] = ([float(v) for v in high], [float(v) for v in low])
    return found


# ROOT and UHI: every histogram of every variation under a name ----------------------------------------------------------------------


def _flat(asked: Asked, pattern: str) -> dict[str, Any]:
    """Give all histograms by the name that a pattern gives them."""
    fields = {f for _, f, _, _ in Formatter().parse(pattern) if f is not None}
    found: dict[str, Any] = {}
    for observable, regions in asked.histograms.items():
        for region, of in regions.items():
            words = dict(asked.categories[observable][region])
            for process, h in of.items():
                known = words | {"region": region or observable, "process": process, "observable": observable}
                for variation, one in {NOMINAL: nominal(h), **variations_of(h)}.items():
                    unknown = fields - {*known, "variation"}
                    if unknown:
                        raise AnalysisError(
                            f"{observable!r} has no {min(unknown)!r} for its name",
                            where=user_site(),
                            why=f"it has {', '.join([*known, 'variation'])}",
                        )
                    name = pattern.format(**known, variation=variation)
                    if name in found:
                        raise AnalysisError(
                            f"two histograms would be called {name!r}",
                            where=user_site(),
                            why=f"the pattern {pattern!r} leaves out what tells them apart",
                            do=f"name all of {', '.join([f'{{{n}}}' for n in (*known, 'variation')])} in it",
                        )
                    found[name] = one
    return found


def _to_root(place: Path, asked: Asked, pattern: str) -> None:
    left_out = write_root(place, _flat(asked, pattern))
    if left_out:
        name, reason = next(iter(left_out.items()))
        place.unlink()
        raise AnalysisError(f"{name!r} cannot be written to ROOT", where=user_site(), why=reason, do="observables= leaves it out")


def _to_uhi(place: Path, asked: Asked, pattern: str) -> None:
    write_json(place, _flat(asked, pattern))


# Fits: pyhf, cabinetry, Combine -------------------------------------------------------------------------------------------------


def workspace(asked: Asked) -> dict[str, Any]:
    """Give a HistFactory workspace: a channel for each region, and modifiers from the variations.

    A variation that moves all bins of a sample by one factor is a ``normsys``, any other a ``histosys``; statistics of simulation is a
    ``staterror`` of the channel, and the luminosity a ``lumi`` where its uncertainty is given.
    """
    channels = []
    for channel, of in asked.channels().items():
        samples = []
        signals = [_name(s) for s in asked.signal]
        for process, h in asked.simulated(of).items():
            plain, variances = nominal(h).values(), known_variances(nominal(h))
            assert variances is not None
            modifiers: list[dict[str, Any]] = [
                {"name": f"staterror_{channel}", "type": "staterror", "data": [float(v) ** 0.5 for v in variances]}
            ]
            modifiers += [_systematic(source, plain, high, low) for source, (high, low) in _moved(h).items()]
            if process in signals:
                modifiers.append({"name": asked.poi, "type": "normfactor", "data": None})
            if asked.lumi_uncertainty is not None:
                modifiers.append({"name": "lumi", "type": "lumi", "data": None})
            samples.append({"name": process, "data": [float(v) for v in plain], "modifiers": modifiers})
        channels.append({"name": channel, "samples": samples})
    parameters: list[dict[str, Any]] = [{"name": asked.poi, "inits": [1.0], "bounds": [[-10.0, 10.0]]}]
    if asked.lumi_uncertainty is not None:
        s = asked.lumi_uncertainty
        parameters.append(
            {"name": "lumi", "auxdata": [1.0], "sigmas": [s], "inits": [1.0], "bounds": [[max(1 - 5 * s, 0.0), 1 + 5 * s]]}
        )
    return {
        "channels": channels,
        "observations": [{"name": c, "data": asked.observed(of)} for c, of in asked.channels().items()],
        "measurements": [{"name": "measurement", "config": {"poi": asked.poi, "parameters": parameters}}],
        "version": "1.0.0",
    }


def _systematic(source: str, plain: Any, high: list[float], low: list[float]) -> dict[str, Any]:
    import numpy as np

    total = float(plain.sum())
    if total > 0:
        ratios = [float(sum(side)) / total for side in (high, low)]
        if all(
            r > 0 and np.allclose(side, plain * r, rtol=_SAME_SHAPE, atol=0) for r, side in zip(ratios, (high, low), strict=True)
        ):
            return {"name": source, "type": "normsys", "data": {"hi": ratios[0], "lo": ratios[1]}}
    return {"name": source, "type": "histosys", "data": {"hi_data": high, "lo_data": low}}


@contextmanager
def _of_the_extra(package: str) -> Iterator[None]:
    """Say how to install a package that is not there."""
    try:
        with warnings.catch_warnings():  # of libraries about the libraries that they use
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    except ModuleNotFoundError as error:
        raise AnalysisError(
            f"{package} is not installed", where=user_site(), why=str(error), do="pip install 'hep-flows[fit]'"
        ) from None


def _to_pyhf(place: Path, asked: Asked, _pattern: str) -> None:
    said = workspace(asked)
    with _of_the_extra("pyhf"):
        import pyhf

        pyhf.Workspace(said)  # which checks it by pyhf's schema
    write_text(place, json.dumps(said, indent=1) + "\n")


def _channel_histograms(asked: Asked, variation: str, data: str) -> dict[str, Any]:
    """Give the histograms of all channels by ``channel/process`` and a pattern of the variation; data under the name ``data``."""
    import hist
    import numpy as np

    found: dict[str, Any] = {}
    for channel, of in asked.channels().items():
        first = nominal(next(iter(of.values())))
        counted = hist.Hist(first.axes[0], storage=hist.storage.Double())
        counted.view()[:] = asked.observed(of)
        found[f"{channel}/{data}{variation.format(NOMINAL) if '/' in variation else ''}"] = counted
        for process, h in asked.simulated(of).items():
            plain = nominal(h)
            found[f"{channel}/{process}{variation.format(NOMINAL) if '/' in variation else ''}"] = plain
            for source, sides in _moved(h).items():
                for side, values in zip(("Up", "Down"), sides, strict=True):
                    moved = plain.copy()
                    view = moved.view()
                    (view["value"] if view.dtype.names else view)[...] = np.asarray(values)
                    found[f"{channel}/{process}{variation.format(source + side)}"] = moved
    return found


def _to_cabinetry(place: Path, asked: Asked, _pattern: str) -> None:
    """Write a folder: ``config.yml``, and the histograms in ``histograms.root`` beside it."""
    import yaml

    place.mkdir(parents=True, exist_ok=True)
    left_out = write_root(place / "histograms.root", _channel_histograms(asked, "/{}", "Data"))
    assert not left_out
    channels = asked.channels()
    samples: dict[str, list[str]] = {}
    sources: dict[str, dict[str, None]] = {}
    for channel, of in channels.items():
        for process, h in asked.simulated(of).items():
            samples.setdefault(process, []).append(channel)
            for source in _moved(h):
                sources.setdefault(source, {})[process] = None
    systematics: list[dict[str, Any]] = [
        {
            "Name": source,
            "Type": "NormPlusShape",
            "Up": {"VariationPath": f"{source}Up"},
            "Down": {"VariationPath": f"{source}Down"},
            "Samples": list(of),
        }
        for source, of in sources.items()
    ]
    if asked.lumi_uncertainty is not None:
        s = asked.lumi_uncertainty
        both = {"Up": {"Normalization": s}, "Down": {"Normalization": -s}}
        systematics.append({"Name": "lumi", "Type": "Normalization", **both, "Samples": list(samples)})
    config: dict[str, Any] = {
        "General": {
            "Measurement": "measurement",
            "POI": asked.poi,
            "InputPath": f"{place.absolute() / 'histograms.root'}:{{RegionPath}}/{{SamplePath}}/{{VariationPath}}",
            "HistogramFolder": f"{place.absolute() / 'histograms'}",
            "VariationPath": NOMINAL,
        },
        "Regions": [{"Name": c, "RegionPath": c} for c in channels],
        "Samples": [
            {"Name": "Data", "SamplePath": "Data", "Data": True},
            *[{"Name": p, "SamplePath": p, "Regions": of} for p, of in samples.items()],
        ],
        "NormFactors": [{"Name": asked.poi, "Samples": [_name(s) for s in asked.signal], "Nominal": 1, "Bounds": [-10, 10]}],
    }
    if systematics:
        config["Systematics"] = systematics
    with _of_the_extra("cabinetry"):
        import cabinetry

        cabinetry.configuration.validate(config)
    write_text(place / "config.yml", yaml.safe_dump(config, sort_keys=False))


def _to_combine(place: Path, asked: Asked, _pattern: str) -> None:
    """Write a folder: ``datacard.txt``, and the shapes in ``shapes.root`` beside it."""
    place.mkdir(parents=True, exist_ok=True)
    left_out = write_root(place / "shapes.root", _channel_histograms(asked, "_{}", "data_obs"))
    assert not left_out
    channels, signals = asked.channels(), [_name(s) for s in asked.signal]
    processes = list(dict.fromkeys([p for of in channels.values() for p in asked.simulated(of)]))
    number = {p: -signals.index(p) if p in signals else 1 + i for i, p in enumerate([*processes])}
    columns = [(c, p, h) for c, of in channels.items() for p, h in asked.simulated(of).items()]
    sources = list(dict.fromkeys([s for _, _, h in columns for s in _moved(h)]))
    rows: list[Sequence[str]] = [
        ("bin", "", *[c for c, _, _ in columns]),
        ("process", "", *[p for _, p, _ in columns]),
        ("process", "", *[str(number[p]) for _, p, _ in columns]),
        ("rate", "", *[f"{float(nominal(h).values().sum()):.10g}" for _, _, h in columns]),
    ]
    nuisances: list[Sequence[str]] = [(s, "shape", *["1" if s in _moved(h) else "-" for _, _, h in columns]) for s in sources]
    if asked.lumi_uncertainty is not None:
        nuisances.append(("lumi", "lnN", *[f"{1 + asked.lumi_uncertainty:g}"] * len(columns)))
    widths = [max([len(r[i]) for r in (*rows, *nuisances)]) for i in range(len(columns) + 2)]
    table = ["  ".join([c.ljust(w) for c, w in zip(r, widths, strict=True)]).rstrip() for r in (*rows, *nuisances)]
    line = "-" * 60
    head = [
        f"imax {len(channels)}  number of channels",
        f"jmax {len(processes) - 1}  number of processes minus one",
        f"kmax {len(nuisances)}  number of nuisance parameters",
        line,
        "shapes * * shapes.root $CHANNEL/$PROCESS $CHANNEL/$PROCESS_$SYSTEMATIC",
        line,
        f"bin          {'  '.join(channels)}",
        f"observation  {'  '.join([f'{sum(asked.observed(of)):.10g}' for of in channels.values()])}",
        line,
    ]
    text = [*head, *table[: len(rows)], line, *table[len(rows) :], *[f"{c} autoMCStats 0" for c in channels]]
    write_text(place / "datacard.txt", "\n".join(text) + "\n")


# HEPData -------------------------------------------------------------------------------------------------------------------------


def _to_hepdata(place: Path, asked: Asked, _pattern: str) -> None:
    """Write the folder of a submission, with the archive to upload; hepdata_lib validates it."""
    place = place.absolute()
    with _of_the_extra("hepdata_lib"):
        import hepdata_lib

        submission = hepdata_lib.Submission()
        for observable, regions in asked.histograms.items():
            for region, of in regions.items():
                submission.add_table(_hepdata_table(hepdata_lib, asked, f"{observable} {region}".strip(), of))
        # The library writes its archive where the process is, and prints.
        with TemporaryDirectory() as there, chdir(there), redirect_stdout(StringIO()):
            submission.create_files("files", validate=True)
            place.mkdir(parents=True, exist_ok=True)
            for file in [*Path(there, "files").glob("*.yaml"), Path(there, "submission.tar.gz")]:
                copy(file, place)


def _hepdata_table(lib: Any, asked: Asked, title: str, of: Mapping[str, Any]) -> Any:
    """Give a table: the bins, the data with Poisson intervals, each process and their sum with their uncertainties."""
    import numpy as np

    table = lib.Table(title)
    table.description = f"Contents of the bins of {title}."
    first = nominal(next(iter(of.values())))
    if len(first.axes) > 1:
        raise AnalysisError(f"{title!r} has several axes", where=user_site(), do="observables= leaves it out; select= sums an axis")
    axis = first.axes[0]
    label = re.sub(r"\s*\[[^\[\]]+\]\s*$", "", axis.label)
    bins = lib.Variable(label, is_independent=True, is_binned=axis.traits.continuous, units=unit_in(axis.label))
    bins.values = [(float(a), float(b)) for a, b in axis] if axis.traits.continuous else [str(c) for c in axis]
    table.add_variable(bins)

    def column(name: str, values: Any, parts: Mapping[str, tuple[Any, Any] | Any]) -> None:
        variable = lib.Variable(name, is_independent=False, is_binned=False, units="")
        variable.values = [float(v) for v in values]
        for label, one in parts.items():
            both = isinstance(one, tuple)
            error = lib.Uncertainty(label, is_symmetric=not both)
            error.values = [(-float(d), float(u)) for d, u in zip(*one, strict=True)] if both else [float(v) for v in one]
            variable.add_uncertainty(error)
        table.add_variable(variable)

    counted = [nominal(h) for p, h in of.items() if p in asked.recorded]
    if counted:
        data = sum(counted[1:], counted[0])
        low, high = poisson(data)
        column("Data", data.values(), {"stat": (data.values() - low, high - data.values())})
    predicted = {p: h for p, h in of.items() if p not in asked.recorded}
    total = {"Total prediction": [*predicted.values()]} if len(predicted) > 1 else {}
    for name, parts in [*[(p, [h]) for p, h in predicted.items()], *total.items()]:
        found = uncertainty(parts)
        said: dict[str, Any] = {"stat": found.statistical}
        if np.any(found.up) or np.any(found.down):
            said["syst"] = (found.down, found.up)
        column(name, found.values, said)
    return table


# Tables of yields ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Yield:
    """A sum of contents, flow bins included, with its statistical and systematic uncertainty."""

    observable: str
    region: str
    process: str
    value: float
    stat: float
    syst_down: float
    syst_up: float


def yields(asked: Asked) -> list[Yield]:
    """Give the yield of each process, of their sum, and of data, by region."""
    found = []
    for observable, regions in asked.histograms.items():
        for region, of in regions.items():
            predicted = {p: [h] for p, h in of.items() if p not in asked.recorded}
            if len(predicted) > 1:
                predicted["total"] = [h for (h,) in predicted.values()]
            counted = {p: [h] for p, h in of.items() if p in asked.recorded}
            for process, parts in (predicted | counted).items():
                one = uncertainty([_one_bin(h) for h in parts], flow=True)
                numbers = [float(v.sum()) for v in (one.values, one.statistical, one.down, one.up)]
                found.append(Yield(observable, region, process, *numbers))
    return found


def _one_bin(histogram: Any) -> Any:
    """Give the sum of all bins, flow bins included, on an axis of one bin, for each variation."""
    import hist
    import numpy as np

    axes = [a for a in histogram.axes if a.name == AXIS]
    made = hist.Hist(*axes, hist.axis.Regular(1, 0, 1, flow=False, name="all"), storage=histogram.storage_type())
    rest = tuple(range(len(axes), histogram.ndim))
    old, new = histogram.view(flow=True), made.view(flow=True)
    for field in old.dtype.names or (None,):
        source = np.asarray(old if field is None else old[field]).sum(axis=rest)
        (new if field is None else new[field])[...] = source[..., None]
    return made


def _to_csv(place: Path, asked: Asked, _pattern: str) -> None:
    lines = ["observable,region,process,yield,stat,syst_down,syst_up"]
    for y in yields(asked):
        words = [f'"{w}"' if re.search(r'[",\s]', w) else w for w in (y.observable, y.region, y.process)]
        lines.append(",".join([*words, *[repr(v) for v in (y.value, y.stat, y.syst_down, y.syst_up)]]))
    write_text(place, "\n".join(lines) + "\n")


def _to_latex(place: Path, asked: Asked, _pattern: str) -> None:
    """Write a table: a row for each process, a column for each region."""
    rows: dict[str, dict[tuple[str, str], str]] = {}
    for y in yields(asked):
        rows.setdefault(y.process, {})[y.observable, y.region] = _shown(y, counted=y.process in asked.recorded)
    columns = list(dict.fromkeys([c for cells in rows.values() for c in cells]))
    order = [*[p for p in rows if p not in ("total", *asked.recorded)], *[p for p in rows if p in ("total", *asked.recorded)]]
    head = [latex(region or observable) for observable, region in columns]
    lines = [rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\hline", " & ".join(["", *head]) + r" \\", r"\hline"]
    for process in order:
        lines += [r"\hline"] if process == "total" else []
        lines.append(" & ".join([latex(process), *[rows[process].get(c, "") for c in columns]]) + r" \\")
    write_text(place, "\n".join([*lines, r"\hline", r"\end{tabular}", ""]))


def _shown(y: Yield, *, counted: bool) -> str:
    """Give a yield in LaTeX, with as many digits as its smallest uncertainty has two of."""
    import math

    if not math.isfinite(y.value):
        return "blinded"
    if counted and y.value == round(y.value):
        return f"{y.value:.0f}"
    sizes = [s for s in (y.stat, y.syst_down, y.syst_up) if s > 0]
    digits = min(max(0, 1 - math.floor(math.log10(min(sizes)))), 6) if sizes else 2
    text = rf"{y.value:.{digits}f} \pm {y.stat:.{digits}f}"
    if y.syst_up or y.syst_down:
        text += rf" {{}}^{{+{y.syst_up:.{digits}f}}}_{{-{y.syst_down:.{digits}f}}}"
    return f"${text}$"


_WRITERS = {
    "root": _to_root,
    "uhi": _to_uhi,
    "pyhf": _to_pyhf,
    "cabinetry": _to_cabinetry,
    "combine": _to_combine,
    "hepdata": _to_hepdata,
    "csv": _to_csv,
    "latex": _to_latex,
}
