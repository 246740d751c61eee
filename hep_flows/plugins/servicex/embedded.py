"""An endpoint without a server: the server's own code generator, in this process, file by file."""

from __future__ import annotations

import ast
import functools
import logging
import threading
import weakref
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from awkward.contents import ListOffsetArray, NumpyArray
from awkward.index import Index64
from numpy.lib.mixins import NDArrayOperatorsMixin

from hep_flows.in_order import in_order
from hep_flows.plugins.servicex.query import Delivered, EndpointError, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hep_flows.plugins.servicex.query import Watch

    Generated = Callable[[Any], Any]
    Offsets = NDArray[np.int64]
    Axes = tuple[Offsets, ...]

MOST_QUERIES = 64


class EmbeddedServiceX:
    """Runs queries of the dialect ``uproot`` on local and remote files.

    The text of a query becomes Python by `func_adl_uproot`, as on a server. The generated function then runs on arrays of the branches that
    the query reads, and not on a graph of all branches of the file: a wide file costs seconds otherwise. Its result stays in memory.
    """

    name = "embedded ServiceX"

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._lock = threading.Lock()
        self._generated: dict[str, Generated] = {}
        self._trees: OpenTrees = OpenTrees()

    def run(self, query: Query, files: Sequence[str], scratch: str, watch: Watch) -> Iterator[Delivered | EndpointError]:
        """Give the result of each file in turn.

        Raises
        ------
        EndpointError
            When the query is of another dialect, or no program can be made of it.
        """
        if query.dialect != "uproot":
            raise EndpointError(f"{self.name} runs the dialect uproot, not {query.dialect}")
        generated = self._function(query.text)

        def work(file: str, _unwanted: Callable[[], bool]) -> Delivered | EndpointError:
            if watch.cancelled():
                raise EndpointError("the query was cancelled")
            with watch.slot:
                return self._on_file(generated, query, file)

        with closing(in_order(work, files, watch.workers)) as results:
            for number, result in enumerate(results):
                yield result
                watch.progress(number + 1, 0, len(files))

    def _on_file(self, generated: Generated, query: Query, file: str) -> Delivered | EndpointError:

        try:
            columns = columns_of(generated, self._trees.read(file, query.tree, query.reads), query.columns)
        except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            return EndpointError(f"{type(error).__name__}: {error}", file=file)
        return Delivered(file, "", columns=columns)

    def _function(self, text: str) -> Generated:
        """Give the generated function; a query that was run before is not parsed again."""
        with self._lock:
            found = self._generated.get(text)
            if found is None:
                try:
                    found = generated_function(text)
                except (SyntaxError, TypeError, NameError, ValueError, NotImplementedError) as error:
                    raise EndpointError(f"no program can be made of the query: {error}") from error
                while len(self._generated) >= MOST_QUERIES:
                    self._generated.pop(next(iter(self._generated)))
                self._generated[text] = found
            return found


# Run what func_adl_uproot generates on arrays instead of a graph of delayed ones -------------------------------------------------
#
# The generated function is not changed, but for the three things that have to do with delayed arrays: the modules that it imports are given
# to it, the call that opens files gives the events that were read, and nothing is left to compute at the end.

_FUNCTION = "run_query"


def generated_source(text: str) -> str:
    """Give the Python that func_adl_uproot makes of a query.

    Raises
    ------
    ValueError
        When the text holds no query.
    """
    import qastle
    from func_adl_uproot import generate_python_source

    body = qastle.text_ast_to_python_ast(text).body
    if len(body) != 1:
        raise ValueError("a query is one expression")
    source: str = generate_python_source(body[0].value, _FUNCTION)
    return source


def generated_function(text: str) -> Callable[..., Any]:
    """Give a function from the events of a file, and what stands in the place of awkward's functions, to the result of a query.

    Raises
    ------
    ValueError
        When what is generated has another form than it had.
    """
    tree = _Eager().visit(ast.parse(generated_source(text)))
    code = compile(ast.fix_missing_locations(tree), "<func_adl_uproot>", "exec")

    def function(events: Any, functions: Any = None) -> Any:
        names = _modules(events, functions)
        # The text was generated from a query of our own a moment ago, and was in no file.
        exec(code, names)  # noqa: S102
        return names[_FUNCTION]("events")

    return function


