"""Whether a request gave everything, and if not, why, and whether to ask again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.failures import ForgottenError

if TYPE_CHECKING:
    from servicex.models import TransformStatus

    from hep_flows.plugins.servicex.endpoint import EndpointError
    from hep_flows.plugins.servicex.follow import Ended, Wanted
    from hep_flows.plugins.servicex.server import Server

_LOOKUPS = {
    "does_not_exist": "the dataset does not exist",
    "bad_name": "the name of the dataset is malformed",
    "internal_failure": "the look-up of the dataset failed",
}


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a request did not give.

    Parameters
    ----------
    text : str
        Why, with the id of the request, its counts, and the address of the log.
    again : bool
        Whether a new request may give it.
    transient : bool
        Whether the reason may pass, as far as one can know.
    """

    text: str
    again: bool
    transient: bool


async def shortfall(server: Server, wanted: Wanted, ended: Ended) -> Shortfall | None:
    """Say what is missing; None when there is everything.

    A list is complete when each of its files has come. For a dataset nobody else knows the number of files: the server must call the
    request complete, without failures, and count at least one file, as many done as there are, and as many as have come.
    """
    status = ended.status
    if wanted.piece.files:
        if ended.delivered >= set(wanted.piece.files):
            return None
    elif status is not None and status.status.value == "Complete" and not status.files_failed:
        if status.files == 0:
            return Shortfall(_worded(server, ended, "the dataset has no files"), again=False, transient=False)
        if status.files == status.files_completed == len(ended.delivered):
            return None if wanted.have <= ended.delivered else _renamed(server, wanted, ended)
    return await _why(server, ended)


def _renamed(server: Server, wanted: Wanted, ended: Ended) -> Shortfall:
    """A second request for a dataset may read other copies of its files: what came from the first cannot be told apart any more."""
    odd = min(wanted.have - ended.delivered)
    text = f"results of an earlier request are none of this one's, {odd!r} for one: files of the dataset may have come twice"
    return Shortfall(_worded(server, ended, text), again=False, transient=True)


async def _why(server: Server, ended: Ended) -> Shortfall:
    status = ended.status
    problem = _worst(ended.problems)
    end = "" if status is None else status.status.value
    if status is not None and end == "Bad Dataset":
        word = await server.lookup_status(status)
        text = _LOOKUPS.get(word, "the dataset could not be looked up")
        return Shortfall(_worded(server, ended, text), again=word == "internal_failure", transient=word == "internal_failure")
    said = [p.text for p in ended.problems[:3]]
    if len(ended.problems) > 3:
        said.append(f"and {len(ended.problems) - 3} more")
    if status is not None and (status.files_failed or end == "Fatal"):
        reason = await server.reason(ended.request_id)
        said += [f"the server says: {reason}"] if reason else []
    stopped = end == "Canceled" or (problem is not None and not problem.transient)
    transient = not stopped and problem is not None
    return Shortfall(_worded(server, ended, "; ".join(said) or _plain(status)), again=not stopped, transient=transient)


def _worst(problems: tuple[EndpointError, ...]) -> EndpointError | None:
    """Give the problem that decides: one that asking again cannot mend, else the first."""
    return next((p for p in problems if not p.transient), problems[0] if problems else None)


def _plain(status: TransformStatus | None) -> str:
    if status is None:
        return "it was never seen again"
    if status.status.value == "Canceled":
        return "it was cancelled at the server"
    return f"{status.files_failed} of {status.files} files failed" if status.files_failed else "results are missing"


def _worded(server: Server, ended: Ended, text: str) -> str:
    status = ended.status
    head = f"request {ended.request_id} at {server.shown}"
    if status is None or any(isinstance(p, ForgottenError) for p in ended.problems):
        return f"{head}: {server.scrubbed(text)}"
    counts = f"{status.status.value}, {status.files_completed} of {status.files} files done, {status.files_failed} failed"
    log = f"; log: {status.log_url}" if status.log_url else ""
    return server.scrubbed(f"{head}: {text} [{counts}]{log}")
