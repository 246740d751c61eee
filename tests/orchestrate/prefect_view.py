"""What a Prefect server knows of runs, read as its user interface does."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass

from prefect_servers import client

WAIT_S = 300.0


@dataclass(frozen=True)
class Seen:
    """A flow run: its name, its final state and message, the states of its task runs by name and how many have each, its artifacts.

    The seconds are those that it ran.
    """

    name: str
    state: str
    message: str
    tasks: dict[str, str]
    states: Counter
    attempts: dict[str, int]
    artifacts: list
    seconds: float


def latest(url, n_tasks=None):
    """Give the flow run that started last, once the server has taken in the states of all its task runs: it lags behind."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import FlowRunSort

    with client(url) as talk:
        (run,) = talk.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        artifacts = talk.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id])))
        tables = [json.loads(a.data) for a in artifacts if a.type == "table"]
        wanted = n_tasks or sum([len(t) for t in tables])
        tasks = _settled(talk, FlowRunFilter(id=FlowRunFilterId(any_=[run.id])), wanted)
    by_name = {t.name: t.state.name for t in tasks}
    attempts = {t.name: t.run_count for t in tasks}
    counts = Counter([t.state.name for t in tasks])
    seconds = run.total_run_time.total_seconds()
    return Seen(run.name, run.state.name, run.state.message or "", by_name, counts, attempts, artifacts, seconds)


def _settled(talk, which, n_tasks):
    end = time.monotonic() + WAIT_S
    while True:
        tasks = talk.read_task_runs(flow_run_filter=which)
        settled = [t for t in tasks if t.state is not None and (t.state.is_final() or t.state.name == "NotReady")]
        if len(tasks) >= n_tasks and len(settled) == len(tasks):
            return tasks
        assert time.monotonic() < end, [(t.name, t.state_name) for t in tasks]
        time.sleep(0.2)


def flow_run_count(url):
    """Give the number of flow runs."""
    with client(url) as talk:
        return len(talk.read_flow_runs(limit=200))
