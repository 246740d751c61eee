"""Golden files: texts that are compared with ``tests/golden``, and written there by ``make golden`` for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent / "tests" / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the files instead of comparing."""
    parser.addoption("--golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Give ``golden(name, text)``, which fails when the text is not that of the file."""

    def check(name: str, text: str) -> None:
        file = FOLDER / name
        if request.config.getoption("--golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"no golden file {name}: make golden"
        assert text == file.read_text(encoding="utf-8")

    return check
