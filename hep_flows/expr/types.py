"""What an expression stands for: the kind of one item, and the named axes it is spread over.

An axis is an identity, not a length: ``Jet`` of one table and ``Jet`` of another, or ``Jet`` and a filtered view of it, are
different axes even when their counts agree. Axes run from the outside in: events first, then collections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Constant = None | bool | int | float | str | bytes | tuple["Constant", ...]


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


def item_of(dtype: str) -> Item | None:
    """Give the kind that numpy calls so, or None when it is no kind of the language."""
    if dtype == "bool":
        return Bool()
    kind = dtype.rstrip("0123456789")
    if kind not in ("int", "uint", "float") or dtype[len(kind) :] not in ("8", "16", "32", "64")[kind == "float" :]:
        return None
    bits = int(dtype[len(kind) :])
    return Float(bits) if kind == "float" else Int(bits, signed=kind == "int")


# The item type of a result, by numpy's rules (NEP 50: Python's own numbers adapt to the array's width) ---------------------------
#
# Written out here because the language imports no library; the tests compare every row with numpy itself.


def common(left: Item, right: Item, *, left_weak: bool = False, right_weak: bool = False) -> Item:
    """Give the type that arithmetic on two numbers is done in.

    A weak operand is a plain Python constant: only its kind (bool, int, float) counts, not its width.
    """
    if left_weak != right_weak:
        strong, weak = (right, left) if left_weak else (left, right)
        return _adapted(strong, weak)
    return _widest(left, right)


def widened(item: Item) -> Item:
    """Give what a number is in arithmetic: truth values and integers of 8 and 16 bits become 32 bits wide, the others stay.

    Counts and flags are small numbers in some versions of a format and wide in others; they shall give the same results.
    """
    return Int(32) if isinstance(item, Bool) or (isinstance(item, Int) and item.bits < Int(32).bits) else item


def _adapted(strong: Item, weak: Item) -> Item:
    if isinstance(weak, Bool):
        return _plain(strong)
    if isinstance(weak, Int):
        return Int(64) if isinstance(strong, Bool) else _plain(strong)
    return strong if isinstance(strong, Float) else Float(64)


def _plain(item: Item) -> Item:
    """Drop what an integer refers to: the result of arithmetic is no reference any more."""
    return Int(item.bits, item.signed) if isinstance(item, Int) else item


def _widest(left: Item, right: Item) -> Item:
    if isinstance(left, Bool):
        return _plain(right)
    if isinstance(right, Bool):
        return _plain(left)
    if isinstance(left, Int) and isinstance(right, Int):
        return _widest_int(left, right)
    if isinstance(left, Float) and isinstance(right, Float):
        return Float(max(left.bits, right.bits))
    real, whole = (left, right) if isinstance(left, Float) else (right, left)
    if not isinstance(real, Float) or not isinstance(whole, Int):
        raise TypeError(f"{left} and {right} are not both numbers")
    return Float(max(real.bits, {8: 16, 16: 32}.get(whole.bits, 64)))


def _widest_int(left: Int, right: Int) -> Item:
    if left.signed == right.signed:
        return Int(max(left.bits, right.bits), left.signed)
    signed, unsigned = (left, right) if left.signed else (right, left)
    if signed.bits > unsigned.bits:
        return Int(signed.bits)
    return Int(unsigned.bits * 2) if unsigned.bits < 64 else Float(64)


def as_float(item: Item) -> Float:
    """Give the type of sqrt, exp and their like for an argument of that type."""
    if isinstance(item, Float):
        return item
    if not isinstance(item, Bool | Int):
        raise TypeError(f"{item} is not a number")
    return Float(64)


def summed(item: Item) -> Item:
    """Give the type of a sum: everything adds up in 64 bits, small integers with a sign."""
    wide = widened(item)
    return Int(64, wide.signed) if isinstance(wide, Int) else Float(64)


# Members of a record whose schema is not closed: a rule says what any other name is ----------------------------------------------


class OpenMembers(Mapping[str, Member]):
    """The known members, and by a rule any others.

    Looking at all members gives the known ones; asking for one more name asks the rule, whose answer is kept: a name stands for one
    thing.

    Parameters
    ----------
    known : mapping of str to Member
        The members that are listed.
    rule : callable
        Gives the member of another name, or None when there is none.
    """

    __slots__ = ("_known", "_made", "_rule")

    def __init__(self, known: Mapping[str, Member], rule: Callable[[str], Member | None]) -> None:
        """Nothing is asked yet."""
        self._known, self._rule = known, rule
        self._made: dict[str, Member | None] = {}

    def _found(self, name: str) -> Member | None:
        if name in self._known:
            return self._known[name]
        if name not in self._made:
            self._made[name] = self._rule(name)
        return self._made[name]

    def __getitem__(self, name: str) -> Member:
        """Give a member."""
        found = self._found(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        """Say whether the name is known, or the rule knows it."""
        return isinstance(name, str) and self._found(name) is not None

    def __iter__(self) -> Iterator[str]:
        """Give the known names."""
        return iter(self._known)

    def __len__(self) -> int:
        """Count the known names."""
        return len(self._known)


def replaced_members(before: Mapping[str, Member], new: Mapping[str, Member], hidden: Iterable[str]) -> Mapping[str, Member]:
    """Give members of which some are replaced or added, and some are hidden."""
    gone = frozenset(hidden)
    kept = {n: new.get(n, m) for n, m in before.items() if n not in gone}
    known = {**kept, **new}
    if not isinstance(before, OpenMembers):
        return known
    return OpenMembers(known, lambda name: None if name in gone else before.get(name))
