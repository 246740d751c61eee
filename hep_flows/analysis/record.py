"""Record an analysis over one dataset, and say for which others the recording holds."""

from __future__ import annotations

import functools
import linecache
import os
import re
import sys
import traceback
import types
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import AnalysisError, HepFlowsError, SourceError, SourceLine, with_article
from hep_flows.execute.joint import hidden, together
from hep_flows.expr.nodes import Dataset
from hep_flows.expr.types import Histogram, Record
from hep_flows.expr.walk import postorder
from hep_flows.planning.normalise import normalise
from hep_flows.planning.plan import instantiate
from hep_flows.record.aliases import alias_scope
from hep_flows.record.dataframe import DataFrame, frame_of
from hep_flows.record.histogram import HistogramRequest, filled_with
from hep_flows.record.members import leaf_of
from hep_flows.record.parameters import fixed, parameters
from hep_flows.record.table import metadata_key
from hep_flows.record.variations import Requested, asked
from hep_flows.tables import other_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Expr
    from hep_flows.expr.types import Type
    from hep_flows.filesets import Described
    from hep_flows.record.histogram import Filled
    from hep_flows.record.table import Looked
    from hep_flows.record.variations import Asked

# The user's line of an error that is none of hep_flows ---------------------------------------------------------------------------

_PACKAGE = str(Path(__file__).parents[1])


