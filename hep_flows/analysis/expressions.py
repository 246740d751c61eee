"""The expressions of every dataset: the analysis is recorded once, and again only for datasets that the recording does not hold for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.analysis.record import record
from hep_flows.errors import HepFlowsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hep_flows.analysis.load import Analysis
    from hep_flows.analysis.record import Recording
    from hep_flows.expr.nodes import Expr
    from hep_flows.filesets.describe import Described


@dataclass(frozen=True, slots=True)
class Expressions:
    """What an analysis asks of some datasets.

    Parameters
    ----------
    by_dataset : mapping of str to mapping of str to Expr
        The expressions by name, in their normal form.
    failed : mapping of str to HepFlowsError
        Why there are none for a dataset.
    recordings : int
        How often the analysis was recorded.
    """

    by_dataset: Mapping[str, Mapping[str, Expr]]
    failed: Mapping[str, HepFlowsError]
    recordings: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the analysis gives for any dataset."""
        return tuple(dict.fromkeys([n for exprs in self.by_dataset.values() for n in exprs]))


def expressions(analysis: Analysis, datasets: Iterable[Described], *, keep_going: bool = True) -> Expressions:
    """Give the expressions of an analysis for each dataset.

    Parameters
    ----------
    analysis : Analysis
        What is recorded.
    datasets : iterable of Described
        The datasets.
    keep_going : bool
        Whether a dataset for which it fails leaves the others; else its error comes out.

    Raises
    ------
    HepFlowsError
        When it fails for every dataset: the error of the first.
    """
    recordings: list[Recording] = []
    found: dict[str, Mapping[str, Expr]] = {}
    failed: dict[str, HepFlowsError] = {}
    for dataset in datasets:
        made = _again(recordings, dataset)
        if made is None:
            recordings.append(record(analysis, dataset))
            error, made = recordings[-1].error, recordings[-1].normal
            if error is not None:
                if not keep_going:
                    raise error
                failed[dataset.entry.name] = error
                continue
        found[dataset.entry.name] = made
    if failed and not found:
        raise next(iter(failed.values()))
    return Expressions(found, failed, len(recordings))


def _again(recordings: Iterable[Recording], dataset: Described) -> Mapping[str, Expr] | None:
    """Give the expressions of a recording that holds for a dataset, over its table; None when there is none."""
    for one in recordings:
        if not one.holds_for(dataset):
            continue
        try:
            return one.over(dataset)
        except HepFlowsError:  # recording it anew tells better what is wrong, if anything is
            continue
    return None