class _Eager(ast.NodeTransformer):
    """Leaves out what imports modules, and what computes delayed arrays."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name == _FUNCTION:
            body = [self.visit(s) for s in node.body if not isinstance(s, ast.Import | ast.FunctionDef) and not _registers(s)]
            node.body = [ast.parse("_remove_not_interpretable = None").body[0], *body]
        return node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "compute":
            raise ValueError("func_adl_uproot generates functions that end in another way than they did")
        return ast.Return(call.func.value)


def _registers(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and ast.unparse(statement) == "vector.register_awkward()"


def _modules(events: Any, functions: Any) -> dict[str, Any]:
    """Give what the generated function imports: arrays in the place of delayed arrays, and the events in the place of files."""
    import awkward as ak
    import numpy as np

    return {
        "functools": functools,
        "logging": logging,
        "np": np,
        "dak": functions or ak,
        "uproot": SimpleNamespace(dask=lambda files, filter_branch: events),  # noqa: ARG005 - as it is called
    }


def evaluated(function: Callable[..., Any], events: Any) -> Any:
    """Give the result of a generated function; numbers that leave their range are no news, as in the language."""
    import numpy as np

    with np.errstate(all="ignore"):
        return function(events)


def columns_of(function: Callable[..., Any], events: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Give the columns of the result of a generated function: by flat arrays, and by awkward arrays what these are not made for."""
    try:
        return flat_columns(function, events, names)
    except NotFlatError:
        found = evaluated(function, events)
        return {n: found[n] for n in names}


