"""What `run_analysis` gives."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.processes import NORMALISED, Sample, by_process, checked_lumi, process_of, scaled_values
from hep_flows.errors import AnalysisError, did_you_mean, visible
from hep_flows.execute.joint import Cutflow
from hep_flows.execute.report import Missing, RunResult
from hep_flows.expr.text import shown
from hep_flows.expr.variations import AXIS
from hep_flows.plots import nominal, on_axes, summed, unit_in
from hep_flows.record.where import user_site
from hep_flows.sources.stored import entries_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hep_flows.analysis.exports import Format
    from hep_flows.analysis.prepare import Prepared
    from hep_flows.contract import Key
    from hep_flows.filesets import Entry
    from hep_flows.record.histogram import Filled


@dataclass(frozen=True, slots=True)
class Stored:
    """Stands for an array that stayed in the store, part by part; the key is that of its task."""

    key: Key


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be used.

    Parameters
    ----------
    dataset, file : str
        Where it stands in the fileset; of a URL without what may be secret.
    why : str
        What is wrong with it.
    reproduce : str
        A command for the shell that fails for the same reason, with this file alone.
    """

    dataset: str
    file: str
    why: str
    reproduce: str


@dataclass(frozen=True, slots=True)
class DatasetNote:
    """What was found out about a dataset.

    Parameters
    ----------
    name : str
        Its name.
    kind, kind_reason : str
        The kind of table, and why it is taken for one; the reason is empty where the fileset says so.
    files : int
        How many files are in its results.
    failed : str
        Why it could not be used at all; empty when it could.
    expected_files : int
        How many files it has.
    events : int, optional
        The events of the files that are in its results; None where only a server knows.
    expected_events : int, optional
        Those of all its files; None where nothing says it.
    bad : tuple of BadFile
        The files that cannot be used.
    sumw : float, optional
        Of an incomplete dataset of simulation: the sum of weights of all events that were generated for the files in its results.
    """

    name: str
    kind: str
    kind_reason: str
    files: int
    failed: str = ""
    expected_files: int = 0
    events: int | None = None
    expected_events: int | None = None
    bad: tuple[BadFile, ...] = ()
    sumw: float | None = None

    def __str__(self) -> str:
        """Give one line."""
        name = visible(self.name)
        if self.failed and not self.kind:
            return f"{name}: {self.failed}"
        reason = f" ({self.kind_reason})" if self.kind_reason else ""
        of_all = f"{self.files} of {self.expected_files}" if self.bad else f"{self.files}"
        n = self.expected_files if self.bad else self.files
        return f"{name}: {self.kind}{reason}, {of_all} file{'' if n == 1 else 's'}{_colon(self.failed)}"

    @property
    def label(self) -> dict[str, Any]:
        """What a partial result is of: it goes along with it wherever it is written; empty where it is of all files."""
        if not self.bad:
            return {}
        events = {"processed": self.events, "expected": self.expected_events}
        files = {"processed": self.files, "expected": self.expected_files}
        lacks = [{"file": b.file, "why": b.why} for b in self.bad]
        return {"partial": self.name, "files": files, "events": events, "sumw": self.sumw, "lacks": lacks}

    @property
    def in_short(self) -> str:
        """The label in a few words."""
        return f"PARTIAL: {self.files} of {self.expected_files} files" if self.bad else ""


def _colon(text: str) -> str:
    return f": {text}" if text else ""


