"""Skim many datasets side by side: the events and columns that an analysis names, as Parquet, one folder for each dataset."""

from pathlib import Path
from typing import Any

from prefect import flow
from pydantic import BaseModel, Field, PositiveInt

from hep_flows import run_analysis
from hep_flows.orchestrate.flow import final_state


class Skim(BaseModel):
    """What is kept, of which datasets, and where it goes."""

    analysis: Path = Field(description="A Python file with: def analysis(events) -> dict of what is kept, by name.")
    fileset: str = Field(description="A fileset in JSON or YAML, a folder, or a pattern.")
    out: Path = Field(description="The folder of the skims.")
    only: list[str] | None = Field(default=None, description="The datasets to take; all when left out.")
    workers: PositiveInt | None = Field(default=None, description="Threads.")
    chunk_events: PositiveInt | None = Field(default=None, description="At most so many events are worked on at a time.")


@flow(name="multi-dataset skim")
def multi_dataset_skim(parameters: Skim) -> Any:
    """Skim every dataset; one that fails does not stop the others, and a rerun does it alone."""
    options = parameters.model_dump(exclude={"analysis", "fileset"})
    return final_state(run_analysis(parameters.analysis, parameters.fileset, on_error="keep", **options))
