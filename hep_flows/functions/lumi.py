"""``lumi_mask``: the certified luminosity sections of a golden JSON as a function of run and luminosity section."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.types import Bool, Int
from hep_flows.functions.correction import file_bytes, unique_members
from hep_flows.functions.declared import DeclaredFunction
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from os import PathLike

# A run and a section are one number of 64 bits, in the order of both.
_RUNS, _SECTIONS = 1 << 31, 1 << 32


@checked
def lumi_mask(path: str | PathLike[str]) -> DeclaredFunction:
    """Give a function of run and luminosity section: whether the section is certified.

    Parameters
    ----------
    path : str or path
        JSON as the experiments publish it: ``{"194711": [[1, 298], [300, 400]]}`` are runs, and for each the first and the last section
        of ranges that are good. It is read now, and not again.

    Returns
    -------
    DeclaredFunction
        Takes run and luminosity section, by place or by name (``run``, ``luminosityBlock``). Records a call when one of them is an
        expression (bool, with its axes), else computes. Runs that the file does not name are not certified.

    Raises
    ------
    SourceError
        When the file cannot be read, or is no list of certified sections.

    Notes
    -----
    Results are found again by the sections that are certified: not by the file's name, its layout, or the way ranges are cut.
    """
    file, data = file_bytes(path)
    ranges = _ranges(file, data)
    function = UserFunction(
        "lumi_mask",
        ("run", "luminosityBlock"),
        (Int(64), Int(64)),
        Bool(),
        digest("certified sections", ranges),
        body=Certified(ranges),
        note=f"the certified sections of {file}",
        from_file=True,
    )
    return DeclaredFunction(function)


def _ranges(file: str, data: bytes) -> tuple[tuple[int, int, int], ...]:
    """Give run, first and last section of each range, in order, as few ranges as there can be."""
    try:
        runs = json.loads(data, object_pairs_hook=unique_members)
        found = sorted(
            [(_below(_RUNS, int(r)), _below(_SECTIONS, a), _below(_SECTIONS, b)) for r, ranges in runs.items() for a, b in ranges]
        )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(file, f"{error}") from error
    merged: list[tuple[int, int, int]] = []
    for run, first, last in found:
        if last < first:
            raise _damaged(file, f"run {run} has a range from {first} to {last}")
        if merged and merged[-1][0] == run and first <= merged[-1][2] + 1:
            merged[-1] = (run, merged[-1][1], max(last, merged[-1][2]))
        else:
            merged.append((run, first, last))
    return tuple(merged)


def _below(most: int, value: Any) -> int:
    if type(value) is not int or not 0 <= value < most:
        raise ValueError(f"{value!r} is no run and no section")
    return value


def _damaged(file: str, why: str) -> SourceError:
    return SourceError(
        f"{file} is no list of certified luminosity sections",
        where=user_site(),
        why=why,
        do='it holds runs with ranges of sections: {"194711": [[1, 298], [300, 400]]}',
    )


@dataclass(frozen=True, slots=True)
class Certified:
    """Says whether sections are certified: ``ranges`` are run, first and last section, in order and apart from each other."""

    ranges: tuple[tuple[int, int, int], ...]

    def __call__(self, run: Any, section: Any) -> Any:
        """Give whether each section lies in a range."""
        import numpy as np

        run, section = (np.asarray(x, dtype=np.int64) for x in (run, section))
        table = np.asarray([(-1, 0, -1), *self.ranges], dtype=np.int64)
        firsts, lasts = table[:, 0] * _SECTIONS + table[:, 1], table[:, 0] * _SECTIONS + table[:, 2]
        known = (run >= 0) & (run < _RUNS) & (section >= 0) & (section < _SECTIONS)
        at = np.where(known, run * _SECTIONS + section, 0)
        return (known & (at <= lasts[np.searchsorted(firsts, at, side="right") - 1]))[()]