@dataclass(frozen=True, slots=True)
class AnalysisResult(RunResult):
    """The values of an analysis by dataset and name, and the report.

    Parameters
    ----------
    values : dict of str to dict of str to any
        By dataset and name; a `Missing` where a value could not be delivered. There are no partial values, unless these were asked
        for: then `datasets` says of how many files they are, and histograms have it as their ``metadata``. Where results were
        written to a folder, arrays stay there, and a `Skim` stands for them.
    report : RunReport
        What became of each task, and of each dataset that could not be used at all.
    datasets : tuple of DatasetNote
        What was found out about each dataset.
    recordings : int
        How often the analysis was recorded.
    written : tuple of str
        The files that were written, relative to their folder.
    samples : mapping of str to Sample
        By dataset, what normalises its results.
    is_partial : bool
        Whether results over a part of the files were asked for, where others cannot be used; each has its own key.
    allows_partial : bool
        Whether these may be used like whole ones.
    lumi : float, optional
        The integrated luminosity in 1/fb that simulation is scaled to, where it is.
    filled : mapping of str to Filled
        By name of a histogram, what it is filled with: the units of its axes.
    """

    datasets: tuple[DatasetNote, ...] = ()
    recordings: int = 0
    written: tuple[str, ...] = ()
    samples: Mapping[str, Sample] = field(default_factory=dict, repr=False)
    is_partial: bool = False
    allows_partial: bool = False
    lumi: float | None = None
    filled: Mapping[str, Filled] = field(default_factory=dict, repr=False)

    @property
    def bad_files(self) -> tuple[BadFile, ...]:
        """Every file that cannot be used, with a command that shows it."""
        return tuple([b for note in self.datasets for b in note.bad])

    @property
    def partial(self) -> dict[str, DatasetNote]:
        """The datasets of which there are results over a part of the files."""
        return {d.name: d for d in self.datasets if d.bad and not d.failed and self.is_partial}

    def allow_partial(self) -> AnalysisResult:
        """Give the same results, with partial ones taken for what they are: `processes` and `scaled` refuse them otherwise."""
        return replace(self, allows_partial=True)

    @property
    def processes(self) -> dict[str, dict[str, Any]]:
        """The results by process and name: those of the datasets with the same metadata ``process`` added, not scaled.

        A dataset that says no process is one of its own. Arrays stay with their datasets.

        Raises
        ------
        AnalysisError
            When a dataset is partial, and that is not allowed.
        """
        self._check_whole("added to processes")
        return by_process(self.values, {name: s.process for name, s in self.samples.items()})

    def by_process(self, **patterns: str | Sequence[str]) -> dict[str, dict[str, Any]]:
        """Give the results by process, where a process is what fits a pattern of names: ``done.by_process(top="tt*", vjets=["W*", "DY*"])``."""
        self._check_whole("added to processes")
        return by_process(self.values, {n: process_of(n, s.metadata, patterns) for n, s in self.samples.items()})

    def _check_whole(self, verb: str, *, only_data: bool = False) -> None:
        names = [n for n in self.partial if self.samples[n].is_data] if only_data else list(self.partial)
        if not names or (self.allows_partial and not only_data):
            return
        first = self.partial[names[0]]
        raise AnalysisError(
            f"{visible(names[0])} has {first.files} of {first.expected_files} files, so it is not {verb}",
            where=user_site(),
            why=f"partial results would pass for whole ones; so would those of {len(names) - 1} more" * (len(names) > 1)
            or "a partial result would pass for a whole one",
            do="say which luminosity its files have: done.allow_partial().scaled(lumi, of_processed_data=True)"
            if only_data
            else "mend the files and run again, or write done.allow_partial() in the place of done",
        )

    def scaled(self, lumi: float, *, of_processed_data: bool = False) -> AnalysisResult:
        """Give the results with simulation scaled to a luminosity: by xsec x lumi x k_factor x filter_efficiency / sumw.

        The metadata of a dataset says ``xsec`` in pb and, where there are any, ``k_factor`` and ``filter_efficiency``. The sum of weights
        is that of all events that were generated for its files, or the metadata ``sumw``; of a partial dataset always the first. Data is
        not scaled, and numbers of events in cutflows stay counts. Datasets of one process whose metadata says ``stitch`` are scaled by the
        luminosity that they have together, bin by bin of the axis that it names.

        Parameters
        ----------
        lumi : float
            The integrated luminosity in 1/fb.
        of_processed_data : bool
            Where a dataset of data is partial: the luminosity is that of the files that were processed.

        Raises
        ------
        AnalysisError
            When a weight is normalised already, a cross section or a sum of weights is not known, or a dataset is partial and that is
            not allowed.
        """
        where, known = user_site(), checked_lumi(lumi)
        self._check_whole("scaled")
        if not of_processed_data:
            self._check_whole("what simulation is scaled to", only_data=True)
        every = self.samples.values()
        values = {name: scaled_values(self.samples[name], given, known, where, every) for name, given in self.values.items()}
        samples = {
            n: s if s.is_data else replace(s, weights=dict.fromkeys(self.values[n], frozenset({"lumi"})))
            for n, s in self.samples.items()
        }
        return replace(self, values=values, samples=samples, lumi=known)

    # Pictures: what `hep_flows.plots` draws, by process and with the units of what was filled -------------------------------------

    def stack(
        self,
        name: str,
        *,
        data: bool | str | Sequence[str] = True,
        signal: str | Sequence[str] = (),
        select: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> Any:
        """Draw a histogram of all processes of simulation on top of each other, and data as points.

        Parameters
        ----------
        name : str
            The result.
        data : bool, or processes
            Whether data is drawn; or the processes that are the data. When left out, those whose datasets are recorded data.
        signal : processes
            What is drawn as lines, and not stacked.
        select : mapping
            By axis, what is taken of a histogram on several: a category, ``sum``, a slice.
        **how
            See `hep_flows.plots.stack` and `hep_flows.plots.Look`: ``ratio``, ``systematics``, ``yields``, ``signal_scale``, ``style``,
            ``log``, ``label``, ``com``, ``title``.

        Returns
        -------
        matplotlib.figure.Figure
            The picture.

        Raises
        ------
        AnalysisError
            When there is no such histogram, a part of it is missing, or data stands beside simulation that is not normalised.
        """
        from hep_flows.plots import stack

        found = self._histograms(name, select)
        recorded = self.recorded if data is True else () if data is False else (data,) if isinstance(data, str) else tuple(data)
        lines = (signal,) if isinstance(signal, str) else tuple(signal)
        _known([*lines, *(() if isinstance(data, bool) else recorded)], found, "process")
        points = [found[p] for p in recorded if p in found]
        model = {p: h for p, h in found.items() if p not in recorded and p not in lines}
        if not model:
            raise AnalysisError(
                f"nothing of {name!r} can be stacked: there is data only", where=user_site(), do=f"done.plot({name!r})"
            )
        self.check_normalised(name)
        look = self.look(name, next(iter(found.values()))) | how
        return stack(model, sum(points[1:], points[0]) if points else None, signal={p: found[p] for p in lines}, **look)

    def plot(self, name: str, *processes: str, select: Mapping[str, Any] | None = None, **how: Any) -> Any:
        """Draw a histogram or a cutflow of some processes (of all, when none is named) as lines; see `hep_flows.plots.plot`."""
        from hep_flows.plots import plot

        found = self.of_processes(name)
        _known(processes, found, "process")
        chosen = {p: v for p, v in found.items() if not processes or p in processes}
        if isinstance(nominal(next(iter(chosen.values()))), Cutflow):
            return plot(chosen, **how)
        drawn = {p: on_axes(v, name, 2, **(select or {})) for p, v in chosen.items()}
        several: Any = drawn if len(drawn) > 1 else next(iter(drawn.values()))
        one = next(iter(drawn)) if len(drawn) == 1 else ""
        return plot(several, **({"title": one} | self.look(name, next(iter(drawn.values())), one) | how))

    def variations(
        self, name: str, *sources: str, process: str | None = None, select: Mapping[str, Any] | None = None, **how: Any
    ) -> Any:
        """Draw the variations of a histogram of one process (of the sum of simulation) beside the nominal one, with their ratio."""
        from hep_flows.plots import variations

        found = self._histograms(name, select)
        _known([process] if process else [], found, "process")
        parts = [h for p, h in found.items() if p == process or (process is None and p not in self.recorded)]
        if process is None:
            self.check_normalised(name)
        return variations(summed(parts), *sources, **(self.look(name, parts[0]) | how))

    def efficiency(self, passed: str, total: str, *processes: str, select: Mapping[str, Any] | None = None, **how: Any) -> Any:
        """Draw the efficiency of one histogram in another, process by process, with Clopper-Pearson intervals."""
        from hep_flows.plots import efficiency

        some, every = self._histograms(passed, select), self._histograms(total, select)
        _known(processes, every, "process")
        chosen = [p for p in every if not processes or p in processes]
        look = self.look(total, every[chosen[0]])
        look.pop("counts", None)
        return efficiency({p: some[p] for p in chosen}, {p: every[p] for p in chosen}, **(look | how))

    def export(
        self,
        path: str | os.PathLike[str],
        pattern: str = "",
        *,
        to: Format | None = None,
        observables: str | Sequence[str] = (),
        **how: Any,
    ) -> Path:
        """Write histograms for other programs, split by their axes of text, or tables of yields.

        Parameters
        ----------
        path : path
            A file; for ``cabinetry``, ``combine`` and ``hepdata`` a folder.
        pattern : str
            For ``root`` and ``uhi``, how histograms are called: ``"{region}/{process}/{observable}_{variation}"``, which is also what it
            is when left out; an axis of text may be named, too.
        to : str, optional
            ``root``, ``uhi``, ``pyhf``, ``cabinetry``, ``combine``, ``hepdata``, ``csv`` or ``latex``; when left out, what the ending
            says: ``.root``, ``.json``, ``.csv``, ``.tex``.
        observables : str or sequence of str
            The results to write; all histograms when left out.
        **how
            ``select`` (by axis, what is taken of it), ``data`` (False, or the processes that it is), and for fits ``signal`` (the
            processes that are measured), ``lumi_uncertainty`` (relative) and ``poi``.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        AnalysisError
            When a part is missing, or a fit program would take it for something that it is not.
        """
        from hep_flows.analysis.exports import export

        return export(self, path, pattern, to=to, observables=observables, **how)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Give the processes that are recorded data."""
        processes = {s.process: True for s in self.samples.values()}
        processes |= {s.process: False for s in self.samples.values() if not s.is_data}
        return tuple([p for p, is_data in processes.items() if is_data])

    def without(self, processes: Iterable[str]) -> AnalysisResult:
        """Give the results without those of some processes."""
        left = [n for n, s in self.samples.items() if s.process not in set(processes)]
        return replace(self, values={n: self.values[n] for n in left}, samples={n: self.samples[n] for n in left})

    def of_processes(self, name: str) -> dict[str, Any]:
        """Give a result by process; of those that have it, none may lack a part."""
        self._check_whole("drawn by process")
        process_of_dataset = {n: s.process for n, s in self.samples.items()}
        named = by_process({d: {name: v[name]} for d, v in self.values.items() if name in v}, process_of_dataset)
        found = {p: values[name] for p, values in named.items() if name in values}
        if not found:
            known = list(dict.fromkeys([n for values in self.processes.values() for n in values]))
            raise AnalysisError(
                f"there is no result {name!r} that adds up",
                where=user_site(),
                do=did_you_mean(name, known) or f"there are {', '.join(known)}",
            )
        for process, value in found.items():
            if isinstance(value, Missing):
                raise AnalysisError(
                    f"{name!r} of {visible(process)} is missing",
                    where=user_site(),
                    why=value.reason,
                    do="run it again when the reason is gone, or leave the process out",
                )
        return found

    def _histograms(self, name: str, select: Mapping[str, Any] | None) -> dict[str, Any]:
        return {p: on_axes(v, name, 1, **(select or {})) for p, v in self.of_processes(name).items()}

    def look(self, name: str, histogram: Any, process: str = "") -> dict[str, Any]:
        """Give how the picture of a histogram is labelled: with units, with what is counted, and the luminosity."""
        filled = self.filled.get(name)
        given: dict[str, Any] = {"lumi": self.lumi, "recorded": process in self.recorded}
        for which, axis in zip(("xlabel", "ylabel"), [a for a in histogram.axes if a.name != AXIS], strict=False):
            unit = filled.units.get(axis.name, "") if filled else ""
            if unit and not unit_in(axis.label):
                given[which] = f"{axis.label} [{unit}]"
        if self.lumi is not None:
            given["counts"] = "Events" if filled is not None and filled.per_event else "Entries"
        return given

    def is_normalised(self, name: str) -> bool:
        """Say whether a result of all its datasets may be added and compared: data alone, one dataset, or simulation that is normalised."""
        return not self._bare(name)

    def _bare(self, name: str) -> list[str]:
        """Give the simulated datasets of which a result is not normalised, where other datasets have it too."""
        having = [s for s in self.samples.values() if name in self.values.get(s.name, {})]
        bare = [s.name for s in having if not s.is_data and not s.weights.get(name, frozenset()) & NORMALISED]
        return bare if len(having) > 1 else []

    def check_normalised(self, name: str) -> None:
        """Refuse what adds numbers of different meaning: simulation that was not normalised, with data or other datasets."""
        bare = self._bare(name)
        if bare:
            raise AnalysisError(
                f"{name!r} of {visible(bare[0])} is not normalised",
                where=user_site(),
                why="sums of weights of different datasets, and data, have nothing in common before they are scaled to a luminosity",
                do=f"done.scaled(lumi=59.7).stack({name!r}); done.plot({name!r}, density=True) compares shapes",
            )


def _known(asked: Iterable[str], found: Mapping[str, Any], what: str) -> None:
    for one in asked:
        if one not in found:
            raise AnalysisError(
                f"there is no {what} {one!r}",
                where=user_site(),
                do=did_you_mean(one, list(found)) or f"there are {', '.join(found)}",
            )


def with_labels(notes: Sequence[DatasetNote], values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give values, with the label of each partial dataset on its histograms, as ``metadata``; sums and slices keep it."""
    labels = {n.name: n.label for n in notes}
    return {
        name: {k: _labelled(v, labels[name]) for k, v in given.items()} if labels.get(name) else dict(given)
        for name, given in values.items()
    }


def _labelled(value: Any, label: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {k: _labelled(v, label) for k, v in value.items()}
    if not hasattr(value, "storage_type"):
        return value
    one = value.copy()
    one.metadata = {**(one.metadata or {}), **label}
    return one


def notes_of(prepared: Prepared, lost: Mapping[str, Mapping[str, str]] = MappingProxyType({})) -> tuple[DatasetNote, ...]:
    """Give what was found out about each dataset, in the order of the fileset.

    Parameters
    ----------
    lost : mapping
        By dataset, the files that could not be read, each with the reason.
    """
    notes: list[DatasetNote] = []
    for entry in prepared.entries:
        error = prepared.failed.get(entry.name)
        failed = "" if error is None else error.what
        one = prepared.datasets.get(entry.name)
        if one is None:
            files = error.files if error is not None else {}
            notes.append(
                DatasetNote(entry.name, "", "", 0, failed, len(files), bad=_bad_files(entry, files, entry.kind, entry.tree))
            )
            continue
        table = one.table
        here = lost.get(entry.name, {})
        bad = _bad_files(entry, {**here, **{shown(f): e.what for f, e in one.bad.items()}}, table.model, table.tree)
        read = [c for f, c in zip(table.files, table.content, strict=False) if shown(f) not in here]
        events = sum(map(entries_of, read)) if all(c.partition(":")[0].isdigit() for c in read) else None
        said = [entry.events.get(f) for f in (*table.files, *one.bad)]
        expected = (events if not bad else None) if None in said else sum([n or 0 for n in said])
        n_files = len(table.files) - len(here)
        notes.append(
            DatasetNote(entry.name, table.kind, one.kind_reason, n_files, failed, n_files + len(bad), events, expected, bad)
        )
    return tuple(notes)


def _bad_files(entry: Entry, files: Mapping[str, str], kind: str, tree: str) -> tuple[BadFile, ...]:
    options = [*(["--kind", kind] if kind else []), *(["--tree", tree] if tree else [])]
    return tuple(
        [
            BadFile(entry.name, f, why, shlex.join(["hep-flows", "fileset", "check", f, *options, "--read"]))
            for f, why in files.items()
        ]
    )