def line_in(error: BaseException, folder: str = "") -> SourceLine | None:
    """Give the innermost line of a folder that an error went through; of the user's code at all where no folder is named."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_PACKAGE, "<"))]
    own = [f for f in frames if f.filename.startswith(folder)] if folder else [f for f in frames if not _is_library(f.filename)]
    if not (own or frames):
        return None
    last = (own or frames)[-1]
    one_line = last.end_lineno in (None, last.lineno)
    return SourceLine(last.filename, last.lineno or 1, last.colno or 0, (last.end_colno or 0) if one_line else 0)


def _is_library(file: str) -> bool:
    parts = Path(file).parts
    return "site-packages" in parts or f"python{_version()}" in parts


def _version() -> str:
    import sys

    return f"{sys.version_info.major}.{sys.version_info.minor}"


_NAME = re.compile(r"^\w[\w.+-]*$")


@dataclass(frozen=True, slots=True)
class Recording:
    """What an analysis gives for one dataset.

    Parameters
    ----------
    made_for : Described
        The dataset.
    exprs : mapping of str to Expr
        By name, as they were recorded; empty where that failed. What is made of several expressions has one for each part, ``name/part``.
    normal : mapping of str to Expr
        The same in their normal form.
    joint : mapping of str to Asked
        The results that are made of several expressions: what varies, and cutflows.
    error : HepFlowsError, optional
        Why it failed.
    looked : Looked
        What was looked at on the way.
    keys : mapping of str to bytes
        What stands for each metadata that was read.
    sums : mapping of str to Expr
        By variation, its own sum of the weights of all generated events.
    schemas : dict
        By schemas, of the events and of the other trees, that were compared with: whether the recording holds for it.
    """

    made_for: Described
    exprs: Mapping[str, Expr]
    normal: Mapping[str, Expr]
    joint: Mapping[str, Asked]
    error: HepFlowsError | None
    looked: Looked
    keys: Mapping[str, bytes]
    sums: Mapping[str, Expr]
    schemas: dict[tuple[Record, ...], bool]

    @property
    def read(self) -> frozenset[str]:
        """The names of the metadata that the expressions may depend on: what was read as a value, and the parameters in them."""
        return frozenset(self.keys) | frozenset(parameters([*self.exprs.values(), *self.sums.values()]))

    @property
    def weights(self) -> dict[str, frozenset[str]]:
        """By name, the numbers of the metadata that a result has; ``sumw`` where it has a total of another tree of the files.

        What was read as a plain number may be in any of them.
        """
        read = {k for k in self.keys if not isinstance(self.made_for.entry.metadata.get(k), str | bool)}
        found: dict[str, set[str]] = {}
        for name, expr in self.exprs.items():
            has_sums = any(isinstance(n, Dataset) and n != self.made_for.table for n in postorder(expr))
            found.setdefault(name.partition("/")[0], set()).update(read, parameters([expr]), {"sumw"} if has_sums else ())
        return {name: frozenset(used) for name, used in found.items()}

    @property
    def filled(self) -> dict[str, Filled]:
        """By name of a histogram, what it is filled with."""
        found: dict[str, Filled] = {}
        for name, expr in self.exprs.items():
            if isinstance(expr.type.item, Histogram):
                found.setdefault(name.partition("/")[0], filled_with(expr))
        return found

    def over(self, other: Described) -> dict[str, Expr]:
        """Give the normal form of the expressions over another dataset.

        Raises
        ------
        HepFlowsError
            When they do not fit it.
        """
        values = other.entry.metadata
        tables = self._tables(other)
        assert tables is not None
        if _schema(other.table) is _schema(self.made_for.table):
            # Types decide what is normal, and they are the same.
            return dict(zip(self.normal, fixed(instantiate(tuple(self.normal.values()), tables), values), strict=True))
        return dict(zip(self.exprs, normalise(fixed(instantiate(tuple(self.exprs.values()), tables), values)), strict=True))

    def sums_over(self, other: Described) -> dict[str, Expr]:
        """Give the sums of weights of variations over another dataset."""
        tables = self._tables(other)
        assert tables is not None
        return dict(zip(self.sums, fixed(instantiate(tuple(self.sums.values()), tables), other.entry.metadata), strict=True))

    def holds_for(self, other: Described) -> bool:
        """Say whether recording over another dataset would give the same; of one that failed nothing is known."""
        if self.error is not None:
            return False
        values = other.entry.metadata
        if self.looked.values or any(metadata_key(values, k) != v for k, v in self.keys.items()):
            return False
        if any(type(values.get(k)) is not type(v) for k, v in self.looked.parameters.items()):
            return False
        if self.looked.all_metadata and list(values) != list(self.made_for.entry.metadata):
            return False
        tables = self._tables(other)
        if tables is None:
            return False
        schemas = tuple([_schema(t) for t in tables.values()])
        if schemas not in self.schemas:
            self.schemas[schemas] = _same_names(self.looked, self.made_for.table, other.table, tables)
        return self.schemas[schemas]

    def _tables(self, other: Described) -> dict[bytes, Dataset] | None:
        """Give what stands for the events, and for the other trees that were opened, in another dataset; None where it has others."""
        tables = {self.made_for.table.key: other.table}
        for name, tree in self.looked.trees.items():
            try:
                there = other_tree(other.table, name)
            except SourceError:
                there = None
            if (there is None) != (tree is None):
                return None
            if tree is not None and there is not None:
                tables[tree.key] = there
        return tables


def record(analysis: Analysis, dataset: Described) -> Recording:
    """Give what an analysis gives for a dataset, or the error that it ends with."""
    values = dataset.entry.metadata
    frame = frame_of(dataset.table, values)
    frame._table.open_tree = other_tree  # noqa: SLF001
    looked = frame._table.looked  # noqa: SLF001
    looked.of_analysis = True
    exprs: Mapping[str, Expr] = {}
    normal: Mapping[str, Expr] = {}
    joint: Mapping[str, Asked] = {}
    failure: HepFlowsError | None = None
    try:
        exprs, joint = _recorded(analysis, frame)
        normal = dict(zip(exprs, normalise(exprs.values()), strict=True))
    except HepFlowsError as error:
        failure = error
    looked.closed = True
    read = list(values) if looked.all_metadata else sorted(looked.keys)
    keys = {k: metadata_key(values, k) for k in read}
    schemas = {tuple([_schema(t) for t in (dataset.table, *_opened(looked))]): True}
    return Recording(dataset, exprs, normal, joint, failure, looked, keys, frame._table.sums, schemas)  # noqa: SLF001


def _recorded(analysis: Analysis, frame: DataFrame) -> tuple[dict[str, Expr], dict[str, Asked]]:
    try:
        with alias_scope():  # what it defines for one dataset is not there for the next
            given = analysis.function(frame)
    except HepFlowsError:
        raise
    except (Exception, SystemExit) as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        where = line_in(error, analysis.folder) or analysis.where
        what = f"{analysis.title} fails on the dataset {frame._table.name!r}: {type(error).__name__}: {said}"  # noqa: SLF001
        raise AnalysisError(what, where=where) from error
    return _checked(analysis, given, [frame._table.dataset, *_opened(frame._table.looked)])  # noqa: SLF001


def _checked(analysis: Analysis, given: Any, tables: Sequence[Dataset]) -> tuple[dict[str, Expr], dict[str, Asked]]:
    do = "end it with: return {'pt': events.Jet.pt}"
    if not isinstance(given, dict):
        why = "did it forget its return?" if given is None else ""
        raise AnalysisError(f"{analysis.title} gives {_kind(given)}, not a dict", where=analysis.where, why=why, do=do)
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.match(name):
            why = "results become files: a name has letters, digits, _, -, + and dots, and begins with none of the last three"
            raise AnalysisError(f"{analysis.title} gives {name!r}, which is no name", where=analysis.where, why=why, do=do)
        if not isinstance(value, DataFrame | HistogramRequest | Requested):
            raise AnalysisError(
                f"{analysis.title} gives {_kind(value)} as {name!r}, not an expression",
                where=analysis.where,
                why="results are expressions on the events, and histograms of them, one for each name",
                do=_advice(value),
            )
    exprs: dict[str, Expr] = {}
    joint: dict[str, Asked] = {}
    for name, value in given.items():
        one = value._asked if isinstance(value, Requested) else asked(value._expr)  # noqa: SLF001
        exprs |= {part_of(name, part): expr for part, expr in one.parts.items()}
        if one.becomes != "itself" or one.blinded:
            joint[name] = one
    for name, expr in exprs.items():
        if any(isinstance(n, Dataset) and n not in tables for n in postorder(expr)):
            raise AnalysisError(
                f"{name!r} is not over the events that {analysis.title} was given",
                where=expr.where or analysis.where,
                why="it is over a table of its own, so it would be the same for every dataset",
                do="use the argument of the function",
            )
    return exprs, joint


def part_of(name: str, part: str) -> str:
    """Give the name of one of the expressions that a result is made of."""
    return f"{name}/{part}" if part else name


def _kind(value: Any) -> str:
    return "nothing" if value is None else with_article(value)


def _advice(value: Any) -> str:
    from hep_flows.record.histogram import NewHistogram

    if isinstance(value, NewHistogram):
        return "end the histogram with a storage, .Double() or .Weight(), and fill it"
    if isinstance(value, dict | list | tuple):
        return "give each of its parts a name of its own"
    return "call it, and give what it returns" if callable(value) else ""


def _schema(table: Dataset) -> Record:
    assert isinstance(table.type.item, Record)
    return table.type.item


def _opened(looked: Looked) -> list[Dataset]:
    return [t for t in looked.trees.values() if t is not None]


def _same_names(looked: Looked, made_for: Dataset, other: Dataset, tables: Mapping[bytes, Dataset]) -> bool:
    """Say whether every name that was asked for means the same in the files of another dataset."""
    if made_for.kind != other.kind or made_for.tree != other.tree or looked.whole_schema:
        return False
    table = frame_of(other)._table  # noqa: SLF001
    for expr in looked.gets.values():
        try:
            (there,) = instantiate([expr], tables)
        except HepFlowsError:
            return False
        if _form(there.type) != _form(expr.type):
            return False
    for (_, name), (of, leaf) in looked.names.items():
        try:
            (there,) = instantiate([of], tables)
            found = leaf_of(there, name, table, None)
        except HepFlowsError:
            return False
        if (found is None) != (leaf is None):
            return False
        if found is not None and leaf is not None and _form(found.type) != _form(leaf.type):
            return False
    return True


def _form(t: Type) -> tuple[object, ...]:
    """Give what recording may depend on: the kind of the values and their levels. What a collection has is asked for by name."""
    item = ("record", t.item.model) if isinstance(t.item, Record) else t.item
    return item, tuple([a.name for a in t.axes]), t.optional, t.unit


# The expressions of every dataset: the analysis is recorded once, and again only for datasets that the recording does not hold for ---


@dataclass(frozen=True, slots=True)
class Expressions:
    """What an analysis asks of some datasets.

    Parameters
    ----------
    by_dataset : mapping of str to mapping of str to Expr
        The expressions by name, in their normal form.
    joint : mapping of str to mapping of str to Asked
        By dataset, the results that are made of several of them.
    failed : mapping of str to HepFlowsError
        Why there are none for a dataset.
    recordings : int
        How often the analysis was recorded.
    weights : mapping
        By dataset and name, the numbers of the metadata that a result has, and ``sumw`` where it has a sum of weights of the files.
    sums : mapping
        By dataset and variation, its own sum of weights.
    read : mapping
        By dataset, the names of the metadata that its results may depend on.
    filled : mapping of str to Filled
        By name of a histogram, what it is filled with.
    """

    by_dataset: Mapping[str, Mapping[str, Expr]]
    joint: Mapping[str, Mapping[str, Asked]]
    failed: Mapping[str, HepFlowsError]
    recordings: int
    weights: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    sums: Mapping[str, Mapping[str, Expr]] = field(default_factory=dict)
    read: Mapping[str, frozenset[str]] = field(default_factory=dict)
    filled: Mapping[str, Filled] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the analysis gives for any dataset."""
        return tuple(dict.fromkeys([n.partition("/")[0] for exprs in self.by_dataset.values() for n in exprs]))

    def joined(self, dataset: str, values: Mapping[str, Any], *, shown: bool) -> dict[str, Any]:
        """Give the values of a dataset by the names that the analysis gave, those of several parts put together.

        Of histograms that are blinded, everything is ``shown``, or what is not blinded.
        """
        found: dict[str, Any] = {}
        for name, value in values.items():
            whole = name.partition("/")[0]
            one = self.joint.get(dataset, {}).get(whole)
            if one is None:
                found[name] = value
            elif whole not in found:
                made = together(one, {part: values[part_of(whole, part)] for part in one.parts})
                found[whole] = made if shown else hidden(made, one.blinded)
        return found


