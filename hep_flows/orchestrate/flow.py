"""The units of one run as one flow run of Prefect."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from prefect import flow, task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultRecord  # type: ignore[attr-defined]
from prefect.serializers import Serializer
from prefect.states import Completed, Failed

from hep_flows.errors import HepFlowsError, OrchestrationError, TaskError
from hep_flows.execute.report import task_label
from hep_flows.in_order import Stopped
from hep_flows.orchestrate.units import UnitError, closure, is_reference
from hep_flows.retry import DELAYS_S, JITTER, is_transient
from hep_flows.store.paths import is_key_name

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from prefect import Task as PrefectTask
    from prefect.client.schemas.objects import State as PrefectState
    from prefect.futures import PrefectWrappedFuture

    from hep_flows.contract import Key, Plan, Task
    from hep_flows.execute.report import RunResult
    from hep_flows.orchestrate.units import Carried, Reference, Told, Unit
    from hep_flows.store.store import Store

# Prefect's records of finished tasks: small references, read with suspicion, and good only while the store has what they name ----
#
# A record of Prefect names the code that turns it into an object again, so whoever can write records could run code in the next run.
# Here a record is taken apart first: only its exact shape is accepted, and what Prefect gets is made anew from the accepted values. A
# reference whose results are gone or damaged raises when it is read, which Prefect takes for a miss.

PREFIX = "hf-"
SERIALIZER = "hep-flows-reference"
MOST_BYTES = 64 * 1024 * 1024
MOST_DEPTH = 16
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')


class RecordRefusedError(ValueError):
    """A record that this package did not write, or whose results are not there any more."""


@dataclass
class ContentKey(CachePolicy):
    """Prefect's cache key is the content key of the unit."""

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str:
        """Give the key; a call without one is an error, not a task that is never cached."""
        del task_ctx, flow_parameters, kwargs
        key = inputs["key"]
        if not isinstance(key, str) or not is_key_name(key):
            raise RecordRefusedError("a task without a content key")
        return PREFIX + key


class ReferenceSerializer(Serializer):
    """Writes references as JSON; reads one only if the store has everything that it names.

    Parameters
    ----------
    root : str
        The cache folder. It is not written into records, so that the folder can be moved.
    layers : tuple of str
        Folders below it.
    """

    type: Literal["hep-flows-reference"] = "hep-flows-reference"
    root: str = ""
    layers: tuple[str, ...] = ()

    def dumps(self, obj: Any) -> bytes:
        """Give the JSON of a reference. Of an error its text is kept, for people."""
        content = {"error": f"{type(obj).__name__}: {obj}"[:2000]} if isinstance(obj, BaseException) else obj
        return json.dumps(content, sort_keys=True).encode()

    def loads(self, blob: bytes) -> dict[str, Any]:
        """Give a reference whose results are all there and whole."""
        from hep_flows.execute.results import store_of

        reference = _strict(blob)
        if not is_reference(reference):
            raise RecordRefusedError("it is no reference")
        store = store_of(self.root, self.layers)
        if not all(store.is_intact(name) for name in reference["objects"]):
            raise RecordRefusedError("a result that it names is not in the store")
        return reference  # type: ignore[no-any-return]


