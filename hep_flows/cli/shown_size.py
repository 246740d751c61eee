"""Bytes as people read them."""

from __future__ import annotations


def shown_size(n: float) -> str:
    """Give for example ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"