def flat_columns(function: Callable[..., Any], events: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Give the columns of the result by flat arrays alone.

    Raises
    ------
    NotFlatError
        When the events hold, or the query needs, something that these are not made for.
    """
    import numpy as np

    with np.errstate(all="ignore"):
        found = function(from_awkward(events), flat_functions())
        return {n: to_awkward(found[n]) for n in names}


# Nested lists as flat arrays: what generated queries run on in this process ------------------------------------------------------
#
# A query that filters objects and then asks for one of their leaves makes awkward build every leaf of the objects anew, and its general
# selections and broadcasts look at each list. Here a list is its offsets, a number is at its place in one flat array, and the leaf of an
# object is computed when it is asked for.


class NotFlatError(Exception):
    """Something that flat arrays are not made for; awkward arrays are."""


class Array(NDArrayOperatorsMixin):
    """A value for each event, or for each element of lists in the events.

    Attributes end with an underscore, since all other names may be those of leaves.

    Parameters
    ----------
    axes : tuple of arrays
        The offsets of the lists, outermost first; the elements of one are the lists of the next.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes_ = axes

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Items:
        if method != "__call__" or kwargs:
            raise NotFlatError(f"{ufunc.__name__}.{method}")
        axes, values = together(inputs)
        return Items(axes, ufunc(*values))

    def __getitem__(self, key: Any) -> Any:
        mask = _mask(key)
        level = len(key.axes_)
        check_same(self.axes_[:level], key.axes_)
        kept = np.flatnonzero(mask)
        if not level:
            return elements(self, 0, kept, ())
        n_before = np.zeros(len(mask) + 1, dtype=np.int64)
        np.cumsum(mask, out=n_before[1:])
        return elements(self, level, kept, (*key.axes_[:-1], n_before[key.axes_[-1]]))


class Items(Array):
    """Numbers; ``data`` has all of them in order."""

    def __init__(self, axes: Axes, data: Any) -> None:
        super().__init__(axes)
        self.data_ = data


class Objects(Array):
    """Objects, or whole events; ``members`` gives each leaf when it is asked for."""

    def __init__(self, axes: Axes, members: Mapping[str, Callable[[], Array]]) -> None:
        super().__init__(axes)
        self.members_ = members
        self.made_: dict[str, Array] = {}

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Items:
        raise NotFlatError("objects are no numbers")

    def __getitem__(self, key: Any) -> Any:
        return self.member_(key) if isinstance(key, str) else super().__getitem__(key)

    def __getattr__(self, name: str) -> Array:
        return self.member_(name)

    def member_(self, name: str) -> Array:
        """Give a leaf of each object, once computed."""
        if name not in self.made_:
            if name not in self.members_:
                raise NotFlatError(f"no member {name}")
            self.made_[name] = self.members_[name]()
        return self.made_[name]


def _mask(key: Any) -> NDArray[np.bool_]:
    data = key.data_ if isinstance(key, Items) else None
    if isinstance(data, ak.Array) and not ak.any(ak.is_none(data)):
        data = np.asarray(ak.drop_none(data).layout.data)
    if not isinstance(data, np.ndarray) or data.dtype != np.bool_:
        raise NotFlatError("only masks without missing values select")
    return data


def elements(value: Array, level: int, index: NDArray[np.int64], axes: Axes) -> Array:
    """Give some elements of the lists at a level, in their order, as the elements of other lists.

    Parameters
    ----------
    value : Array
        Whose.
    level : int
        How many lists are around an element; at 0 it is an event.
    index : array of int
        The numbers of the elements.
    axes : tuple of arrays
        The offsets of the lists around them.
    """
    for offsets in value.axes_[level:]:
        starts = offsets[:-1].take(index)
        counts = offsets[1:].take(index) - starts
        inner = offsets_of(counts)
        index = np.arange(inner[-1]) + np.repeat(starts - inner[:-1], counts)
        axes = (*axes, inner)
    if isinstance(value, Items):
        data = value.data_
        return Items(axes, data.take(index) if isinstance(data, np.ndarray) else data[index])
    assert isinstance(value, Objects)
    objects = value
    depth = len(objects.axes_)
    return Objects(axes, {n: lambda n=n: elements(objects.member_(n), depth, index, axes) for n in objects.members_})  # type: ignore[misc]


def together(values: Sequence[Any]) -> tuple[Axes, list[Any]]:
    """Give the deepest axes of some values, and the flat data of each for these axes; plain numbers are left as they are.

    Raises
    ------
    NotFlatError
        When lists have different lengths.
    """
    deepest: Axes = max([v.axes_ for v in values if isinstance(v, Array)], key=len, default=())
    spreaded = [spread(v, deepest) if isinstance(v, Array) else v for v in values]
    if not all([isinstance(v, Items | bool | int | float | np.generic) for v in spreaded]):
        raise NotFlatError("only numbers are computed with")
    return deepest, [v.data_ if isinstance(v, Items) else v for v in spreaded]


def spread(value: Array, axes: Axes) -> Array:
    """Repeat each value for all elements of the lists that it stands beside."""
    level = len(value.axes_)
    check_same(value.axes_, axes[:level])
    if level == len(axes):
        return value
    index = np.arange(length(value, level))
    for offsets in axes[level:]:
        if len(offsets) != len(index) + 1:
            raise NotFlatError("another number of lists")
        index = np.repeat(index, np.diff(offsets))
    return elements(value, level, index, axes)


def length(value: Array, level: int) -> int:
    """Count the elements at a level: the events at 0."""
    if len(value.axes_) > level:
        return len(value.axes_[level]) - 1
    if isinstance(value, Items):
        return len(value.data_)
    if level:
        return int(value.axes_[level - 1][-1])
    assert isinstance(value, Objects)
    return length(value.member_(next(iter(value.members_))), 0)


def offsets_of(counts: NDArray[Any]) -> Offsets:
    """Give the offsets of lists of these lengths."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def check_same(first: Axes, second: Axes) -> None:
    """Make sure that values stand in the same lists.

    Raises
    ------
    NotFlatError
        When they do not: awkward has an error for it.
    """
    same = len(first) == len(second) and all([a is b or np.array_equal(a, b) for a, b in zip(first, second, strict=True)])
    if not same:
        raise NotFlatError("lists of other lengths")


def from_awkward(array: ak.Array) -> Array:
    """Give lists of numbers and of records as flat arrays.

    Raises
    ------
    NotFlatError
        When there is anything else.
    """
    return _from_layout(array.layout, ())


def _from_layout(layout: Any, axes: Axes) -> Array:
    if layout.is_record and not layout.is_tuple:
        contents = {n: layout.content(n) for n in layout.fields}
        return Objects(axes, {n: lambda c=c: _from_layout(c, axes) for n, c in contents.items()})  # type: ignore[misc]
    if layout.is_list and not layout.is_regular and layout.parameter("__array__") is None:
        lists = layout.to_ListOffsetArray64(start_at_zero=True)
        offsets = np.asarray(lists.offsets.data)
        return _from_layout(lists.content[: int(offsets[-1])], (*axes, offsets))
    if layout.is_numpy and layout.purelist_depth == 1 and layout.parameter("__array__") is None:
        return Items(axes, np.asarray(layout.data))
    raise NotFlatError(f"{layout.form.type}")


def to_awkward(value: Array) -> ak.Array:
    """Give numbers as an awkward array.

    Raises
    ------
    NotFlatError
        When it is an array of objects.
    """
    if not isinstance(value, Items):
        raise NotFlatError("objects are delivered leaf by leaf")
    layout = NumpyArray(value.data_) if isinstance(value.data_, np.ndarray) else value.data_.layout
    for offsets in reversed(value.axes_):
        layout = ListOffsetArray(Index64(offsets), layout)
    return ak.Array(layout)


# The functions of arrays that generated queries call, on flat arrays instead of awkward's ----------------------------------------


def flat_functions() -> SimpleNamespace:
    """Give what stands in the place of awkward: each function has the name and the parameters of awkward's."""
    reducers = {name: _reducer(name) for name in ("sum", "min", "max", "any", "all")}
    return SimpleNamespace(Array=Array, num=_num, where=_where, zip=_zip, cartesian=_cartesian, unzip=_unzip, **reducers)


def _num(array: Array, axis: int) -> Items:
    if not 0 < axis <= len(array.axes_):
        raise NotFlatError(f"no axis {axis}")
    return Items(array.axes_[: axis - 1], np.diff(array.axes_[axis - 1]))


def _where(condition: Any, first: Any, second: Any) -> Items:
    if not isinstance(condition, Array):
        raise NotFlatError("a choice that is the same for all")
    axes, values = together((condition, first, second))
    # The common type of two values is awkward's to say, on flat arrays as on others.
    return Items(axes, _numbers(ak.where(*[ak.Array(NumpyArray(v)) if isinstance(v, np.ndarray) else v for v in values])))


def _zip(arrays: Mapping[str, Any], depth_limit: int | None = None) -> Objects:
    """Put values together as the members of objects, below so many axes as the limit says."""
    if not all([isinstance(a, Array) for a in arrays.values()]) or (depth_limit is None and len(arrays) > 1):
        raise NotFlatError("values of unknown depth")
    level = len(next(iter(arrays.values())).axes_) if depth_limit is None else depth_limit - 1
    axes = next((a.axes_[:level] for a in arrays.values() if len(a.axes_) >= level), None)
    if axes is None:
        raise NotFlatError(f"no lists at depth {depth_limit}")
    members = {name: _beside(array, axes) for name, array in arrays.items()}
    if len({length(m, level) for m in members.values()}) > 1:
        raise NotFlatError("values of different numbers of events")
    return Objects(axes, {n: lambda m=m: m for n, m in members.items()})  # type: ignore[misc]


def _beside(array: Array, axes: tuple[Any, ...]) -> Array:
    if len(array.axes_) < len(axes):
        return spread(array, axes)
    check_same(array.axes_[: len(axes)], axes)
    return array


def _cartesian(arrays: Sequence[Array], *, axis: int, nested: bool) -> tuple[Array, Array]:
    """Give the pairs of the elements of two lists, in a list for each element of the first: its value, and the other's."""
    if not nested or len(arrays) != 2 or not 0 < axis <= min([len(a.axes_) for a in arrays]):
        raise NotFlatError("pairs of other lists")
    left, right = arrays
    check_same(left.axes_[: axis - 1], right.axes_[: axis - 1])
    lefts, rights = left.axes_[axis - 1], right.axes_[axis - 1]
    if len(lefts) != len(rights):
        raise NotFlatError("pairs of lists of different numbers of events")
    n_lefts = np.diff(lefts)
    n_pairs = np.repeat(np.diff(rights), n_lefts)
    pairs = offsets_of(n_pairs)
    first = np.repeat(np.arange(lefts[-1]), n_pairs)
    second = np.arange(pairs[-1]) + np.repeat(np.repeat(rights[:-1], n_lefts) - pairs[:-1], n_pairs)
    axes = (*left.axes_[:axis], pairs)
    return elements(left, axis, first, axes), elements(right, axis, second, axes)


def _unzip(pairs: tuple[Array, Array]) -> tuple[Array, Array]:
    return pairs


def _reducer(name: str) -> Callable[..., Items]:
    def reduced(array: Any, axis: int) -> Items:
        if not isinstance(array, Items) or axis != len(array.axes_) or not isinstance(array.data_, np.ndarray):
            raise NotFlatError(f"{name} of something else than lists of numbers")
        lists = ak.Array(ListOffsetArray(Index64(array.axes_[-1]), NumpyArray(array.data_)))
        return Items(array.axes_[:-1], _numbers(getattr(ak, name)(lists, axis=1)))

    return reduced


def _numbers(array: ak.Array) -> Any:
    """Give a numpy array where no item may be missing."""
    return np.asarray(array.layout.data) if array.layout.is_numpy else array


# Open trees, kept for the next query: opening a wide file costs more than reading a few of its branches --------------------------

_Key = tuple[str, str, tuple[int, ...]]


class OpenTrees:
    """A few open trees. A tree is lent to one thread at a time."""

    def __init__(self, limit: int = 8) -> None:
        """Start with none; at most ``limit`` unused ones are kept."""
        self._limit = limit
        self._unused: list[tuple[_Key, Any, dict[str, Any]]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._unused)

    def read(self, file: str, tree: str, names: Sequence[str]) -> Any:
        """Give branches of all events as one record, by the names that they have in queries.

        Raises
        ------
        KeyError
            When the file has no such tree or branch.
        OSError
            When it cannot be opened.
        """
        import awkward as ak

        with self._lent(file, tree) as branches:
            missing = [n for n in names if n not in branches]
            if missing:
                raise KeyError(f"{file} has no branch {missing[0]!r}")
            arrays = {n.rsplit("/", 1)[-1]: branches[n].array(library="ak", array_cache=None) for n in names}
        return ak.Array(ak.contents.RecordArray([a.layout for a in arrays.values()], list(arrays)))

    @contextmanager
    def _lent(self, file: str, tree: str) -> Iterator[dict[str, Any]]:
        key = (file, tree, _stamp(file))
        opened, branches = self._taken(key) or _opened(file, tree)
        try:
            yield branches
            if _stamp(file) != key[2]:
                raise OSError(f"{file} changed while it was read")  # noqa: TRY301 - the file is closed below
        except BaseException:
            opened.close()
            raise
        with self._lock:
            self._unused.append((key, opened, branches))
            n_surplus = max(0, len(self._unused) - self._limit)
            surplus = self._unused[:n_surplus]
            del self._unused[:n_surplus]
        _close_all(surplus)

    def _taken(self, key: _Key) -> tuple[Any, dict[str, Any]] | None:
        with self._lock:
            for i in reversed(range(len(self._unused))):
                if self._unused[i][0] == key:
                    _, opened, branches = self._unused.pop(i)
                    return opened, branches
        return None


def _opened(file: str, tree: str) -> tuple[Any, dict[str, Any]]:
    import uproot
    from uproot.source.file import MultithreadedFileSource

    # As a mapping, or uproot would take what follows a colon in the path for the name of an object. Local files are read without the
    # event loop that uproot runs by default: it costs as much as a small branch.
    options = {} if "://" in file else {"handler": MultithreadedFileSource}
    opened = uproot.open({file: None}, **options)
    try:
        found = opened[tree]
        if not hasattr(found, "branches"):
            raise TypeError(f"{file}: {tree} is an RNTuple, and the code generator reads TTrees")  # noqa: TRY301 - the file is closed below
        return opened, dict(_branches(found))
    except BaseException:
        opened.close()
        raise


def _branches(tree: Any) -> Iterator[tuple[str, Any]]:
    """Give every branch by its whole path."""
    stack = [(branch.name, branch) for branch in reversed(tree.branches)]
    while stack:
        path, branch = stack.pop()
        yield path, branch
        stack.extend([(f"{path}/{b.name}", b) for b in reversed(branch.branches)])


def _stamp(file: str) -> tuple[int, ...]:
    """Give what the file system changes when a local file is written again; nothing for others."""
    if "://" in file or not Path(file).exists():
        return ()
    found = Path(file).stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _close_all(trees: list[tuple[_Key, Any, dict[str, Any]]]) -> None:
    for _, opened, _ in trees:
        opened.close()
