"""Production fed by the grid: what fails for the moment is tried again, what failed for good is reported, and the rest is kept."""

from pathlib import Path
from typing import Any

from prefect import flow
from pydantic import BaseModel, Field, PositiveInt

from hep_flows import run_analysis
from hep_flows.orchestrate.flow import final_state
from hep_flows.orchestrate.run import dask_runner


class Production(BaseModel):
    """What is produced, from which datasets, and where it is done."""

    analysis: Path = Field(description="A Python file with: def analysis(events) -> dict.")
    fileset: str = Field(description="A fileset in JSON or YAML; its files may be names of datasets on the grid.")
    out: Path = Field(description="The folder of the results.")
    dask_address: str = Field(default="", description="A Dask scheduler whose workers do the work.")
    workers: PositiveInt | None = Field(default=None, description="Threads, where there is no cluster.")


@flow(name="grid production", retries=2, retry_delay_seconds=60)
def grid_production(parameters: Production) -> Any:
    """Produce what is missing; Prefect repeats the flow while something is, and every repetition does only that."""
    options = parameters.model_dump(exclude={"analysis", "fileset", "dask_address"})
    runner = dask_runner(parameters.dask_address)
    return final_state(run_analysis(parameters.analysis, parameters.fileset, on_error="keep", task_runner=runner, **options))
