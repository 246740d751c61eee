"""Lines for the person who waits: on standard error, so that what a program prints stays what it is."""

from __future__ import annotations

import sys


def tell(line: str) -> None:
    """Print one line."""
    sys.stderr.write(f"hep_flows: {line}\n")
    sys.stderr.flush()
