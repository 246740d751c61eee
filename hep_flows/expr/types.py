"""What an expression stands for: the kind of one item, and the named axes it is spread over.

An axis is an identity, not a length: ``Jet`` of one table and ``Jet`` of another, or ``Jet`` and a filtered view of it, are
different axes even when their counts agree. Axes run from the outside in: events first, then collections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Bool:
    """A truth value."""

    def __str__(self) -> str:
        """Name the type as numpy does."""
        return "bool"


@dataclass(frozen=True, slots=True)
class Int:
    """An integer; ``refers_to`` names the collection that a stored index points into."""

    bits: int = 64
    signed: bool = True
    refers_to: str = ""

    def __str__(self) -> str:
        """Name the type as numpy does."""
        return f"{'' if self.signed else 'u'}int{self.bits}"


@dataclass(frozen=True, slots=True)
class Float:
    """A floating-point number."""

    bits: int = 64

    def __str__(self) -> str:
        """Name the type as numpy does."""
        return f"float{self.bits}"


@dataclass(frozen=True, slots=True)
class String:
    """A text."""

    def __str__(self) -> str:
        """Name the type."""
        return "string"


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram, of hist's axes or numpy's pair; ``spec`` is the text of its axes and storage."""

    spec: str = ""

    def __str__(self) -> str:
        """Name the type."""
        return "histogram"


@dataclass(frozen=True, slots=True)
class Anything:
    """A constant without a place in arrays (a list, a tuple), good only as an argument."""

    def __str__(self) -> str:
        """Name the type."""
        return "constant"


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An object or an event: named members.

    ``model`` is the data model that the names follow: ``nanoaod``, ``xaod``, ``tree``, ``parquet`` or ``tuple``.
    Two records are the same only when they are one object: a schema is made once per table.
    """

    name: str
    members: Mapping[str, Member]
    model: str = "tree"
    doc: str = ""

    def __str__(self) -> str:
        """Name the type."""
        return f"record {self.name}"


Item = Bool | Int | Float | String | Histogram | Anything | Record
Number = Bool | Int | Float


@dataclass(frozen=True, slots=True)
class Member:
    """One name of a record: a stored leaf, or a group of leaves.

    Parameters
    ----------
    item : Item
        The kind of one item, a `Record` for collections and groups.
    axes : tuple of str
        The list axes that it adds, by name: ``("Jet",)`` for a collection, its own name for a list-valued leaf.
    column : str
        What the file calls it; for a collection, the branch that holds the counts, if there is one.
    doc, unit : str
        As the file or its data model give them.
    optional : bool
        Whether stored values may be missing.
    unreadable : str
        Why the value cannot be read; empty when it can.
    inside : tuple of str
        The fields inside the stored column that lead to it; empty when it is the column itself.
    lacking : str
        Which file of the dataset lacks it and which has it; empty where all are alike.
    differs : str
        Which files hold it as kinds that no kind can stand for without a loss; empty where there are none.
    widened : bool
        Whether some files hold a narrower kind, which reading widens to this one.
    """

    item: Item
    axes: tuple[str, ...] = ()
    column: str = ""
    doc: str = ""
    unit: str = ""
    optional: bool = False
    unreadable: str = ""
    inside: tuple[str, ...] = ()
    lacking: str = ""
    differs: str = ""
    widened: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether every file can give it, as one kind."""
        return not (self.unreadable or self.lacking or self.differs)

    @property
    def path(self) -> tuple[str, ...]:
        """The stored column, and the fields inside it that lead to the leaf."""
        return (self.column, *self.inside)


@dataclass(frozen=True, slots=True)
class Axis:
    """One level of nesting.

    ``key`` identifies it; ``root`` is the key of the unfiltered axis that it is a view of. Of an axis inside a loop's element,
    ``whole`` is the same axis outside of the loop.
    """

    key: bytes
    name: str = field(compare=False)
    root: bytes = field(compare=False)
    whole: Axis | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """Name the axis, and say whether it is a view."""
        return self.name if self.key == self.root else f"{self.name}[...]"


@dataclass(frozen=True, slots=True)
class Loop:
    """A `map` that an expression stands inside of: it has one value per element of that axis.

    Outer loops have higher levels.
    """

    axis: Axis
    level: int


@dataclass(frozen=True, slots=True)
class Type:
    """The item kind and the axes of an expression.

    Parameters
    ----------
    item : Item
        The kind of one item.
    axes : tuple of Axis
        From events inward; empty for one number.
    loops : tuple of Loop
        The loops whose current element the value depends on, outermost first.
    optional : bool
        Whether items may be missing.
    unit : str
        The unit of the item, empty when unknown or none.
    """

    item: Item
    axes: tuple[Axis, ...] = ()
    loops: tuple[Loop, ...] = ()
    optional: bool = False
    unit: str = ""

    def __str__(self) -> str:
        """Give for example ``?float32, events x Jet``."""
        kind = f"{'?' if self.optional else ''}{self.item}"
        names = ["events" if i == 0 else str(a) for i, a in enumerate(self.axes)]
        return f"{kind}, {' x '.join(names)}" if names else f"one {kind}"


_NUMBERS = (Bool, Int, Float)


def is_number(item: Item) -> bool:
    """Say whether arithmetic is defined on the item."""
    return isinstance(item, _NUMBERS)