def expressions(analysis: Analysis, datasets: Iterable[Described], *, keep_going: bool = True) -> Expressions:
    """Give the expressions of an analysis for each dataset.

    Parameters
    ----------
    analysis : Analysis
        What is recorded.
    datasets : iterable of Described
        The datasets.
    keep_going : bool
        Whether a dataset for which it fails leaves the others; else its error comes out.

    Raises
    ------
    HepFlowsError
        When it fails for every dataset: the error of the first.
    """
    recordings: list[Recording] = []
    found: dict[str, Mapping[str, Expr]] = {}
    joint: dict[str, Mapping[str, Asked]] = {}
    weights: dict[str, Mapping[str, frozenset[str]]] = {}
    sums: dict[str, Mapping[str, Expr]] = {}
    read: dict[str, frozenset[str]] = {}
    failed: dict[str, HepFlowsError] = {}
    filled: dict[str, Filled] = {}
    for dataset in datasets:
        name = dataset.entry.name
        again = _again(recordings, dataset)
        if again is None:
            again = record(analysis, dataset), {}
            recordings.append(again[0])
            if again[0].error is not None:
                if not keep_going:
                    raise again[0].error
                failed[name] = again[0].error
                continue
            again = again[0], dict(zip(again[0].normal, fixed(again[0].normal.values(), dataset.entry.metadata), strict=True))
        one, found[name] = again
        joint[name], weights[name], read[name] = one.joint, one.weights, one.read
        sums[name] = one.sums_over(dataset)
        filled = one.filled | filled
    if failed and not found:
        raise next(iter(failed.values()))
    return Expressions(found, joint, failed, len(recordings), weights, sums, read, filled)


