"""What belongs to one table: the columns that the user added, by collection."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self

from hep_flows.errors import LiteralError, RecordError, SourceError, did_you_mean, line_of
from hep_flows.expr.key import digest
from hep_flows.record.parameters import parameter
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset, Expr

# What a recording looked at besides the values that it wrote down: everything that may make it come out otherwise elsewhere ------
#
# An analysis is recorded over one dataset, and holds for another one where all of this is the same: the metadata that it read, the
# names that it asked for (those that it did not find, too), and what these names stand for.


@dataclass(slots=True)
class Looked:
    """What was looked at on one table, so far.

    Parameters
    ----------
    names : mapping
        By key of an expression and name: the expression, and the stored leaf of that name; None where there is none.
    gets : dict
        By key, the leaves that were asked for with a default.
    whole_schema : bool
        Whether names were listed, or leaves chosen by what there is.
    keys : set of str
        The metadata that was read, by name; those that are not there count too.
    all_metadata : bool
        Whether metadata was listed, counted or compared.
    values : bool
        Whether something was computed: what follows may depend on the content of the files.
    closed : bool
        Whether the recording is over: what is not looked at by now must not be looked at any more.
    parameters : dict
        The numbers of the metadata that were taken, by name, with their values here.
    trees : dict
        The other trees of the files that were asked for, by name; None where there is none.
    of_analysis : bool
        Whether an analysis is recorded: what it asks for is computed later, all together.
    """

    names: dict[tuple[bytes, str], tuple[Expr, Expr | None]] = field(default_factory=dict)
    gets: dict[bytes, Expr] = field(default_factory=dict)
    whole_schema: bool = False
    keys: set[str] = field(default_factory=set)
    all_metadata: bool = False
    values: bool = False
    closed: bool = False
    of_analysis: bool = False
    trees: dict[str, Dataset | None] = field(default_factory=dict)
    parameters: dict[str, int | float] = field(default_factory=dict)


# ``events.metadata``: what a fileset says about a dataset, for reading, with a note of what is read ------------------------------
#
# A number that an analysis takes from here becomes a constant of its expressions. The note says for which other datasets the same
# constants hold.

NOT_THERE = digest("no metadata")


class Metadata(Mapping[str, Any]):
    """The metadata of one dataset; ``metadata["dataset"]`` is its name.

    Parameters
    ----------
    values : mapping
        What is known.
    looked : Looked
        Where it is noted what is read.
    """

    __slots__ = ("_looked", "_values")

    def __init__(self, values: Mapping[str, Any], looked: Looked) -> None:
        """Nothing was read yet."""
        self._values = dict(values)
        self._looked = looked

    def __getitem__(self, key: str) -> Any:
        """Give one value; a list or dict is a copy, so that no recording changes what another one sees."""
        value = self._values.get(key)
        if type(value) in (int, float) and not self._looked.closed:
            self._looked.parameters[key] = value  # type: ignore[assignment]
            # What reads it when everything is recorded (a print, say) decides nothing any more.
            return parameter(key, value, lambda: None if self._looked.closed else self._note(key))  # type: ignore[arg-type]
        self._note(key)
        if key in self._values:
            return copy.deepcopy(self._values[key])
        near = did_you_mean(str(key), self._values) or f"there are: {', '.join(self._values) or 'none'}"
        raise KeyError(f"the dataset has no metadata {key!r}; {near}")

    def get(self, key: str, default: Any = None) -> Any:
        """Give one value, or another one where there is none: which of the two it is counts as read."""
        if key not in self._values:
            self._note(key)
            return default
        return self[key]

    def __contains__(self, key: object) -> bool:
        """Say whether there is a value of that name."""
        self._note(key)
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        self._note_all()
        return iter(tuple(self._values))

    def __len__(self) -> int:
        """Give the number of values."""
        self._note_all()
        return len(self._values)

    def __repr__(self) -> str:
        """Show everything."""
        self._note_all()
        return f"<metadata {self._values}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Give a plain dict."""
        self._note_all()
        return copy.deepcopy(self._values, memo)

    def __copy__(self) -> dict[str, Any]:
        """Give a plain dict."""
        return self.__deepcopy__({})

    def __reduce__(self) -> NoReturn:
        """Refuse: what is read elsewhere cannot be noted here."""
        raise RecordError("metadata cannot be pickled", where=user_site(), do="take the values that you need out of it")

    def _note(self, key: object) -> None:
        looked = self._looked
        if isinstance(key, str) and key not in looked.keys:
            if looked.closed and not looked.all_metadata:
                raise _too_late(key)
            looked.keys.add(key)

    def _note_all(self) -> None:
        if self._looked.closed and not self._looked.all_metadata:
            raise _too_late("")
        self._looked.all_metadata = True


