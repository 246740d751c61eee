"""How a flow over an analysis ends: complete, skipped because nothing had changed, or failed with what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.states import Completed, Failed

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from hep_flows.execute.run_result import RunResult

MOST_REASONS = 20
SKIPPED = "Skipped"


def final_state(done: RunResult) -> State[Any]:
    """Give the state for Prefect.

    Parameters
    ----------
    done : RunResult
        What `run` or `run_analysis` gave.

    Returns
    -------
    State
        ``Completed``; ``Completed`` with the name ``Skipped`` where everything was stored; ``Failed`` where something is missing, with the
        reasons.
    """
    states = [row.state for row in done.report.tasks]
    computed = states.count("computed")
    if not done.is_complete:
        reasons = [f"{row.dataset}: {row.reason}" for row in done.report.tasks if row.state == "failed"]
        shown = "\n".join(list(dict.fromkeys(reasons))[:MOST_REASONS])
        return Failed(
            message=f"{states.count('failed')} tasks failed, {computed} were computed; a rerun does what is missing\n{shown}"
        )
    if not computed:
        return Completed(name=SKIPPED, message="nothing has changed: every result is stored")
    return Completed(message=f"{computed} tasks computed, {states.count('cached')} found in the cache")
