"""Canonical bytes and content keys: the only place where identity is turned into a digest.

``docs/key_format.md`` describes the format so that it can be written again elsewhere; a change of any rule raises `FORMAT`.
"""

from __future__ import annotations

import math
import struct
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FORMAT = b"hf-expr/2"


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
    try:
        return _FRAMES[type(value)](value)
    except KeyError as error:
        raise TypeError(f"a value of {error.args[0]} cannot be part of a content key") from None


def digest(tag: str, *fields: object) -> bytes:
    """Give the SHA-256 of a kind word and its identity fields, in declared order."""
    return sha256(FORMAT + frame(tag) + b"".join([frame(f) for f in fields])).digest()


def _bytes(value: bytes) -> bytes:
    return b"k%d:%b" % (len(value), value)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return b"s%d:%b" % (len(encoded), encoded)


def _int(value: int) -> bytes:
    digits = b"%d" % value
    return b"i%d:%b" % (len(digits), digits)


def _float(value: float) -> bytes:
    return b"f8:" + struct.pack(">d", value if value == value else math.nan)  # noqa: PLR0124 - NaN differs from itself


def _tuple(value: tuple[object, ...]) -> bytes:
    return b"t%d:%b" % (len(value), b"".join([_FRAMES[type(v)](v) for v in value]))


def _bool(value: object) -> bytes:
    return b"b1:1" if value else b"b1:0"


def _none(_: None) -> bytes:
    return b"n0:"


_FRAMES: dict[type, Callable[..., bytes]] = {
    bytes: _bytes,
    str: _text,
    int: _int,
    float: _float,
    tuple: _tuple,
    bool: _bool,
    type(None): _none,
}