def _again(recordings: Iterable[Recording], dataset: Described) -> tuple[Recording, Mapping[str, Expr]] | None:
    """Give a recording that holds for a dataset, and its expressions over the table of that; None when there is none."""
    for one in recordings:
        if not one.holds_for(dataset):
            continue
        try:
            return one, one.over(dataset)
        except HepFlowsError:  # recording it anew tells better what is wrong, if anything is
            continue
    return None


# An analysis: a function of events that gives named expressions, alone or in a file ----------------------------------------------

FUNCTION = "analysis"
_FORM = "an analysis file has: def analysis(events): return {'name': expression}"


@dataclass(frozen=True, slots=True)
class Analysis:
    """A function to record.

    Parameters
    ----------
    function : callable
        Gets the events of a dataset.
    title : str
        How it is called in messages.
    where : SourceLine, optional
        Where it is defined.
    folder : str
        The folder of its file; empty for a function.
    names : mapping
        What its file defines; empty for a function.
    """

    function: Callable[[Any], Any]
    title: str
    where: Where
    folder: str
    names: Mapping[str, Any]


@contextmanager
def loaded(analysis: Any) -> Iterator[Analysis]:
    """Give an analysis; inside the ``with`` block the folder of its file can be imported from.

    Parameters
    ----------
    analysis : callable, str or Path
        The function, or a file that defines ``analysis``.

    Raises
    ------
    AnalysisError
        When the file is missing or fails, or has no such function.
    """
    if callable(analysis):
        yield Analysis(analysis, getattr(analysis, "__name__", FUNCTION), _defined_at(analysis), "", {})
        return
    if not isinstance(analysis, str | os.PathLike):
        raise AnalysisError(f"an analysis is a function or a file, not {with_article(analysis)}", do=_FORM)
    path = Path(analysis).expanduser().absolute()
    with _importable(path.parent):
        names = _imported(path)
        yield Analysis(_function(names, path), path.name, _defined_at(names[FUNCTION]), str(path.parent), names)


