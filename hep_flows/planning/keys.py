"""The content key of a result: the only thing that it is found by. It names a meaning, not a way of working.

``digest("result", format, family, version, key of the expression, output)``. The expression is what was asked for, from the table up: it
names the data by its content. How a plan was cut, which plug-in ran a node, and what else was asked for are not in it. Of the plug-ins only
the numerics family is: members of a family give the same bits. Where a part of the expression is computed by another family than the
rest, an `Input` with the key of its result stands in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

from hep_flows.expr.functions import call_identity
from hep_flows.expr.key import digest
from hep_flows.expr.nodes import Bound, Call, Dataset, Expr, Field, Filter, Input, Literal, Map
from hep_flows.expr.types import Histogram, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.spread import is_scaled_at_the_end, takes_merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hep_flows.contract import Key, Label, Numerics, Output, Reach

    Computed = Mapping[Key, Mapping[Label, Numerics]]

# To be raised when results, or the parts of them that a batch has, hold something else for the same meaning.
FORMAT = 1


def result_key(numerics: Numerics, meaning: Expr) -> Key:
    """Give the key of what an expression means, computed in one numerics family."""
    return digest("result", FORMAT, numerics.family, numerics.version, meaning.key, output_of(meaning))


def output_of(node: Expr) -> Output:
    """Give the form of a node's result."""
    if isinstance(node.type.item, Histogram):
        return "histogram"
    return "columns" if node.type.axes else "scalar"


# The content key of a result on one batch of its table: a file, or a range of events of a big one --------------------------------
#
# It is the key of the same meaning over a table that is that batch alone, so what was computed for a file is found again in
# whatever table, at whatever place and under whatever path the file is, however the plan is cut. Merged results that it takes (a maximum
# over all events) enter with their own keys, since they depend on the whole table.


def batch_key(form: Key, content: Sequence[str], start: int, stop: int) -> Key:
    """Give the key of a result on one batch.

    Parameters
    ----------
    form : bytes
        What it is apart from the data, from `Forms`.
    content : sequence of str
        The identity of the file.
    start, stop : int
        The range of entries.
    """
    return digest("batch", form, tuple(content), start, stop)


class Forms(Mapping["Key", "Key"]):
    """What the tasks of a plan compute on each batch, by task key: files are not in it. Found out when the first batch is looked up.

    Parameters
    ----------
    tasks : mapping of bytes to Expr
        What each task delivers, not cut.
    computed : mapping
        By node, the plug-ins that compute it, each with its numerics.
    reach : mapping
        The reach of each node.
    key_of : callable
        Gives the key of the result of a node.
    """

    def __init__(
        self, tasks: Mapping[Key, Expr], computed: Computed, reach: Mapping[Key, Reach], key_of: Callable[[Expr], Key]
    ) -> None:
        """Nothing is looked through yet."""
        self._tasks, self._computed, self._reach, self._key_of = tasks, computed, reach, key_of

    def __getitem__(self, task: Key) -> Key:
        """Give the form of a task."""
        return self._found[task]

    def __iter__(self) -> Iterator[Key]:
        """Give the keys of the tasks."""
        return iter(self._found)

    def __len__(self) -> int:
        """Give the number of tasks."""
        return len(self._found)

    @cached_property
    def _found(self) -> dict[Key, Key]:
        made: dict[tuple[Key, Numerics], Key] = {}
        for node in postorder(*self._tasks.values()):
            if self._reach[node.key] != "whole":
                for numerics in set(self._computed[node.key].values()):
                    made[node.key, numerics] = _form(node, [self._seen(i, node, numerics, made) for i in node.inputs()])
        return {key: self._whole(node, made) for key, node in self._tasks.items() if self._reach[node.key] == "partitions"}

    def _seen(self, node: Expr, user: Expr, numerics: Numerics, made: Mapping[tuple[Key, Numerics], Key]) -> Key:
        """Give what stands for an input of a node."""
        if isinstance(node, Literal):
            return node.key
        if takes_merged(node, user, self._reach):
            return digest("merged", self._key_of(node))
        if node.type.loops or numerics in self._computed[node.key].values():
            return made[node.key, numerics]
        return self._whole(node, made)

    def _whole(self, node: Expr, made: Mapping[tuple[Key, Numerics], Key]) -> Key:
        (numerics,) = self._computed[node.key].values()
        item = node.type.item
        members = _members(item) if isinstance(item, Record) else b""
        return digest("form", FORMAT, numerics.family, numerics.version, made[node.key, numerics], output_of(node), members)


def _members(record: Record) -> Key:
    """Give what a record has, where it is the result itself: of a table whose files differ, what all of them can give."""
    rows = []
    for name, m in record.members.items():
        inside = _members(m.item) if isinstance(m.item, Record) else f"{m.item}"
        rows.append((name, inside, tuple(m.axes), m.optional, not m.is_plain))
    return digest("members", record.name, record.model, tuple(rows))


def _form(node: Expr, inputs: Sequence[Key]) -> Key:  # noqa: PLR0911 - one for each class
    match node:
        case Dataset():
            return digest("dataset", node.model, node.tree, *node.named_collections())
        case Input():
            return node.key
        case Literal():
            return node.key
        case Field():
            # Where the files of a table differ, the type of a leaf is that of all of them together.
            item = node.type.item
            kind = "" if isinstance(item, Record) else f"{item}"
            return digest("field", inputs[0], node.name, kind, node.type.optional, *node.default_identity())
        case Filter():
            return digest("filter", inputs[0], inputs[1], node.at)
        case Call() if is_scaled_at_the_end(node):
            return inputs[0]  # The factor comes to what is merged: another one finds all parts again.
        case Call():
            return digest("call", *call_identity(node.function, list(inputs), node.options))
        case Bound():
            return digest("bound", inputs[0], node.level)
        case Map():
            # A body that uses the element says itself what is looped over, and by which of its leaves does not matter.
            return digest("map", inputs[0] if node.level == 0 else b"", inputs[1], node.level)
        case _:
            assert_never(node)
