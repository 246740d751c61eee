"""Tables to record on, and aliases that end with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hep_flows.record.aliases import alias_scope
from tables_without_files import nano_record, table, xaod_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hep_flows.record.dataframe import DataFrame


@pytest.fixture
def df() -> DataFrame:
    """Give a NanoAOD table."""
    return table(nano_record(), "nanoaod")


@pytest.fixture
def other() -> DataFrame:
    """Give a second NanoAOD table over the same content."""
    return table(nano_record(), "nanoaod")


@pytest.fixture
def atlas() -> DataFrame:
    """Give a PHYSLITE table."""
    return table(xaod_record(), "xaod")


@pytest.fixture(autouse=True)
def _own_aliases() -> Iterator[None]:
    with alias_scope():
        yield
