"""Rows of the tables of behaviour: what a user writes beside what must come out."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import pytest

from hep_flows import HepFlowsError, make_local
from semantics.equal import assert_same

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from semantics.files import Raw, Tables


@dataclass(frozen=True)
class Row:
    """One row.

    ``user`` gets the tables and gives what is made local; ``wanted`` gets the plain arrays and gives what must come out. Floats are
    compared to the last bit unless ``rel`` is given. A result without any entry proves nothing, unless ``empty`` says that it is meant.
    ``warns`` are the words of a warning that must come.
    """

    number: str
    states: str
    user: Callable[[Tables], Any]
    wanted: Callable[[Raw], Any]
    rel: float = 0.0
    empty: bool = False
    warns: str = ""

    def check(self, tables: Tables, raw: Raw) -> None:
        with np.errstate(all="ignore"):
            want = self.wanted(raw)
        assert self.empty or _has_entries(want), "the reference has no entries"
        with pytest.warns(UserWarning, match=self.warns) if self.warns else nullcontext():
            found = make_local(self.user(tables))
        assert_same(found, want, self.rel)


@dataclass(frozen=True)
class Mistake:
    """A mistake: what a user writes, the words of the message, and one of several words of advice."""

    number: str
    states: str
    user: Callable[[Tables], Any]
    words: tuple[str, ...]
    advice: tuple[str, ...] = ()

    def check(self, tables: Tables) -> None:
        with pytest.raises(HepFlowsError) as caught:
            self.user(tables)
        text = str(caught.value)
        for word in self.words:
            assert word in text, f"{word!r} is not in: {text}"
        assert not self.advice or any(a in text for a in self.advice), text
        assert re.search(r"test_\w+\.py:\d+", text), f"the user's line is not shown: {text}"


def table(rows: Sequence[Row | Mistake]) -> Any:
    """Give the mark that runs a test once for each row."""
    return pytest.mark.parametrize("row", rows, ids=[f"{r.number} {r.states}" for r in rows])


def _has_entries(want: Any) -> bool:
    if isinstance(want, dict):
        return all(_has_entries(v) for v in want.values())
    if isinstance(want, list | tuple):
        return all(_has_entries(v) for v in want)
    if isinstance(want, ak.Array):
        first = want
        while first.fields:
            first = first[first.fields[0]]
        return bool(ak.count(first, axis=None) > 0) if "string" not in str(first.type) else len(first) > 0
    if isinstance(want, np.ndarray):
        return want.size > 0
    return True
