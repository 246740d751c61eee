"""Canonical bytes and content keys: the only place where identity is turned into a digest.

``docs/key_format.md`` describes the format so that it can be written again elsewhere; a change of any rule raises `FORMAT`.
"""

from __future__ import annotations

import math
import struct
from hashlib import sha256

FORMAT = b"hf-expr/1"


def frame(value: object) -> bytes:
    """Encode one value with its kind and its length, so that no two different values share their bytes.

    Parameters
    ----------
    value : None, bool, int, float, str, bytes, or a tuple of these
        ``1``, ``1.0``, ``True`` and ``"1"`` differ, ``0.0`` and ``-0.0`` differ, all NaN are one.

    Raises
    ------
    TypeError
        For any other kind of value.
    """
    kind = type(value)
    if kind is bytes:
        return b"k%d:" % len(value) + value  # type: ignore[arg-type,operator]
    if kind is str:
        text = value.encode()  # type: ignore[attr-defined]
        return b"s%d:" % len(text) + text
    if kind is int:
        digits = b"%d" % value
        return b"i%d:" % len(digits) + digits
    if kind is tuple:
        return b"t%d:" % len(value) + b"".join([frame(v) for v in value])  # type: ignore[arg-type,attr-defined]
    if kind is float:
        return b"f8:" + struct.pack(">d", math.nan if value != value else value)
    if value is None:
        return b"n0:"
    if kind is bool:
        return b"b1:1" if value else b"b1:0"
    raise TypeError(f"a {kind.__name__} cannot be part of a content key")


def digest(tag: str, *fields: object) -> bytes:
    """Give the SHA-256 of a kind word and its identity fields, in declared order."""
    return sha256(FORMAT + frame(tag) + b"".join([frame(f) for f in fields])).digest()
