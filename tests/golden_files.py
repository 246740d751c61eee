"""Texts that were looked at once and are kept: a test fails when they change; ``HEP_FLOWS_GOLDEN=1`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str) -> None:
    """Compare a text with the file of that name."""
    path = FOLDER / name
    if os.environ.get("HEP_FLOWS_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"there is no {path.name}: HEP_FLOWS_GOLDEN=1 writes it; then look at it"
    assert text == path.read_text(encoding="utf-8"), f"{name} changed: look at it, and write it anew with HEP_FLOWS_GOLDEN=1"
