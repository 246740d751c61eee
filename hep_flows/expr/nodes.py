"""The node classes: immutable, compared by content key, typed when they are made.

Each class says in ``identity()`` which fields it is known by; that one declaration feeds both ``==`` and the key. The user's
line (``where``), file paths and display names are not identity. Nodes are made by the functions of `hep_flows.expr.build`,
which check and type them.

Loops need no environment: `Bound` holds the collection that it is an element of, so an element of one loop is one node with one
meaning wherever it stands, and every pass and the evaluator walk a plain graph from the leaves up. `Map` closes a loop. Levels
count loops from the inside, so neither variable names nor the place where a closed expression stands can change a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self, final

from hep_flows.expr.functions import UserFunction, call_identity
from hep_flows.expr.key import digest

if TYPE_CHECKING:
    from hep_flows.errors import Where
    from hep_flows.expr.types import Constant, Type

# The leaves of each collection that a user names, by the collection's name.
Collections = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class Node:
    """What all nodes share: the type, the user's line, the key and the number of loops nested inside."""

    tag: ClassVar[str]
    type: Type
    where: Where = None
    key: bytes = field(init=False)
    height: int = field(init=False)

    def __post_init__(self) -> None:
        """Compute the key and the height once; children have theirs already."""
        object.__setattr__(self, "key", digest(self.tag, *self.identity()))
        object.__setattr__(self, "height", self.loop_height())

    def identity(self) -> tuple[object, ...]:
        """Give the identity fields; a child counts through its key."""
        raise NotImplementedError

    def inputs(self) -> tuple[Expr, ...]:
        """Give the children, in order."""
        return ()

    def loop_height(self) -> int:
        """Give the number of loops nested inside."""
        height = 0
        for i in self.inputs():
            height = max(height, i.height)
        return height

    def __eq__(self, other: object) -> bool:
        """Compare by content key."""
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        """Hash by content key."""
        return int.from_bytes(self.key[:8], "big", signed=True)

    def __copy__(self) -> Self:
        """Give the node itself: it never changes."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Give the node itself: it never changes."""
        return self

    def __repr__(self) -> str:
        """Show the class, the beginning of the key and the type; `hep_flows.expr.text` has the text."""
        return f"<{type(self).__name__} {self.key.hex()[:8]}: {self.type}>"


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dataset(Node):
    """A table of events: ``content`` is the content identity of each file, in order, never a path.

    ``files`` (paths or URLs, in the same order) and ``name`` (for display) are not identity. A ``kind`` may name a reader before a
    colon (``servicex:nanoaod``): who reads the events does not change them, so it is no identity either. ``collections`` are those that
    the user named by their leaves: they say what names mean.
    """

    tag: ClassVar[str] = "dataset"
    kind: str
    content: tuple[str, ...]
    tree: str = ""
    files: tuple[str, ...] = ()
    name: str = "events"
    collections: Collections = ()

    @property
    def model(self) -> str:
        """The kind without its reader: how the files are to be understood."""
        return self.kind.rpartition(":")[2]

    def identity(self) -> tuple[object, ...]:
        """Give kind without reader, content and tree, and the collections where there are any."""
        return (self.model, self.content, self.tree, *self.named_collections())

    def named_collections(self) -> tuple[object, ...]:
        """Give what the user's collections add to the identity: nothing where there are none."""
        return (self.collections,) if self.collections else ()


@dataclass(frozen=True, slots=True)
class Default:
    """What stands in the place of a leaf where a file lacks it, and the kind that the leaf is converted to (empty: its own).

    Of a collection, and of a leaf that is itself a list, files that lack it have empty lists, whatever the value.
    """

    value: Constant = None
    as_: str = ""


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Field(Node):
    """A stored leaf or collection of an event or object: ``events.Jet``, ``events.Jet.pt``; with a default, ``events.HLT.get("A", False)``."""

    tag: ClassVar[str] = "field"
    of: Expr
    name: str
    default: Default | None = None

    def identity(self) -> tuple[object, ...]:
        """Give the object and the name, and the default where there is one."""
        return (self.of.key, self.name, *self.default_identity())

    def default_identity(self) -> tuple[object, ...]:
        """Give what the default adds to the identity: nothing where there is none."""
        return () if self.default is None else ("get", self.default.value, self.default.as_)

    def inputs(self) -> tuple[Expr, ...]:
        """Give the object."""
        return (self.of,)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Filter(Node):
    """The entries of axis number ``at`` of ``of`` where ``mask`` is true."""

    tag: ClassVar[str] = "filter"
    of: Expr
    mask: Expr
    at: int

    def identity(self) -> tuple[object, ...]:
        """Give what is filtered, the mask and the axis."""
        return (self.of.key, self.mask.key, self.at)

    def inputs(self) -> tuple[Expr, ...]:
        """Give what is filtered, and the mask."""
        return (self.of, self.mask)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal(Node):
    """A constant. ``dtype`` is empty for a plain Python value, else numpy's name: ``float32``."""

    tag: ClassVar[str] = "literal"
    value: Constant
    dtype: str = ""

    def identity(self) -> tuple[object, ...]:
        """Give the value with its kind."""
        return (self.value, self.dtype)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Node):
    """A function of the table in `hep_flows.expr.functions`, or a user's, of its arguments.

    Options are the constants that belong to the function, by name and in the table's order.
    """

    tag: ClassVar[str] = "call"
    function: str | UserFunction
    args: tuple[Expr, ...]
    options: tuple[tuple[str, Constant], ...] = ()

    def identity(self) -> tuple[object, ...]:
        """Give the function's identity, the arguments' keys and the options.

        The order of arguments does not count where it cannot change a bit of the result, and ``a > b`` is ``b < a``.
        """
        return call_identity(self.function, [a.key for a in self.args], self.options)

    def inputs(self) -> tuple[Expr, ...]:
        """Give the arguments."""
        return self.args

    def option(self, name: str) -> Constant:
        """Give one option."""
        return dict(self.options)[name]


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bound(Node):
    """The current element of the outermost collection axis of ``of``, in the loop of that ``level``."""

    tag: ClassVar[str] = "bound"
    of: Expr
    level: int

    def identity(self) -> tuple[object, ...]:
        """Give the collection and the level."""
        return (self.of.key, self.level)

    def inputs(self) -> tuple[Expr, ...]:
        """Give the collection."""
        return (self.of,)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Map(Node):
    """``body`` for each element of ``over``: closes the loop of that level over the outermost collection axis of ``over``."""

    tag: ClassVar[str] = "map"
    over: Expr
    body: Expr
    level: int

    def identity(self) -> tuple[object, ...]:
        """Give the axis that is looped over (not the values on it), the body and the level."""
        over = self.over.type
        axes = tuple([a.key for a in over.axes[:2]])
        loops = tuple([(o.axis.key, o.level) for o in over.loops])
        return (axes, loops, self.body.key, self.level)

    def inputs(self) -> tuple[Expr, ...]:
        """Give the collection, and the body."""
        return (self.over, self.body)

    def loop_height(self) -> int:
        """Count this loop too."""
        return max(self.over.height, self.body.height, self.level)


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Input(Node):
    """The result of another task; made only when a plan is cut."""

    tag: ClassVar[str] = "input"
    task: bytes

    def identity(self) -> tuple[object, ...]:
        """Give the key of the task."""
        return (self.task,)


Expr = Dataset | Field | Filter | Literal | Call | Bound | Map | Input
