"""What a Prefect server knows of runs, read as its user interface does."""

from __future__ import annotations

import time
from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import FlowRunSort

WAIT_S = 30.0


@dataclass(frozen=True)
class Seen:
    """A flow run: its name, its final state and message, its task runs by name, and its artifacts."""

    name: str
    state: str
    message: str
    tasks: dict[str, str]
    attempts: dict[str, int]
    artifacts: list


def latest(url, n_tasks=None):
    """Give the flow run that started last, once the server has taken in the states of all its task runs."""
    with SyncPrefectClient(url) as client:
        (run,) = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        this = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        end = time.monotonic() + WAIT_S
        while True:
            tasks = client.read_task_runs(flow_run_filter=this)
            settled = [t for t in tasks if t.state is not None and (t.state.is_final() or t.state.name == "NotReady")]
            if (n_tasks is None or len(tasks) >= n_tasks) and len(settled) == len(tasks):
                break
            assert time.monotonic() < end, [(t.name, t.state_name) for t in tasks]
            time.sleep(0.2)
        artifacts = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id])))
        states = {t.name: t.state.name for t in tasks}
        attempts = {t.name: t.run_count for t in tasks}
        return Seen(run.name, run.state.name, run.state.message or "", states, attempts, artifacts)


def flow_run_count(url):
    """Give the number of flow runs."""
    with SyncPrefectClient(url) as client:
        return len(client.read_flow_runs(limit=200))
