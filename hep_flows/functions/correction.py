"""``correction``: a correction of a correctionlib file as a function in expressions."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import LiteralError, SourceError, did_you_mean
from hep_flows.expr.functions import UserFunction
from hep_flows.expr.key import digest
from hep_flows.expr.types import Float, Int, Item, String
from hep_flows.functions.declared import DeclaredFunction
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from os import PathLike

# What one correction of a file is: its text in a canonical form, with all that it refers to, and nothing else of the file --------
#
# The text of every number stays as it was written: readers of JSON differ in the last bit of a float, so ``0.10`` and ``0.1`` may be
# two numbers. Texts that only describe are left out.

SCHEMA = 2
KINDS = ("string", "int", "real")
MOST_BYTES = 1_000_000_000
# The parser of correctionlib takes a time that goes with the square of a formula's length, and overflows the stack on deep ones.
MOST_LETTERS, MOST_BRACKETS = 5000, 100
# Ends and edges of bins that are written without a point, which correctionlib refuses when it computes.
_WHOLE = re.compile(r"(?:[\[, ]|\"low\":|\"high\":)(-?\d+)(?=[\], }])")


@dataclass(frozen=True, slots=True)
class CorrectionText:
    """One correction.

    Parameters
    ----------
    name : str
        Its name in the file.
    inputs : tuple of (str, str)
        The name of each input, and its kind: ``string``, ``int`` or ``real``.
    text : str
        The set that holds it and what it refers to, as canonical JSON.
    is_compound : bool
        Whether it applies other corrections one after the other.
    """

    name: str
    inputs: tuple[tuple[str, str], ...]
    text: str
    is_compound: bool


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def correction_text(file: str, data: bytes, name: str) -> CorrectionText:
    """Give one correction of a file, of the only one where no name is given.

    Parameters
    ----------
    file : str
        The name of the file, for errors.
    data : bytes
        What is in it: JSON, perhaps compressed by gzip.
    name : str
        The name of the correction, or of the compound correction.

    Raises
    ------
    SourceError
        When it is no set of corrections, or has none of that name.
    """
    top = _parsed(file, data)
    try:
        if top["schema_version"] != str(SCHEMA):
            raise _damaged(file, f"its schema has version {top['schema_version']}, not {SCHEMA}")
        single = {c["name"]: c for c in top["corrections"]}
        compound = {c["name"]: c for c in top.get("compound_corrections") or []}
        chosen = _chosen(file, name, [*single, *compound])
        if chosen in single:
            return _made(file, single[chosen], [single[chosen]], [])
        stack = [single[n] for n in dict.fromkeys(compound[chosen]["stack"])]
        return _made(file, compound[chosen], stack, [compound[chosen]])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(file, f"something that every correction has is missing: {error}") from error
    except RecursionError as error:
        raise _damaged(file, "it is nested too deeply") from error


def _parsed(file: str, data: bytes) -> Any:
    try:
        text = _unpacked(data).decode()
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number, object_pairs_hook=unique_members)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise _damaged(file, f"{error}") from error


def _unpacked(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        plain = packed.read(MOST_BYTES + 1)
    if len(plain) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES / 1e6:.0f} MB when it is unpacked")
    return plain


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Give an object of JSON, for `json.loads`; raises `ValueError` where a member stands in it twice."""
    made = dict(pairs)
    if len(made) != len(pairs):
        # Readers differ in which of the two counts.
        raise ValueError(f"an object has a member twice, among {', '.join(made)}")
    return made


def _chosen(file: str, name: str, known: list[str]) -> str:
    if name in known:
        return name
    if not name and len(known) == 1:
        return known[0]
    what = f"{file} has no correction {name!r}" if name else f"{file} has {len(known)} corrections, and none was named"
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    raise SourceError(what, where=user_site(), why=f"it has {shown}", do=did_you_mean(name, known) or "name one of them")


