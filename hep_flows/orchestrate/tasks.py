"""A unit as a task of Prefect: keyed by content, recorded as a reference, tried again where that may help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.context import TaskRunContext

from hep_flows.execute.retry import DELAYS_S, JITTER, is_transient
from hep_flows.orchestrate.records import ContentKey, Records, ReferenceSerializer
from hep_flows.orchestrate.work import UnitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect import Task

    from hep_flows.orchestrate.carried import Carried
    from hep_flows.orchestrate.reference import Reference

RECORDS = "prefect/records"


def unit_task(run_name: str, root: str, layers: tuple[str, ...], *, refresh: bool) -> Task[..., Reference]:
    """Give the task that runs a unit.

    Parameters
    ----------
    run_name : str
        The name of the task run.
    root, layers
        Of the store; the records lie in its folder.
    refresh : bool
        Whether the record is to be written anew instead of read.
    """
    folder = f"{root}/{RECORDS}"
    made: Task[..., Reference] = task(
        name=plain(run_name),
        task_run_name=plain(run_name),
        cache_policy=ContentKey(),
        persist_result=True,
        # What a task gives is small; read again, it would be read past the guard of the records.
        cache_result_in_memory=True,
        result_serializer=ReferenceSerializer(root=root, layers=layers),
        refresh_cache=refresh,
        retries=len(DELAYS_S),
        retry_delay_seconds=list(DELAYS_S),
        retry_jitter_factor=JITTER,
        retry_condition_fn=_may_pass,
    )(run_carried)
    # A block that is not registered at a server can be set only afterwards.
    made.result_storage = Records(basepath=folder, root=root, layers=layers)
    return made


def run_carried(key: str, carried: Carried, after: Sequence[Reference] = ()) -> Reference:
    """Run a unit wherever this is called.

    Parameters
    ----------
    key : str
        Its content key: what Prefect looks a record up by.
    carried : Carried
        The unit, and what it takes to run it here.
    after : sequence
        References to the results that it takes.
    """
    del key
    context = TaskRunContext.get()
    attempt = context.task_run.run_count if context is not None else 1
    try:
        return _attempted(carried.run(after), attempt)
    except UnitError as error:
        _attempted(error.reference, attempt)
        raise


def plain(name: str) -> str:
    """Give a name that Prefect does not take for a template."""
    return name.replace("{", "(").replace("}", ")")


def _attempted(reference: Reference, attempt: int) -> Reference:
    for row in reference["rows"]:
        if row["state"] in ("computed", "failed"):
            row["attempts"] = max(row["attempts"], attempt)
    return reference


def _may_pass(_task: Any, _run: Any, state: Any) -> bool:
    error = getattr(state.data, "result", state.data)
    return isinstance(error, BaseException) and is_transient(error)
