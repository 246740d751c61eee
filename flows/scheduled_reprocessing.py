"""Run an analysis again whenever its files, or the analysis itself, may have changed; what did not change is not computed again."""

from pathlib import Path
from typing import Any

from prefect import flow
from pydantic import BaseModel, Field, PositiveInt

from hep_flows import run_analysis
from hep_flows.orchestrate.flow import final_state


class Reprocessing(BaseModel):
    """What is run, over what, and where the results go."""

    analysis: Path = Field(description="A Python file with: def analysis(events) -> dict.")
    fileset: str = Field(description="A fileset in JSON or YAML, a folder, or a pattern: looked at anew in every run.")
    out: Path = Field(description="The folder of the results.")
    workers: PositiveInt | None = Field(default=None, description="Threads.")


@flow(name="scheduled reprocessing")
def scheduled_reprocessing(parameters: Reprocessing) -> Any:
    """Compute what is new, merge it with what is stored, and write the results."""
    return final_state(
        run_analysis(parameters.analysis, parameters.fileset, out=parameters.out, workers=parameters.workers, on_error="keep")
    )