def _made(file: str, chosen: Any, corrections: list[Any], compound: list[Any]) -> CorrectionText:
    inputs = tuple([(str(i["name"]), str(i["type"])) for i in chosen["inputs"]])
    unknown = [kind for _, kind in inputs if kind not in KINDS]
    if unknown or chosen["output"]["type"] != "real":
        raise _damaged(file, f"{chosen['name']} has an input or an output of a kind that is not known")
    members: dict[str, Any] = {"schema_version": _Number(SCHEMA), "corrections": [_essential(c) for c in corrections]}
    if compound:
        members["compound_corrections"] = [_essential(c) for c in compound]
    try:
        "".join([str(chosen["name"]), *[name for name, _ in inputs]]).encode()
    except UnicodeEncodeError as error:
        raise _damaged(file, f"a name has a letter that is none: {error.reason}") from None
    for correction in corrections:
        _check_formulas(file, correction)
    return CorrectionText(str(chosen["name"]), inputs, _written(members), bool(compound))


def _check_formulas(file: str, correction: dict[str, Any]) -> None:
    """Refuse what correctionlib does not survive: formulas that overflow its stack, and parameters that it reads past their end."""
    shared = correction.get("generic_formulas") or []
    left: list[Any] = [correction]
    while left:
        node = left.pop()
        if isinstance(node, list | dict):
            left.extend(node.values() if isinstance(node, dict) else node)
        if not isinstance(node, dict):
            continue
        if whole := _WHOLE.findall(f" {_written(node.get('edges'))} "):
            raise _damaged(file, f"an edge is written {whole[0]}, and correctionlib takes {whole[0]}.0")
        if isinstance(text := node.get("expression"), str):
            depth = max(accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in text), default=0) if text else 0
            if len(text) > MOST_LETTERS or depth > MOST_BRACKETS:
                raise _damaged(
                    file,
                    f"a formula has {len(text)} letters and {depth} brackets in each other, at most {MOST_LETTERS} and {MOST_BRACKETS}",
                )
        if node.get("nodetype") == "formularef":
            index = int(node["index"])
            if not 0 <= index < len(shared):
                raise _damaged(file, f"there is no generic formula {index}")
            needed = max([int(n) + 1 for n in re.findall(r"\[\s*(\d+)\s*\]", shared[index]["expression"])], default=0)
            if needed > len(node["parameters"]):
                raise _damaged(file, f"generic formula {index} takes {needed} parameters, and {len(node['parameters'])} are given")


def _essential(correction: dict[str, Any]) -> dict[str, Any]:
    """Leave out what describes a correction, its inputs and its output."""
    kept = {n: v for n, v in correction.items() if n != "description"}
    kept["inputs"] = [_undescribed(i) for i in correction["inputs"]]
    kept["output"] = _undescribed(correction["output"])
    return kept


def _undescribed(variable: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in variable.items() if n != "description"}


def _written(value: Any) -> str:
    """Write JSON with sorted members and without spaces."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{json.dumps(n)}:{_written(value[n])}" for n in sorted(value)]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_written(v) for v in value]) + "]"
    return json.dumps(value)


def _damaged(file: str, why: str) -> SourceError:
    return SourceError(
        f"{file} is no set of corrections", where=user_site(), why=why, do="correction validate FILE says what is wrong with it"
    )


# The bytes of a file that a function is made from: read once, when it is recorded, and never again -------------------------------


def file_bytes(path: str | PathLike[str]) -> tuple[str, bytes]:
    """Give the name of a local file, without its folder, and what is in it.

    Raises
    ------
    SourceError
        When it cannot be read.
    """
    file = Path(os.path.expandvars(path)).expanduser()
    if file.exists() and not file.is_file():
        why = "it is no file, but a folder, a pipe or a device"
        raise SourceError(f"{os.fspath(path)} cannot be read", where=user_site(), why=why, do="check the path")
    try:
        return file.name, file.read_bytes()
    except OSError as error:
        raise SourceError(
            f"{os.fspath(path)} cannot be read", where=user_site(), why=error.strerror or f"{error}", do="check the path"
        ) from error


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
