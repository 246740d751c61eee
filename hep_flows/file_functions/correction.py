"""``correction``: a correction of a correctionlib file as a function in expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.types import Float, Int, Item, String
from hep_flows.file_functions.correction_text import correction_text
from hep_flows.file_functions.file_bytes import file_bytes
from hep_flows.record.arguments import checked
from hep_flows.record.declared_function import DeclaredFunction
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from os import PathLike

_ITEMS: dict[str, Item] = {"string": String(), "int": Int(64), "real": Float(64)}
_OUT_OF_RANGE = "keep its inputs in range: x[x.pt < 500], np.minimum(x.pt, 499.0); or give the correction a flow in the file"
_NO_CATEGORY = "take one of its categories, or give the correction a default in the file"


@checked
def correction(path: str | PathLike[str], name: str = "") -> DeclaredFunction:
    """Give a correction of a file of correctionlib, as a function of its inputs.

    Parameters
    ----------
    path : str or path
        JSON, or JSON compressed by gzip. It is read now, and not again: what is computed is the correction as it was read.
    name : str
        The name of a correction or a compound correction; may be left out where there is only one.

    Returns
    -------
    DeclaredFunction
        Takes the inputs by place, or by name. Records a call when one of them is an expression, else computes.

    Raises
    ------
    SourceError
        When the file cannot be read, is no set of corrections, or has none of that name.
    LiteralError
        When correctionlib is not installed.

    Notes
    -----
    Results are found again by what is in the correction and in those that it refers to: not by the file's name, nor by what else is
    in the file.
    """
    file, data = file_bytes(path)
    if find_spec("correctionlib") is None:
        raise LiteralError(
            f"{file} needs correctionlib", where=user_site(), why="it is not installed", do="pip install hep-flows[corrections]"
        )
    read = correction_text(file, data, name)
    function = UserFunction(
        re.sub(r"\W", "_", read.name) or "correction",
        tuple([n for n, _ in read.inputs]),
        tuple([_ITEMS[kind] for _, kind in read.inputs]),
        Float(64),
        digest("correction", read.name, read.is_compound, read.text),
        body=Evaluator(read.name, tuple([kind for _, kind in read.inputs]), read.text, read.is_compound),
        note=f"the correction {read.name} of {file}",
        from_file=True,
    )
    return DeclaredFunction(function)


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Computes a correction from the text that was hashed, for numbers and for arrays of them.

    Parameters
    ----------
    name : str
        The name of the correction.
    kinds : tuple of str
        The kind of each input.
    text : str
        The set of corrections.
    is_compound : bool
        Whether it is a compound correction.
    """

    name: str
    kinds: tuple[str, ...]
    text: str
    is_compound: bool

    def __call__(self, *values: Any) -> Any:
        """Give the correction for each element."""
        typed = [_typed(v, kind) for v, kind in zip(values, self.kinds, strict=True)]
        try:
            return _loaded(self.name, self.text, self.is_compound).evaluate(*typed)
        except RuntimeError as error:
            if "bounds" in f"{error}":
                error.add_note(_OUT_OF_RANGE)
            raise
        except IndexError as error:
            error.add_note(_NO_CATEGORY)
            raise


@lru_cache(maxsize=64)
def _loaded(name: str, text: str, is_compound: bool) -> Any:  # noqa: FBT001
    """Make the evaluator at the first call: a result that is stored needs no correctionlib, and other processes get the text."""
    from correctionlib import CorrectionSet

    found = CorrectionSet.from_string(text)
    return (found.compound if is_compound else found)[name]


def _typed(value: Any, kind: str) -> Any:
    """Give a value in the type that correctionlib takes for this kind of input; it would truncate some others without a word."""
    if kind == "string" or not (isinstance(value, bool | int | float) or type(value).__module__ == "numpy"):
        return value
    import numpy as np

    array = np.asarray(value)
    if kind == "real":
        return array.astype(np.float64) if array.ndim else float(array)
    if array.dtype.kind not in "bui" or (array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max):
        raise TypeError(f"a whole number of 64 bits is needed, not {value}")
    return array.astype(np.int64) if array.ndim else int(array)
