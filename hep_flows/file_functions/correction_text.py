"""What one correction of a file is: its text in a canonical form, with all that it refers to, and nothing else of the file.

The text of every number stays as it was written: readers of JSON differ in the last bit of a float, so ``0.10`` and ``0.1`` may be
two numbers. Texts that only describe are left out.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.record.source_line import user_site

SCHEMA = 2
KINDS = ("string", "int", "real")


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
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, f"something that every correction has is missing: {error}") from error
    except RecursionError as error:
        raise _damaged(file, "it is nested too deeply") from error


def _parsed(file: str, data: bytes) -> Any:
    try:
        plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        text = plain.decode()
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number, object_pairs_hook=_object)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise _damaged(file, f"{error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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
    return CorrectionText(str(chosen["name"]), inputs, _written(members), bool(compound))


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
