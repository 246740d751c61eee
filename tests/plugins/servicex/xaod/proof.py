"""Expressions through the whole chain: dialect, qastle, the real generator, g++, a run on values of a real file, arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows import render
from hep_flows.plugins.servicex.query import Rows, array_of
from hep_flows.plugins.servicex.xaod.own_functions import MATHEMATICS, MATHEMATICS_OF_TWO, PER_TURN, near_name
from hep_flows.plugins.servicex.xaod.query import XaodDialect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hep_flows.expr.nodes import Expr
    from plugins.servicex.edm.compiled import Compiler

NEAR = tuple(f"hf_{n}" for n in (*MATHEMATICS, *MATHEMATICS_OF_TWO, *PER_TURN))
SINGLE = tuple(near_name(n, 32) for n in (*MATHEMATICS, *MATHEMATICS_OF_TWO, *PER_TURN))


@dataclass
class Proof:
    """Runs what the dialect says that it can do."""

    compiler: Compiler
    values: Path
    dialect: XaodDialect = field(default_factory=XaodDialect)

    def text(self, frame) -> str:
        """Give the query of one recorded expression."""
        return self.dialect.asked([normal(frame)])[0].text

    def results(self, exprs: Sequence[Expr]) -> list[Any]:
        """Give the results of one query for all of these expressions."""
        query, outputs = self.dialect.asked(exprs)
        columns = self.compiler.run(query.text, self.values)
        assert set(columns) == set(query.columns)
        return [len(columns[o.column]) if isinstance(o, Rows) else array_of(o, columns) for o in outputs]

    def result(self, frame) -> Any:
        """Give the result of one recorded expression."""
        return self.results([normal(frame)])[0]


def normal(frame) -> Expr:
    """Give the normal form of a recorded expression."""
    return render(frame)


def digits(text: str) -> int:
    """Give how many bits of its numbers a query is right in: 32 or 64 of a mathematical function whose last digits depend on the
    library, however wide the sum is that it goes into; 0 where it uses none and promises every bit.
    """
    used = [name for name in (*SINGLE, *NEAR) if f"call {name} " in text]
    return 0 if not used else 32 if any(name in SINGLE for name in used) else 64


def assert_same(got: Any, wanted: Any, *, bits: int = 0) -> None:
    """Compare type and values: to the bit, or but for the last digits of numbers of 32 or 64 bits (see `digits`)."""
    if not isinstance(wanted, ak.Array):
        assert got == wanted
        return
    assert str(got.type) == str(wanted.type)
    for (path, a), (_, b) in zip(_flat(got), _flat(wanted), strict=True):
        if not bits:
            np.testing.assert_array_equal(a, b, err_msg=path)
        else:
            narrow = bits == 32 or a.dtype == np.float32
            np.testing.assert_allclose(a, b, rtol=2e-5 if narrow else 1e-12, atol=1e-6 if narrow else 1e-12, err_msg=path)


def _flat(array: ak.Array):
    """Give every buffer, and where it lies: counts of lists, truths of options, numbers."""
    yield from _parts(ak.to_packed(array).layout, "")


def _parts(layout, path: str):
    if layout.is_record:
        for name in layout.fields:
            yield from _parts(layout.content(name), f"{path}.{name}")
    elif layout.is_list:
        lists = layout.to_ListOffsetArray64(start_at_zero=True)
        yield f"{path}[]", np.diff(np.asarray(lists.offsets.data))
        yield from _parts(lists.content[: int(lists.offsets[-1])], f"{path}[]")
    elif layout.is_option:
        yield f"{path}?", np.asarray(layout.mask_as_bool(valid_when=True))
        yield from _parts(layout.project(), path)
    else:
        yield path, np.asarray(layout.data)
