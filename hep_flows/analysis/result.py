"""What `run_analysis` gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.processes import Sample, by_process, checked_lumi, process_of, scaled_values
from hep_flows.errors import visible
from hep_flows.execute.report import RunResult
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.analysis.prepare import Prepared
    from hep_flows.contract import Key


@dataclass(frozen=True, slots=True)
class Stored:
    """Stands for an array that stayed in the store, part by part; the key is that of its task."""

    key: Key


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
        How many files it has.
    failed : str
        Why it could not be used at all; empty when it could.
    """

    name: str
    kind: str
    kind_reason: str
    files: int
    failed: str = ""

    def __str__(self) -> str:
        """Give one line."""
        name = visible(self.name)
        if self.failed and not self.kind:
            return f"{name}: {self.failed}"
        reason = f" ({self.kind_reason})" if self.kind_reason else ""
        return f"{name}: {self.kind}{reason}, {self.files} file{'' if self.files == 1 else 's'}{_colon(self.failed)}"


def _colon(text: str) -> str:
    return f": {text}" if text else ""


@dataclass(frozen=True, slots=True)
class AnalysisResult(RunResult):
    """The values of an analysis by dataset and name, and the report.

    Parameters
    ----------
    values : dict of str to dict of str to any
        By dataset and name; a `Missing` where a value could not be delivered. There are no partial values. Where results were
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
    """

    datasets: tuple[DatasetNote, ...] = ()
    recordings: int = 0
    written: tuple[str, ...] = ()
    samples: Mapping[str, Sample] = field(default_factory=dict, repr=False)

    @property
    def processes(self) -> dict[str, dict[str, Any]]:
        """The results by process and name: those of the datasets with the same metadata ``process`` added, not scaled.

        A dataset that says no process is one of its own. Arrays stay with their datasets.
        """
        return by_process(self.values, {name: s.process for name, s in self.samples.items()})

    def by_process(self, **patterns: str | Sequence[str]) -> dict[str, dict[str, Any]]:
        """Give the results by process, where a process is what fits a pattern of names: ``done.by_process(top="tt*", vjets=["W*", "DY*"])``."""
        return by_process(self.values, {n: process_of(n, s.metadata, patterns) for n, s in self.samples.items()})

    def scaled(self, lumi: float) -> AnalysisResult:
        """Give the results with simulation scaled to a luminosity: by xsec x lumi x k_factor x filter_efficiency / sumw.

        The metadata of a dataset says ``xsec`` in pb and, where there are any, ``k_factor`` and ``filter_efficiency``. The sum of weights
        is that of all events that were generated for its files, or the metadata ``sumw``. Data is not scaled, and numbers of events in
        cutflows stay counts.

        Parameters
        ----------
        lumi : float
            The integrated luminosity in 1/fb.

        Raises
        ------
        AnalysisError
            When a weight is normalised already, or a cross section or a sum of weights is not known.
        """
        where, known = user_site(), checked_lumi(lumi)
        values = {name: scaled_values(self.samples[name], given, known, where) for name, given in self.values.items()}
        samples = {
            n: s if s.is_data else replace(s, weights=dict.fromkeys(self.values[n], frozenset({"lumi"})))
            for n, s in self.samples.items()
        }
        return replace(self, values=values, samples=samples)


def notes_of(prepared: Prepared) -> tuple[DatasetNote, ...]:
    """Give what was found out about each dataset, in the order of the fileset."""
    notes: list[DatasetNote] = []
    for entry in prepared.entries:
        error = prepared.failed.get(entry.name)
        failed = "" if error is None else error.what
        one = prepared.datasets.get(entry.name)
        if one is None:
            notes.append(DatasetNote(entry.name, "", "", 0, failed))
        else:
            notes.append(DatasetNote(entry.name, one.table.kind, one.kind_reason, len(one.table.files), failed))
    return tuple(notes)
