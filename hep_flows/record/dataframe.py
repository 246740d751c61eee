"""What the user holds: an expression of a table, with Python's operators.

A `DataFrame` records; its ``==`` makes a comparison of events. The node that it holds (`hep_flows.expr`) compares. They are two classes
on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from hep_flows.errors import LiteralError, RecordError, with_article
from hep_flows.expr.functions import row_of_method
from hep_flows.expr.nodes import Dataset
from hep_flows.record import control_flow
from hep_flows.record.accessors import accessed, called_leaf
from hep_flows.record.arguments import checked
from hep_flows.record.awkward_hooks import awkward_call
from hep_flows.record.brackets import bracketed
from hep_flows.record.callables import mapped
from hep_flows.record.members import REQUIRED, known_names, leaf_or_default, member_of, no_member
from hep_flows.record.methods import Aggregates, method_of
from hep_flows.record.new_columns import set_column
from hep_flows.record.numpy_hooks import numpy_function, ufunc_call
from hep_flows.record.objects import guarded_properties
from hep_flows.record.operators import Operators
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hep_flows.expr.nodes import Expr
    from hep_flows.record.table import Table


class _Doc:
    """The docstring: the class's own on the class, the branch's on an expression."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __get__(self, frame: DataFrame | None, owner: type) -> str:
        return self.text if frame is None else frame._describe()  # noqa: SLF001


