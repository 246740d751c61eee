"""The small JSON file beside an object. Where it stands, the object is committed; it says how to recognise it."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hep_flows.store.histograms import encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "hf-store/2"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says.

    Parameters
    ----------
    key : str
        The key of the result, as digits.
    kind, type : str
        ``columns``, ``scalar`` or ``histogram``, and the type to show.
    rows, nbytes : int
        Of the object.
    sha256 : str
        The checksum of the object.
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
    sha256: str
    created: str
    about: Mapping[str, Any] = field(default_factory=dict)
    inline: Mapping[str, Any] | None = None

    def written(self) -> bytes:
        """Give the text of the file."""
        content = {"format": FORMAT} | asdict(self)
        return _text(content | {"check": _check(content)}).encode()


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _check(content: Mapping[str, Any]) -> str:
    return sha256(_text(content).encode()).hexdigest()


def parse(text: bytes, name: str, *, check: bool = True) -> Sidecar:
    """Give what a sidecar says.

    Parameters
    ----------
    text : bytes
        The file.
    name : str
        The key that it must be of.
    check : bool
        Whether its own checksum is verified as well.

    Raises
    ------
    ValueError, KeyError, TypeError
        When it is damaged, of another format, or of another key.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ValueError(f"the sidecar is not of the format {FORMAT}")
    if content["key"] != name:
        raise ValueError("the sidecar is that of another key")
    written = content.pop("check", None)
    if check and written != _check({"format": FORMAT} | content):
        raise ValueError("the sidecar was altered")
    if type(content["nbytes"]) is not int or type(content["rows"]) is not int:
        raise TypeError("the sidecar has no numbers of bytes and rows")
    return Sidecar(**content)


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

    def summary(self) -> dict[str, Any]:
        """Give what is shown in lists, for the sidecar; the rest is in the footer alone."""
        full = self.as_json()
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
