"""The content key of a task on one batch of its table: a file, or a range of events of a big one.

It is the key of the same expression over a table that is that batch alone, so what was computed for a file is found again in
whatever table, at whatever place and under whatever path the file is. Merged results that the task takes (a maximum over all
events) enter with their own keys, since they depend on the whole table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from hep_flows.expr.functions import call_identity
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Record
from hep_flows.expr.walk import postorder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.planning.task import Key, Task


def form_key(task: Task, result_version: str) -> Key:
    """Give what the task is, apart from the data: neither files nor the results that it takes are in it."""
    places = {key: digest("place", i) for i, key in enumerate(task.inputs)}
    made: dict[Key, Key] = {}
    for node in postorder(task.expr):
        made[node.key] = _form(node, made, places)
    item = task.expr.type.item
    members = _members(item) if isinstance(item, Record) else b""
    return digest("form", task.plugin, result_version, made[task.expr.key], task.output, members)


def batch_key(form: Key, content: Sequence[str], start: int, stop: int, inputs: Sequence[Key]) -> Key:
    """Give the key of a task on one batch.

    Parameters
    ----------
    form : bytes
        What `form_key` gives for the task.
    content : sequence of str
        The identity of the file.
    start, stop : int
        The range of entries.
    inputs : sequence of bytes
        The keys of the results that it takes, in order: of the same batch, or merged ones.
    """
    return digest("batch", form, tuple(content), start, stop, tuple(inputs))


def _members(record: Record) -> Key:
    """Give what a record has, where it is the result itself: of a table whose files differ, what all of them can give."""
    rows = []
    for name, m in record.members.items():
        inside = _members(m.item) if isinstance(m.item, Record) else f"{m.item}"
        rows.append((name, inside, tuple(m.axes), m.optional, not m.is_plain))
    return digest("members", record.name, record.model, tuple(rows))


def _form(node: Expr, made: Mapping[Key, Key], places: Mapping[Key, Key]) -> Key:
    match node:
        case Dataset():
            return digest("dataset", node.kind, node.tree, *node.named_collections())
        case Input():
            return places[node.task]
        case Literal():
            return node.key
        case Field():
            # Where the files of a table differ, the type of a leaf is that of all of them together.
            item = node.type.item
            kind = "" if isinstance(item, Record) else f"{item}"
            return digest("field", made[node.of.key], node.name, kind, node.type.optional, *node.default_identity())
        case Filter():
            return digest("filter", made[node.of.key], made[node.mask.key], node.at)
        case Call():
            return digest("call", *call_identity(node.function, [made[a.key] for a in node.args], node.options))
        case Bound():
            return digest("bound", made[node.of.key], node.level)
        case Map():
            return digest("map", made[node.over.key], made[node.body.key], node.level)
        case _:
            assert_never(node)
