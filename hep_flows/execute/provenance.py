"""How a result came about, as it is written beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.errors import line_of
from hep_flows.execute.schedule import by_parts
from hep_flows.expr.file_names import shown
from hep_flows.expr.text import one_line
from hep_flows.expr.transport import encode

if TYPE_CHECKING:
    from hep_flows.execute.batches import Batch
    from hep_flows.execute.keys import Keys
    from hep_flows.planning.task import Task
    from hep_flows.store.provenance import Provenance

TEXT_WIDTH = 2000
NAME_WIDTH = 80
MOST_FILES = 20


def provenance_of(task: Task, batch: Batch | None, result_version: str, keys: Keys, seconds: float) -> Provenance:
    """Give what is known about a result: the merged one of a task, or that of a batch."""
    from hep_flows.store.provenance import Provenance

    tasks = [keys.tasks[k] for k in task.inputs]
    inputs = [keys.of_batch(t, batch) if batch is not None and by_parts(t, task) else t.key for t in tasks]
    table = task.dataset
    few = table is None or len(table.files) <= MOST_FILES
    return Provenance(
        name=one_line(task.meaning, NAME_WIDTH),
        plugin=task.plugin,
        result_version=result_version,
        family=task.numerics.family,
        expression=encode(task.meaning).decode() if few else "",
        text=one_line(task.meaning, TEXT_WIDTH),
        dataset=_data(task, batch),
        inputs=tuple([k.hex() for k in inputs]),
        events_processed=None if batch is None or batch.whole is None else batch.events,
        seconds=round(seconds, 6),
        tags=("merged",) if batch is None else ("batch",),
        task=task.key.hex(),
        line=_line(task),
    )


def _line(task: Task) -> str:
    line = line_of(task.expr.where)
    return "" if line is None else f"{line.file.rsplit('/', 1)[-1]}:{line.line}"


def _data(task: Task, batch: Batch | None) -> dict[str, object]:
    table = task.dataset
    if table is None:
        return {}
    if batch is None or batch.whole is None:
        return {
            "name": table.name,
            "kind": table.kind,
            "tree": table.tree,
            "files": [shown(f) for f in table.files],
            "content": list(table.content),
        }
    data = {"name": table.name, "kind": table.kind, "tree": table.tree, "files": [batch.file], "content": list(batch.content)}
    return data | {"start": batch.whole.start, "stop": batch.whole.stop}