class _FromSource(SourceFileLoader):
    """Compiles a file whenever it is imported: what Python keeps of an earlier time notices changes by the second only."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _imported(path: Path) -> dict[str, Any]:
    """Import the file, and give what it defines."""
    linecache.checkcache(str(path))
    name = f"_analysis_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    loader = _FromSource(name, str(path))
    module = types.ModuleType(name)
    module.__file__ = str(path)
    # It is known to Python while it runs, since dataclasses look their module up, and not afterwards: other processes cannot import it.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except HepFlowsError:
        raise
    except SyntaxError as error:
        line = SourceLine(error.filename or str(path), error.lineno or 1, max(0, (error.offset or 1) - 1))
        raise AnalysisError(f"{path.name} is no Python: {error.msg}", where=line) from None
    except (Exception, SystemExit) as error:  # a script that ends itself has done nothing of what was asked for
        where = line_in(error, str(path.parent))
        if where is None and isinstance(error, OSError | ValueError):
            raise AnalysisError(f"the analysis {path} cannot be read", why=str(error), do=_FORM) from None
        raise AnalysisError(f"{path.name} fails when it is imported: {type(error).__name__}: {error}", where=where) from error
    finally:
        del sys.modules[name]
    return module.__dict__


def _function(names: Mapping[str, Any], path: Path) -> Callable[[Any], Any]:
    function = names.get(FUNCTION)
    if callable(function):
        return function  # type: ignore[no-any-return]
    where = SourceLine(str(path), 1)
    if function is None:
        own = [n for n, v in names.items() if isinstance(v, types.FunctionType) and v.__code__.co_filename == str(path)]
        why = f"its functions are {', '.join(own)}" if own else "it defines no function"
        raise AnalysisError(f"{path.name} has no function {FUNCTION!r}", where=where, why=why, do=_FORM)
    raise AnalysisError(f"{FUNCTION!r} in {path.name} is {with_article(function)}, not a function", where=where, do=_FORM)


def _defined_at(function: Any) -> Where:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return None if code is None else SourceLine(code.co_filename, code.co_firstlineno)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder be imported; afterwards both the path and these modules are gone, so that another folder can have its own."""
    place, before = str(folder), set(sys.modules)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)
        for name in [n for n in sys.modules if n not in before]:
            file = getattr(sys.modules[name], "__file__", None)
            if isinstance(file, str) and Path(file).is_relative_to(folder) and not _is_installed(file):
                del sys.modules[name]


def _is_installed(file: str) -> bool:
    return "site-packages" in Path(file).parts
