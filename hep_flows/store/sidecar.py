"""The small JSON file beside an object. Where it stands, the object is committed; it says how to recognise it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

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