class Records(LocalFileSystem):
    """The folder of records.

    Parameters
    ----------
    basepath : str
        The folder.
    root, layers
        Of the store that the references are of.
    """

    _block_type_slug = "hep-flows-records"
    root: str = ""
    layers: tuple[str, ...] = ()

    def read_path(self, path: str, _sync: bool | None = None) -> bytes:  # type: ignore[override]  # noqa: FBT001
        """Give a record as Prefect writes it, if it is exactly that.

        Raises
        ------
        RecordRefusedError
            For anything else: another shape, another way of reading it, or the record of another task.
        """
        file = Path(self._resolve_path(path))
        if file.stat().st_size > MOST_BYTES:
            raise RecordRefusedError("it is too big to be a reference")
        record = _strict(file.read_bytes())
        if not isinstance(record, dict) or set(record) != {"metadata", "result"} or not isinstance(record["result"], str):
            raise RecordRefusedError("it has another shape")
        reference, metadata = _strict(record["result"].encode()), record["metadata"]
        if not isinstance(reference, dict) or file.name != f"{PREFIX}{reference.get('key')}":
            raise RecordRefusedError("it is the record of another task")
        if not isinstance(metadata, dict) or metadata.get("serializer") != {"type": SERIALIZER} or metadata.get("storage_block_id"):
            raise RecordRefusedError("it wants to be read in another way")
        return self._made(metadata, record["result"], file)

    async def aread_path(self, path: str) -> bytes:
        """Do the same as `read_path`."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool | None = None) -> str:  # type: ignore[override]  # noqa: FBT001
        """Put a record in its place in one step. Those of failures, and of what could not be stored, are not kept."""
        file = Path(self._resolve_path(path))
        record = json.loads(content)
        if not file.name.startswith(PREFIX) or not is_reference(json.loads(record["result"])):
            return str(file)
        # Nothing of the folder's place is kept, so that it can be moved.
        record["metadata"] = {**record["metadata"], "serializer": {"type": SERIALIZER}, "storage_key": file.name}
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{uuid.uuid4().hex}")
        try:
            part.write_text(json.dumps(record, sort_keys=True), encoding="utf-8")
            os.replace(part, file)  # noqa: PTH105
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        return str(file)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Do the same as `write_path`."""
        return self.write_path(path, content)

    def _made(self, metadata: dict[str, Any], reference: str, file: Path) -> bytes:
        known = {k: metadata.get(k) for k in ("expiration", "prefect_version")}
        if not all(v is None or isinstance(v, str) for v in known.values()):
            raise RecordRefusedError("it has another shape")
        serializer = {"type": SERIALIZER, "root": self.root, "layers": list(self.layers)}
        made = known | {"storage_key": str(file), "serializer": serializer, "storage_block_id": None}
        return json.dumps({"metadata": made, "result": reference}).encode()


def _strict(text: bytes) -> Any:
    """Read JSON; a name that stands twice could be read in two ways, and a deep nest is made to break readers: both are refused."""
    if _is_deep(text):
        raise RecordRefusedError("it is nested deeply")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({k for k, _ in pairs}) != len(pairs):
            raise RecordRefusedError("a name stands twice in it")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once)


def _is_deep(text: bytes) -> bool:
    depth = 0
    for sign in _TEXT.sub(b"", text):
        if sign in b"[{":
            depth += 1
            if depth > MOST_DEPTH:
                return True
        elif sign in b"]}":
            depth -= 1
    return False


# A unit as a task of Prefect: keyed by content, recorded as a reference, tried again where that may help -------------------------

RECORDS = "prefect/records"