class DataFrame(Operators, Aggregates):
    """A recorded expression on the events of a table.

    Leaves and collections are attributes (``df.Jet.pt``) or string keys (``df["Jet"]["pt"]``); ``X[mask]``, ``X[function]``, ``X[0]``
    and ``X[:2]`` select; ``X["name"] = ...`` adds a column. Nothing is read until `hep_flows.make_local`.

    Parameters
    ----------
    df : DataFrame
        The expression that the new object stands for; subclasses pass theirs on.
    """

    __slots__ = ("_expr", "_table")
    _expr: Expr
    _table: Table

    def __init__(self, df: DataFrame) -> None:
        """Stand for the same expression as ``df``."""
        if not isinstance(df, DataFrame):
            raise LiteralError(
                f"a DataFrame is made from another, not from {with_article(df)}",
                where=user_site(),
                do="begin with nanoaod_table, xaod_table, tree_table or parquet_table",
            )
        object.__setattr__(self, "_expr", df._expr)
        object.__setattr__(self, "_table", df._table)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let a property of a subclass use the leaf that it has the name of."""
        super().__init_subclass__(**kwargs)
        guarded_properties(cls)

    @classmethod
    def _of(cls, expr: Expr, table: Table) -> DataFrame:
        new = object.__new__(DataFrame)
        object.__setattr__(new, "_expr", expr)
        object.__setattr__(new, "_table", table)
        return new

    def _made(self, expr: Expr) -> DataFrame:
        """Give a plain frame over the same table."""
        return DataFrame._of(expr, self._table)

    def _like(self, expr: Expr) -> Self:
        """Give a frame of the same class: a selection of vectors is vectors."""
        new = object.__new__(type(self))
        if hasattr(self, "__dict__"):
            new.__dict__.update(self.__dict__)
        object.__setattr__(new, "_expr", expr)
        object.__setattr__(new, "_table", self._table)
        return new

    @property
    def metadata(self) -> Any:
        """What the fileset says about the dataset of these events, for reading; of anything else, its leaf of that name.

        ``events["metadata"]`` is a leaf in any case. Tables that were not made from a fileset have no metadata.
        """
        expr = self._expr
        if expr.type.item is self._table.dataset.type.item and len(expr.type.axes) == 1:
            return self._table.metadata
        return self["metadata"]

    def __getattr__(self, name: str) -> Any:
        """Give a leaf, collection, column or alias by name."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}; leaves with an underscore: df[{name!r}]")
        own = getattr(type(self), name, None)
        if isinstance(own, property) and own.fget is not None:
            return own.fget(self)  # It raised AttributeError, which hid its reason: raise that again.
        where = user_site()
        row = row_of_method(name)
        if row is not None and name == row.method:
            return method_of(row).__get__(self)  # A row that was added after this class was made.
        found = member_of(self, self._expr, name, self._table, where)
        if found is not None:
            return self._made(found)
        if row is not None:
            return getattr(self, row.method)
        accessor = accessed(self, name)
        if accessor is not None:
            return accessor
        raise no_member(self._expr, name, self._table, where)

    def __getitem__(self, key: Any) -> Any:
        """Select: by name, mask, function, integer or slice."""
        where = user_site()
        if isinstance(key, str):
            found = member_of(self, self._expr, key, self._table, where)
            if found is None:
                raise no_member(self._expr, key, self._table, where)
            return self._made(found)
        return self._like(bracketed(self, key, where))

    def __setitem__(self, name: str, value: Any) -> None:
        """Add a column: an expression, or a function of one element."""
        set_column(self, name, value, user_site())

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to hide a leaf behind a Python attribute."""
        if type(self) is DataFrame:
            of = "df" if isinstance(self._expr, Dataset) else "X"
            raise RecordError(
                f"{name!r} cannot be set as an attribute",
                where=user_site(),
                why="a column is added in brackets, and a stored leaf keeps its meaning",
                do=f"add a column of a new name: {of}['new_{name}'] = ...",
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        """Refuse: what is not asked for is not read."""
        raise self._kept(name)

    def __delitem__(self, name: Any) -> None:
        """Refuse: what is not asked for is not read."""
        raise self._kept(name)

    def _kept(self, name: Any) -> RecordError:
        return RecordError(
            f"{name!r} cannot be deleted: what a file holds stays",
            where=user_site(),
            why="nothing is read that is not asked for",
            do="name what you want: X[['pt', 'eta']] has these leaves",
        )

    def __matmul__(self, other: Any) -> Any:
        """Refuse: lists have no matrix product."""
        raise LiteralError("lists have no matrix product", where=user_site(), do="a sum of products is (x * y).Sum()")

    __rmatmul__ = __matmul__

    def __call__(self, *args: Any, **kwargs: Any) -> DataFrame:
        """Give an xAOD leaf that is written as a call, ``p.eta()``."""
        return called_leaf(self, args, kwargs, user_site())

    @checked
    def get(self, name: str, default: Any = REQUIRED, *, as_: str = "") -> DataFrame:
        """Give a leaf, with ``default`` in the files of the dataset that lack it, decided file by file.

        Parameters
        ----------
        name : str
            The leaf or collection.
        default : bool, int, float, str or None
            What the leaf is in files that lack it, in every event and for each object; None is missing. A collection needs none: files that
            lack it have none of its objects, and leaves that are lists themselves are empty lists there.
        as_ : str
            The kind to convert the leaf to, as numpy names it; needed where files hold it as kinds that do not fit together.

        Raises
        ------
        LiteralError
            When there is no default, or the leaf's kind cannot hold it exactly.
        MixedFilesError
            When files hold it as kinds that do not fit together, and ``as_`` does not say which it is to be.
        """
        where = user_site()
        return self._made(leaf_or_default(self, name, default, as_, where))

    @checked
    def map(self, function: Callable[..., Any]) -> DataFrame:
        """Give ``function`` of each element of the outermost collection inside the event.

        Parameters
        ----------
        function : callable
            Gets one element; whatever else it uses is whole, the same collection included.

        Returns
        -------
        DataFrame
            Axes: events, the collection, then those of the function's result.
        """
        return self._made(mapped(self, function, user_site()))

    @checked
    def Where(self, condition: Any) -> Self:  # noqa: N802
        """Give ``self[condition]``."""
        return self[condition]  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> DataFrame:
        """Record a numpy ufunc."""
        return self._made(ufunc_call(ufunc, method, inputs, kwargs, self._table, user_site()))

    def __array_function__(self, func: Any, types: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Record a numpy function."""
        return numpy_function(self, func, args, kwargs, user_site())

    def __awkward_function__(self, func: Any, arrays: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Record an awkward function."""
        return awkward_call(self, func, args, kwargs, user_site())

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: there are no values yet."""
        raise control_flow.no_value(user_site(), "a numpy array", "call make_local(x) first")

    # Arrays that are local already ask for these before they compute with us: without them, awkward takes us for a list of something.
    __dlpack__ = __dlpack_device__ = __arrow_array__ = __array__

    def __hash__(self) -> int:
        """Hash by the expression's key."""
        return hash(self._expr)

    def __format__(self, spec: str) -> str:
        """Give the text of the expression; a number's format needs a value."""
        if spec:
            raise control_flow.no_value(user_site(), f"the format {spec!r}", "call make_local(x) first")
        return repr(self)

    def __copy__(self) -> Self:
        """Give a frame of the same expression."""
        return self._like(self._expr)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Give a frame of the same expression over the same table."""
        return self._like(self._expr)

    def __reduce__(self) -> Any:
        """Refuse: a table and its columns live in this process."""
        raise LiteralError("an expression cannot be pickled", where=user_site(), do="send the function that records it")

    def __dir__(self) -> list[str]:
        """List methods, columns, aliases and leaves, for tab completion."""
        self._table.looked.whole_schema = True
        methods = [n for n in dir(type(self)) if not n.startswith("_")]
        return sorted({*methods, *(n for n in known_names(self._expr, self._table) if n.isidentifier())})

    def __repr__(self) -> str:
        """Show the expression and its type."""
        from hep_flows.expr.text import one_line

        self._table.looked.whole_schema = True
        return f"<{type(self).__name__} {one_line(self._expr)}: {self._expr.type}>"

    def _describe(self) -> str:
        """Give the type, the unit and what the file says about it."""
        from hep_flows.record.members import document_of

        self._table.looked.whole_schema = True
        return document_of(self._expr)


DataFrame.__doc__ = _Doc(DataFrame.__doc__ or "")  # type: ignore[assignment]
