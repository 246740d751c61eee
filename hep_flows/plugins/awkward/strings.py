"""Functions of text: comparison, choice and membership on flat arrays of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from hep_flows.plugins.awkward.values import texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def computed(name: str, operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Give a function of text; operands are flat arrays of text and plain strings."""
    match name:
        case "equal":
            return _equal(operands[0], operands[1])
        case "not_equal":
            return ~_equal(operands[0], operands[1])
        case "isin":
            found = np.zeros(_size(operands[0]), dtype=np.bool_)
            for value in options["values"]:
                found |= _equal(operands[0], value)
            return found
        case "where":
            return chosen(*operands)
        case _:
            raise TypeError(f"{name} is not defined for text")


def is_text(operand: Any) -> bool:
    """Say whether an operand is text."""
    return isinstance(operand, str | ak.Array)


def _size(operand: Any) -> int:
    return 1 if isinstance(operand, str) else len(operand)


def _equal(one: Any, other: Any) -> NDArray[np.bool_]:
    if not is_text(one) or not is_text(other):
        return np.zeros(max(_size(o) for o in (one, other) if is_text(o)), dtype=np.bool_)
    if isinstance(one, str) and isinstance(other, str):
        return np.asarray([one == other])
    if max(_size(one), _size(other)) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(one == other)


def chosen(condition: NDArray[np.bool_], yes: Any, no: Any) -> Any:
    """Give the first text where the condition is true, else the second."""
    size = len(condition)
    yes, no = [repeated(t, size) for t in (yes, no)]
    return ak.concatenate([yes, no])[np.arange(size) + size * ~condition]


def repeated(text: Any, size: int) -> Any:
    """Give an array of text; one string is repeated."""
    return texts([text])[np.zeros(size, dtype=np.int64)] if isinstance(text, str) else text


def is_filled(text: Any) -> NDArray[np.bool_]:
    """Say which texts are not empty: what Python takes as true."""
    return np.asarray(ak.num(text, axis=1)) > 0
