"""ServiceX without a server: the server's own code generator, in this process, range by range of the events of a file."""

from __future__ import annotations

import ast
import functools
import logging
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from hep_flows.plugins.servicex.query import EndpointError, Query
from hep_flows.sources.open import OpenTables
from hep_flows.sources.read import partitions
from hep_flows.sources.root import RNTupleTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hep_flows.contract import Partition
    from hep_flows.expr.nodes import Dataset

    Generated = Callable[[Any], Any]

MOST_QUERIES = 64


class EmbeddedServiceX:
    """Runs queries of the dialect ``uproot`` on local and remote files.

    The text of a query becomes Python by `func_adl_uproot`, as on a server. The generated function then runs on arrays of the branches that
    the query reads, and not on a graph of all branches of the file: a wide file costs seconds otherwise. Its result stays in memory.

    Files are cut into ranges where all plug-ins cut them, so that what is added up from the columns has the same bits.
    """

    name = "embedded ServiceX"

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._lock = threading.Lock()
        self._generated: dict[str, Generated] = {}
        self._tables = OpenTables()

    def partitions(self, dataset: Dataset, chunk_events: int) -> tuple[Partition, ...]:
        """Give ranges of about that many events, in dataset order."""
        return partitions(dataset, chunk_events, self._tables)

    def columns(self, query: Query, dataset: Dataset, partition: Partition) -> Mapping[str, Any]:
        """Give the columns of a query over a range of events, by name: one row for each event that passed.

        Raises
        ------
        EndpointError
            When the query is of another dialect, no program can be made of it, or the program fails.
        SourceError
            When the file cannot be read, or is not what it was.
        """
        if query.dialect != "uproot":
            raise EndpointError(f"{self.name} runs the dialect uproot, not {query.dialect}")
        function = self._function(query.text)
        events = self.events(query, dataset, partition)
        try:
            found = evaluated(function, events)
            return {n: found[n] for n in query.columns}
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise EndpointError(f"{type(error).__name__}: {error}", file=partition.file) from error

    def events(self, query: Query, dataset: Dataset, partition: Partition) -> Any:
        """Give the branches that a query reads over a range of events, as one record, by the names that they have in queries.

        Raises
        ------
        EndpointError
            When the tree is none that the code generator reads.
        SourceError
            When the file cannot be read, or is not what it was.
        """
        import awkward as ak

        content = dataset.content[partition.file_number]
        with self._tables.lent(dataset.model, partition.file, dataset.tree, content) as table:
            if isinstance(table, RNTupleTable):
                raise EndpointError(f"{dataset.tree} is an RNTuple, and the code generator reads TTrees", file=partition.file)
            arrays = table.read([(name,) for name in query.reads], partition.start, partition.stop)
        layouts = {path[0].rsplit("/", 1)[-1]: array.layout for path, array in arrays.items()}
        return ak.Array(ak.contents.RecordArray(list(layouts.values()), list(layouts), length=partition.n_events))

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


def generated_function(text: str) -> Generated:
    """Give a function from the events of a file to the result of a query.

    Raises
    ------
    ValueError
        When what is generated has another form than it had.
    """
    tree = _Eager().visit(ast.parse(generated_source(text)))
    code = compile(ast.fix_missing_locations(tree), "<func_adl_uproot>", "exec")

    def function(events: Any) -> Any:
        names = _modules(events)
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


def _modules(events: Any) -> dict[str, Any]:
    """Give what the generated function imports: arrays in the place of delayed arrays, and the events in the place of files."""
    import awkward as ak
    import numpy as np

    return {
        "functools": functools,
        "logging": logging,
        "np": np,
        "dak": ak,
        "uproot": SimpleNamespace(dask=lambda files, filter_branch: events),  # noqa: ARG005 - as it is called
    }


def evaluated(function: Generated, events: Any) -> Any:
    """Give the result of a generated function; numbers that leave their range are no news, as in the language."""
    import numpy as np

    with np.errstate(all="ignore"):
        return function(events)
