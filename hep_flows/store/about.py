"""The small JSON file beside an object. Where it stands, the object is committed; it says how to recognise it."""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from hep_flows.settings import regular_file
from hep_flows.store.histograms import encoded
from hep_flows.store.paths import is_key_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = "hf-store/3"
_HEAD = 75  # of a sidecar: its own checksum, of all that follows
_SHARED = "$shared"
_LONG = 40
# What reading a sidecar can raise.
SIDECAR_FAULTS = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says of one result.

    Parameters
    ----------
    key : str
        The key of the result, as digits.
    kind, type : str
        ``columns``, ``scalar`` or ``histogram``, and the type to show.
    rows, nbytes : int
        Of the result; the bytes of an object are those of its results together.
    piece : int
        The piece of the object that it stands in.
    created : str
        When it was stored, UTC.
    about : mapping
        Provenance, in short.
    inline : mapping, optional
        A small result once more, so that it can be had without a Parquet library.
    """

    key: str
    kind: str
    type: str
    rows: int
    nbytes: int
    piece: int
    created: str
    about: Mapping[str, Any] = field(default_factory=dict)
    inline: Mapping[str, Any] | None = None


class Pack:
    """What a sidecar says: how to recognise an object, and the results in it.

    Parameters
    ----------
    name : str
        The name of the object: the key of its result where it has one, else a number of its own.
    pieces : sequence of pairs
        Bytes and checksum of each piece of the object, from its beginning; the last one is the footer.
    results : mapping
        By key, what is said of each result, where ``{"$shared": n}`` stands for number ``n`` of ``shared``.
    shared : sequence
        What several results have in common.
    """

    __slots__ = ("name", "nbytes", "pieces", "results", "shared")

    def __init__(
        self, name: str, pieces: Sequence[tuple[int, str]], results: Mapping[str, Mapping[str, Any]], shared: Sequence[Any] = ()
    ) -> None:
        self.name, self.pieces, self.results, self.shared = name, pieces, results, shared
        self.nbytes = sum([n for n, _ in pieces])

    @classmethod
    def of(cls, name: str, pieces: Sequence[tuple[int, str]], results: Sequence[Sidecar]) -> Self:
        """Give what is written of some results."""
        shared, said = fold([asdict(r) for r in results])
        return cls(name, pieces, {r.key: one for r, one in zip(results, said, strict=True)}, shared)

    def result(self, key: str) -> Sidecar:
        """Give what is said of a result.

        Raises
        ------
        ValueError, KeyError, TypeError
            When nothing is, or what no result has.
        """
        if key not in self.results:
            raise ValueError("the sidecar is that of another key")
        said = Sidecar(**unfold(self.results[key], self.shared))
        if said.key != key or type(said.nbytes) is not int or type(said.rows) is not int or type(said.piece) is not int:
            raise TypeError("the sidecar has no numbers of bytes and rows")
        return said

    def written(self) -> bytes:
        """Give the text of the file."""
        content = {"format": FORMAT, "object": self.name, "pieces": self.pieces, "results": list(self.results.values())}
        text = f"{json.dumps(content | {'shared': self.shared}, separators=(',', ':'))[1:]}".encode()
        return f'{{"check":"{sha256(text).hexdigest()}",'.encode() + text


def parse(text: bytes) -> Pack:
    """Give what a sidecar says.

    Parameters
    ----------
    text : bytes
        The file.

    Raises
    ------
    ValueError, KeyError, TypeError
        When it is damaged, or of another format.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError(f"the sidecar is not of the format {FORMAT}")
    written = content.pop("check", "")
    if text[:_HEAD] != f'{{"check":"{written}"'.encode() or written != sha256(text[_HEAD + 1 :]).hexdigest():
        raise ValueError("the sidecar was altered")
    name, results = content.pop("object"), content.pop("results")
    pieces = [(int(n), str(checksum)) for n, checksum in content.pop("pieces")]
    shared = content.pop("shared")
    if content or not is_key_name(name):
        raise ValueError("the sidecar says what no sidecar says")
    return Pack(name, pieces, {str(r["key"]): r for r in results}, shared)


