"""What `run_analysis` gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.errors import visible
from hep_flows.execute.report import RunResult

if TYPE_CHECKING:
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
    """

    datasets: tuple[DatasetNote, ...] = ()
    recordings: int = 0
    written: tuple[str, ...] = ()


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