def unit_task(run_name: str, root: str, layers: tuple[str, ...], *, refresh: bool) -> PrefectTask[..., Reference]:
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
    made: PrefectTask[..., Reference] = task(
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


# What became of a unit -----------------------------------------------------------------------------------------------------------

STOPPED = "Stopped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task run ended.

    Parameters
    ----------
    unit : Unit
        What it did.
    state : str
        The name of Prefect's state: ``Completed``, ``Cached``, ``Failed``, ``NotReady``, ...; ``Stopped`` where it ended because nobody
        wanted it any more.
    reference : mapping, optional
        What it gave; of a unit that failed, what is stored all the same.
    errors : mapping of bytes to HepFlowsError
        By task.
    """

    unit: Unit
    state: str
    reference: Reference | None = None
    errors: Mapping[Key, HepFlowsError] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all of it is stored."""
        return self.reference is not None and not self.errors

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it did for each task; where all was there before, what was there."""
        if self.reference is None:
            return []
        rows: list[dict[str, Any]] = list(self.reference["rows"])
        if self.state != "Cached":
            return rows
        own = {k.hex() for k in self.unit.tasks}
        return [_found(r) for r in rows if r["key"] in own and r["state"] != "not run"]

    def told(self, *, objects: bool) -> dict[str, Any]:
        """Give what units that follow need to know: what failed, and where it matters what is new in the store."""
        known = self.reference["objects"] if objects and self.reference is not None else []
        return {"objects": known, "failures": {k.hex(): e for k, e in self.errors.items()}}

    @classmethod
    def of(cls, unit: Unit, state: PrefectState[Any]) -> Self:
        """Give the outcome that a final state stands for."""
        name = str(state.name)
        if name == "NotReady":
            return cls(unit, name)
        # What is not at hand is not read from a file: the guard of the records would not be asked.
        found = state.data.result if isinstance(state.data, ResultRecord) else state.data
        if isinstance(found, Stopped):
            return cls(unit, STOPPED)
        if isinstance(found, dict):
            return cls(unit, name, found)
        if isinstance(found, UnitError):
            return cls(unit, name, found.reference, {bytes.fromhex(k): e for k, e in found.failures.items()})
        return cls(unit, name, None, dict.fromkeys(unit.tasks, _error(unit, state, found)))


def _found(row: dict[str, Any]) -> dict[str, Any]:
    """Give the row of a task that an earlier run computed."""
    nothing = {"state": "cached", "attempts": 0, "seconds": 0.0, "batches_computed": 0, "reason": ""}
    return row | nothing | {"batches_cached": max(row["batches"], 1)}


def _error(unit: Unit, state: PrefectState[Any], found: object) -> HepFlowsError:
    if isinstance(found, HepFlowsError):
        return found
    error = TaskError(f"a task on {unit.dataset} ended as {state.name}", why=str(state.message or found))
    if isinstance(found, BaseException):
        error.__cause__ = found
    return error


def failures_of(plan: Plan, outcomes: Sequence[Outcome], *, keep_going: bool) -> dict[Key, HepFlowsError]:
    """Give what failed, by task. A unit that did not run for no reason that is known counts as failed: it is not tried once more.

    Where the first error ends the run, those that were stopped by it did not fail.
    """
    found = {k: e for o in outcomes if o.unit.kind != "pass" for k, e in o.errors.items()}
    if found and not keep_going:
        return found
    for outcome in outcomes:
        if outcome.unit.kind != "pass" and not outcome.is_done and not outcome.errors:
            above = {t.key for t in closure(plan, outcome.unit.tasks)}
            if not above & set(found):
                lost = TaskError(f"a task on {outcome.unit.dataset} was not run: Prefect says {outcome.state}")
                found.update(dict.fromkeys(outcome.unit.tasks, lost))
    return found


# What task runs are called: words of physics, since a person looks at them -------------------------------------------------------

MOST_COLUMNS = 4
WIDTH = 60
LONGEST = 180


def name_of(unit: Unit, plan: Plan) -> str:
    """Give the name of a unit: ``read ttbar · Jet_pt, Jet_eta``, ``fill ttbar · pt``, ``transform ttbar · events.Jet.pt / 1000``."""
    tasks = [t for t in plan.tasks if t.key in set(unit.tasks)]
    if unit.kind == "task":
        name = f"{_verb(tasks[0])} {unit.dataset}{_part(unit)} · {_subject(tasks[0])}"
    elif unit.kind == "datasets":
        name = f"{unit.dataset} · {len(tasks)} tasks"
    else:
        verb = "fetch" if any(t.plugin == "servicex" for t in tasks) else "read"
        name = f"{verb} {unit.dataset}{_part(unit)} · {_columns(tasks)}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _part(unit: Unit) -> str:
    numbers = unit.batches
    if numbers is None:
        return ""
    first, last = numbers[0] + 1, numbers[-1] + 1
    if len(numbers) == 1:
        return f", batch {first}"
    return f", batches {first} to {last}" if len(numbers) == last - first + 1 else f", {len(numbers)} batches"


def _verb(task: Task) -> str:
    if task.output == "histogram":
        return "fill"
    if task.plugin == "servicex":
        return "fetch"
    return "sum up" if task.output == "scalar" else "transform"


def _subject(task: Task) -> str:
    if task.plugin == "servicex" and task.columns:
        return _columns([task])
    return task_label(task, WIDTH).removeprefix("histogram of ")


def _columns(tasks: Sequence[Task]) -> str:
    names = list(dict.fromkeys([c for t in tasks for c in t.columns]))
    shown = ", ".join(names[:MOST_COLUMNS])
    return shown + (f" and {len(names) - MOST_COLUMNS} more" if len(names) > MOST_COLUMNS else "")


# What a flow run shows in Prefect's UI: one table of all tasks, and one bar of progress ------------------------------------------

EVERY_S = 2.0
TABLE = "hep-flows-tasks"
BAR = "hep-flows-progress"


class Progress:
    """The bar; it is drawn anew every two seconds at the most, and not at all for a run that is over before.

    Parameters
    ----------
    units : int
        How many there are.
    answers : callable
        Whether the server is there.
    """

    def __init__(self, units: int, answers: Callable[[], bool]) -> None:
        """Nothing is shown yet."""
        self._units, self._answers = units, answers
        self._artifact: UUID | None = None
        self._last = time.monotonic()
        self._shown = -1

    def show(self, done: int) -> None:
        """Show how many units are done."""
        now = time.monotonic()
        is_due = now - self._last >= EVERY_S or (done == self._units and self._artifact is not None)
        if done == self._shown or not is_due or not self._answers():
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        self._last, self._shown = now, done
        percent = 100.0 * done / self._units
        text = f"{done} of {self._units} tasks"
        if self._artifact is None:
            made: Any = create_progress_artifact(progress=percent, key=BAR, description=text)
            self._artifact = made
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=percent, description=text)


def report_artifact(plan: Plan, units: Sequence[Unit], outcomes: Sequence[Outcome]) -> None:
    """Put a table of the units of a flow run beside it: name, state, rows, bytes, seconds, reason."""
    from prefect.artifacts import create_table_artifact

    rows = [_row(name_of(u, plan), o) for u, o in zip(units, outcomes, strict=True)]
    missing = len([o for o in outcomes if not o.is_done])
    text = "everything is there" if not missing else f"{missing} of {len(rows)} tasks are missing"
    create_table_artifact(table=rows, key=TABLE, description=text)


def _row(name: str, outcome: Outcome) -> dict[str, Any]:
    rows = outcome.rows
    return {
        "task": name,
        "state": outcome.state,
        "rows": sum([r["rows"] for r in rows]),
        "bytes": sum([r["bytes"] for r in rows]),
        "seconds": round(sum([r["seconds"] for r in rows]), 3),
        "attempts": max([r["attempts"] for r in rows], default=0),
        "key": outcome.unit.key.hex()[:12],
        "reason": "; ".join(list(dict.fromkeys([e.what for e in outcome.errors.values()]))[:3]),
    }


FLOW = "hep-flows"
MOST_THREADS = 64
_ASK_S = 0.1
_GLANCE_S = 0.01


@dataclass(slots=True)
class Job:
    """What a flow run does, and what came of it.

    Parameters
    ----------
    plan : Plan
        What the units are units of.
    units : sequence of Unit
        In an order in which they can run.
    carried : callable
        Makes of a unit, and of what it is told of those that it follows, what a task run gets.
    store : Store
        Where the results are; the records lie in its folder.
    name : str
        The name of the flow run.
    refresh : bool
        Whether everything is done anew.
    first_error_ends : bool
        Whether the first unit that fails ends the run.
    stop : threading.Event
        Set when nobody wants the results any more; units in this process see it.
    answers : callable
        Whether the server is still there; nothing is shown to one that is gone.
    """

    plan: Plan
    units: Sequence[Unit]
    carried: Callable[[Unit, Sequence[Told]], Carried]
    store: Store
    name: str
    refresh: bool
    first_error_ends: bool
    stop: threading.Event
    answers: Callable[[], bool] = lambda: True
    outcomes: list[Outcome] = field(default_factory=list)
    broken: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether it is known what became of each unit."""
        return len(self.outcomes) == len(self.units)


# The flow that Prefect sends to workers along with each task must hold nothing of this process, so it finds its job here.
_JOB: ContextVar[Job] = ContextVar("job of a flow run")


def run_flow(job: Job, task_runner: Any) -> list[Outcome]:
    """Run the units of a job, and give what became of each, in their order.

    Raises
    ------
    OrchestrationError
        When the flow run ended before its tasks did, or could not be started.
    """
    made = flow(name=FLOW, flow_run_name=plain(job.name), task_runner=task_runner, log_prints=False)(all_units)
    token = _JOB.set(job)
    try:
        state: PrefectState[Any] = made(return_state=True)
    except Exception as error:
        if job.broken is None and job.is_done:  # only the server does not know
            return job.outcomes
        raise _lost(error) from error
    finally:
        _JOB.reset(token)
    if job.broken is not None:
        raise job.broken
    if not job.is_done:
        raise OrchestrationError(f"the flow run ended as {state.name} before its tasks did", why=str(state.message or ""))
    return job.outcomes


def _lost(error: Exception) -> OrchestrationError:
    refused = getattr(getattr(error, "response", None), "status_code", None) == HTTPStatus.UNAUTHORIZED
    look = "set PREFECT_API_AUTH_STRING to what the server asks for" if refused else "see that the server runs"
    return OrchestrationError(
        "Prefect could not run the flow",
        why=f"{type(error).__name__}: {error}",
        do=f'what is computed is stored; {look}, or run with engine="inline", which needs none',
    )


def all_units() -> PrefectState[Any]:
    """Submit the units of the job at hand, and wait for them."""
    job = _JOB.get()
    try:
        job.outcomes.extend(_Submitting(job).all())
    except BaseException as error:
        job.stop.set()
        job.broken = error
        raise
    if job.answers():
        report_artifact(job.plan, job.units, job.outcomes)
    return _final(job.outcomes)


class _Submitting:
    """Submits each unit as soon as those that it follows have ended; for what it takes results of, Prefect waits."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._roots = job.store.folder.root, tuple([layer.root for layer in job.store.layers])
        self._futures: dict[int, PrefectWrappedFuture[Any, Any]] = {}
        self._done: dict[int, Outcome] = {}

    def all(self) -> list[Outcome]:
        job = self._job
        progress = Progress(len(job.units), job.answers)
        while len(self._done) < len(job.units):
            n_before = len(self._done), len(self._futures)
            self._submit()
            self._collect()
            progress.show(len(self._done))
            if (len(self._done), len(self._futures)) == n_before:
                time.sleep(_ASK_S)
        return [self._done[u.number] for u in job.units]

    def _submit(self) -> None:
        for unit in self._job.units:
            if unit.number in self._futures or not set(unit.follows) <= set(self._done):
                continue
            if set(unit.after) <= set(self._futures):
                self._futures[unit.number] = self._submitted(unit)

    def _submitted(self, unit: Unit) -> PrefectWrappedFuture[Any, Any]:
        job = self._job
        made = unit_task(name_of(unit, job.plan), *self._roots, refresh=job.refresh)
        after = [self._futures[n] for n in unit.after]
        before = [self._done[n].told(objects=job.refresh) for n in unit.follows]
        future: Any = made.submit(unit.key.hex(), job.carried(unit, before), after)
        return future  # type: ignore[no-any-return]

    def _collect(self) -> None:
        for number, future in self._futures.items():
            if number in self._done or not _has_ended(future):
                continue
            future.wait()  # else the state is asked of the server, which does not have what the task gave
            self._done[number] = Outcome.of(self._job.units[number], future.state)
            if self._job.first_error_ends and self._done[number].errors:
                self._job.stop.set()


def _has_ended(future: PrefectWrappedFuture[Any, Any]) -> bool:
    """Say whether a task run is over, without asking the server."""
    done = getattr(future.wrapped_future, "done", None)
    if done is not None:
        return bool(done())
    future.wait(_GLANCE_S)  # Ray's futures can only be waited for
    return future._final_state is not None  # noqa: SLF001 - its public name asks the server


def _final(outcomes: Sequence[Outcome]) -> PrefectState[Any]:
    lost = [o for o in outcomes if not o.is_done]
    if not lost:
        return Completed(message=f"{len(outcomes)} tasks are done")
    return Failed(message=f"{len(lost)} of {len(outcomes)} tasks are missing; run it again, and only these are computed")


# How a flow over an analysis ends: complete, skipped because nothing had changed, or failed with what is missing -----------------

MOST_REASONS = 20
SKIPPED = "Skipped"


def final_state(done: RunResult) -> PrefectState[Any]:
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