def read_pack(path: str) -> Pack:
    """Give what a sidecar says.

    Raises
    ------
    OSError, ValueError, KeyError, TypeError
        When it is missing or damaged.
    """
    with regular_file(path) as file:
        return parse(file.read())


def fold(values: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[dict[str, Any]]]:
    """Give what several mappings have in common, once, and the mappings with ``{"$shared": n}`` in its place; keys stay."""
    counts: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    for value in values:
        for name, inner in value.items():
            if name != "key":
                _count(inner, counts)

    def folded(value: Any) -> Any:
        text = json.dumps(value)
        if counts[text] > 1:
            return {_SHARED: numbers.setdefault(text, len(numbers))}
        return {k: folded(v) for k, v in value.items()} if isinstance(value, dict) else value

    said = [{k: v if k == "key" else folded(v) for k, v in value.items()} for value in values]
    return [json.loads(text) for text in numbers], said


def _count(value: Any, counts: Counter[str]) -> None:
    """Count texts and objects that are long enough, and what is in those that are new."""
    text = json.dumps(value)
    if len(text) > _LONG:
        counts[text] += 1
        if counts[text] == 1 and isinstance(value, dict):
            for inner in value.values():
                _count(inner, counts)


def unfold(value: Any, shared: Sequence[Any]) -> Any:
    """Give what was folded."""
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and _SHARED in value:
        return shared[value[_SHARED]]
    return {k: unfold(v, shared) for k, v in value.items()}


# How a result came about: written beside it, never part of its key ---------------------------------------------------------------

LIBRARIES = ("hep_flows", "awkward", "numpy", "uproot", "hist", "boost_histogram", "pyarrow", "correctionlib", "onnxruntime")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known about a result when it is stored.

    Parameters
    ----------
    name : str
        What a physicist calls it; the name of the column of an array that is no record.
    plugin, result_version, family : str
        Who computed it, and the numerics family that the result belongs to.
    expression, text : str
        The expression, encoded and as one line.
    dataset : mapping
        The snapshot of the data: name, files and their identities.
    inputs : tuple of str
        The keys of the results that it was made from, as 64 hexadecimal digits.
    events_processed, events_expected : int, optional
        How many events it stands for, and how many there are.
    sumw : float, optional
        The sum of the generator's weights over these events.
    seconds : float, optional
        How long it took.
    tags : tuple of str
        Words to find it by.
    task : str
        The key of the task, as 64 hexadecimal digits: that of the result itself, unless that is one of the task's batches.
    line : str
        Where it was written: ``analysis.py:12``.
    versions : mapping
        Of the libraries; those that are loaded when left out.
    """

    name: str = ""
    plugin: str = ""
    result_version: str = ""
    family: str = ""
    expression: str = ""
    text: str = ""
    dataset: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    events_processed: int | None = None
    events_expected: int | None = None
    sumw: float | None = None
    seconds: float | None = None
    tags: tuple[str, ...] = ()
    task: str = ""
    line: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give everything, for the footer of the object."""
        found = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return found | {"versions": dict(self.versions) or loaded_versions()}

    def summary(self, full: Mapping[str, Any]) -> dict[str, Any]:
        """Give what is shown in lists, for the sidecar, from `as_json`; the rest is in the footer alone."""
        short = {
            k: v
            for k, v in full.items()
            if k not in {"expression", "dataset", "versions", "task", "line"} and v not in (None, "", [])
        }
        dataset = self.dataset.get("name")
        return short | ({"dataset": str(dataset)} if dataset else {})


def _plain(value: Any) -> Any:
    return encoded(list(value) if isinstance(value, tuple) else dict(value) if hasattr(value, "keys") else value)


def loaded_versions() -> dict[str, str]:
    """Give the versions of the libraries that this process uses."""
    loaded = {n: sys.modules[n] for n in LIBRARIES if n in sys.modules}
    versions = {n: str(getattr(m, "__version__", "")) for n, m in loaded.items()}
    return {"python": platform.python_version()} | {n: v for n, v in versions.items() if v}


def now() -> str:
    """Give the time as it is written down: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
