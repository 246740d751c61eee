"""The real files, and aliases that end with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hep_flows import alias_scope
from semantics.files import Datasets, Raw, Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def _datasets(data: Callable[[str], str]) -> Datasets:
    return Datasets(data)


@pytest.fixture
def t(_datasets: Datasets) -> Tables:
    """Give tables that no other test has touched."""
    return Tables(_datasets)


@pytest.fixture(scope="session")
def raw(data: Callable[[str], str]) -> Raw:
    """Give the plain arrays."""
    return Raw(data)


@pytest.fixture(autouse=True)
def _own_aliases() -> Iterator[None]:
    with alias_scope():
        yield
