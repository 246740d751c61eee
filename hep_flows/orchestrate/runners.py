"""Task runners of Prefect for more than one machine: clusters that are there are used, none is made."""

from __future__ import annotations

from typing import Any

from hep_flows.errors import OrchestrationError


def dask_runner(address: str) -> Any:
    """Give a task runner for the Dask scheduler at an address, or None for an empty one.

    Raises
    ------
    OrchestrationError
        When Dask is not installed.
    """
    if not address:
        return None
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise OrchestrationError(
            "a Dask cluster needs Prefect's package for it", why=str(error), do="pip install 'hep-flows[dask]'"
        ) from None
    return DaskTaskRunner(address=address)