def _too_late(key: str) -> RecordError:
    what = f"the metadata {key!r}" if key else "all metadata"
    return RecordError(
        f"{what} of a dataset is read after its analysis was recorded",
        where=user_site(),
        why="one recording stands for many datasets, and this one did not look at it before",
        do=f"read it in the analysis: value = events.metadata[{key or 'name'!r}]",
    )


def metadata_key(values: Mapping[str, Any], key: str) -> bytes:
    """Give what is the same for two datasets where, and only where, they have the same value of that name.

    Values are told apart as in keys of expressions: ``1``, ``1.0`` and ``True`` differ.
    """
    return digest("metadata", _plain(values[key])) if key in values else NOT_THERE


def _plain(value: object) -> object:
    """Give a value as nested tuples; what is none of JSON's kinds goes by its class and its text."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Mapping):
        return ("mapping", tuple([(_plain(k), _plain(v)) for k, v in value.items()]))
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple([_plain(v) for v in value]))
    return (f"{type(value).__module__}.{type(value).__qualname__}", str(value))


def _same(definition: Expr) -> Expr:
    return definition


class ColumnRedefined(UserWarning):
    """A column was defined again; expressions that used the earlier definition keep it."""


class Table:
    """One table of events. Two tables are never the same one, even over the same file.

    ``whole`` is the table itself: its dataset, or that with collections replaced, in a table that has its ``origin`` in another one and
    the same events. ``leaves`` and ``found_columns`` remember what names were found to mean, by expression key and name: long chains of filters stay cheap.
    Columns are kept by the key of the expression that they were defined on, so that they belong to the collection and not to a
    Python object; expressions take over a definition when they use it. ``metadata`` is what a fileset says about it, ``looked`` what
    was looked at.
    """

    def __init__(self, dataset: Dataset, metadata: Mapping[str, object] | None, frame: Callable[[Expr, Table], Any]) -> None:
        """Start without columns; ``frame`` makes the `DataFrame` of an expression on the table."""
        self.dataset = dataset
        self._frame = frame
        self.whole: Expr = dataset
        self.looked = Looked()
        self.metadata = Metadata(metadata or {}, self.looked)
        self.origin = self
        self.varies = False
        self.sources: dict[str, int] = {}
        self.sums: dict[str, Expr] = {}
        self.open_tree: Callable[[Dataset, str], Dataset] | None = None
        self.events: Table | None = None
        self.before: dict[bytes, Expr] = {}
        self.leaves: dict[tuple[bytes, str], Expr] = {}
        self.found_columns: dict[tuple[bytes, bytes, str], Expr] = {}
        self._columns: dict[bytes, dict[str, Expr]] = {}
        self._column_names: set[str] = set()
        self._outer: Table | None = None
        self._swap: Callable[[Expr], Expr] = _same

    def replaced(self, whole: Expr, before: dict[bytes, Expr], swap: Callable[[Expr], Expr]) -> Table:
        """Give the same events with collections replaced everywhere: in columns, in what they capture, in references.

        Parameters
        ----------
        whole : Expr
            The new table.
        before : mapping
            By key of what stands for a collection (and of the new table): what it was.
        swap : callable
            Gives what a definition of this table means in the new one.
        """
        new = Table(self.dataset, None, self._frame)
        new.open_tree, new.events = self.open_tree, self.events
        new.looked, new.metadata, new.origin, new.varies = self.looked, self.metadata, self.origin, self.varies
        new.leaves, new.found_columns = self.leaves, self.found_columns
        new.whole, new.before, new._outer, new._swap = whole, before, self, swap
        new._column_names = self._column_names
        return new

    def frame(self, expr: Expr) -> Any:
        """Give a plain `DataFrame` of an expression; a number over all entries of another tree of the files is one of the events' table."""
        if self.events is not None and not expr.type.axes and not expr.type.loops:
            return self.events.frame(expr)
        return self._frame(expr, self)

    def tree(self, name: str, where: Where) -> Any:
        """Give another tree of the same files as a table of its own."""
        if self.open_tree is None:
            raise RecordError(
                f"there is no tree {name!r} to open: this table was not made of files",
                where=where,
                do="make the table by nanoaod_table, xaod_table or tree_table, or take what you know from events.metadata",
            )
        events = self if self.events is None else self.events
        try:
            dataset = self.open_tree(self.dataset, name)
        except SourceError:
            self.looked.trees.setdefault(name, None)
            raise
        new = Table(dataset, None, self._frame)
        new.looked, new.events, new.open_tree = self.looked, events, self.open_tree
        self.looked.trees.setdefault(name, dataset)
        return new.frame(new.whole)

    def source(self, name: str) -> tuple[str, int]:
        """Give a source of variations with its place among those of the table, in the order in which they were applied."""
        known = self.origin.sources
        return name, known.setdefault(name, len(known))

    def add_sum(self, label: str, sumw: Expr, where: Where) -> None:
        """Note the sum of weights of all generated events that belongs to a variation."""
        known = self.origin.sums.setdefault(label, sumw)
        if known != sumw:
            raise LiteralError(
                f"{label} has another sum of weights already",
                where=where,
                why="results are scaled by one sum for each variation",
                do="give sumw= in one vary of the source",
            )

    def has_column(self, name: str) -> bool:
        """Say whether anything of the table has a column or a replaced leaf of that name."""
        return name in self._column_names

    def gives(self, name: str) -> None:
        """Note that something of the table has a replaced leaf of that name."""
        self._column_names.add(name)

    @property
    def name(self) -> str:
        """The name to show."""
        return self.dataset.name

    def column(self, of: Expr, name: str) -> Expr | None:
        """Give a column that was defined on exactly this collection or view."""
        columns = self._columns.get(of.key)
        if columns is not None and name in columns:
            return columns[name]
        found = None if self._outer is None else self._outer.column(of, name)
        return None if found is None else self._swap(found)

    def columns(self, of: Expr) -> tuple[str, ...]:
        """Give the names of the columns defined on exactly this collection or view."""
        outer = () if self._outer is None else self._outer.columns(of)
        return tuple(dict.fromkeys((*outer, *self._columns.get(of.key, ()))))

    def add_column(self, of: Expr, name: str, definition: Expr, where: Where) -> None:
        """Define a column; a second definition replaces the first, with a warning."""
        columns = self._columns.setdefault(of.key, {})
        if name in columns and columns[name] != definition:
            line = line_of(where)
            place = f"\n{line.text()}" if line else ""
            warnings.warn(
                f"column {name!r} of {of.type.item} is defined again; expressions made before keep the earlier one{place}",
                ColumnRedefined,
                stacklevel=2,
            )
        columns[name] = definition
        self._column_names.add(name)
        self.found_columns.clear()


class Recorded:
    """An expression on the events of a table: what a `DataFrame` is, without its operators and methods."""

    __slots__ = ("_expr", "_table")
    _expr: Expr
    _table: Table

    def _made(self, expr: Expr) -> Any:
        """Give a plain `DataFrame` of another expression over the same table."""
        return self._table.frame(expr)

    def _like(self, expr: Expr) -> Self:
        """Give one of the same class over the same table: a selection of vectors is vectors."""
        new = object.__new__(type(self))
        if hasattr(self, "__dict__"):
            new.__dict__.update(self.__dict__)
        object.__setattr__(new, "_expr", expr)
        object.__setattr__(new, "_table", self._table)
        return new

    if TYPE_CHECKING:

        def __getitem__(self, key: Any) -> Any:
            """Select, as `DataFrame` does."""
