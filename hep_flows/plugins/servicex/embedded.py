"""An endpoint without a server: the server's own code generator, in this process, file by file."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from hep_flows.in_order import in_order
from hep_flows.plugins.servicex.endpoint import Delivered, EndpointError, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hep_flows.plugins.servicex.endpoint import Watch
    from hep_flows.plugins.servicex.open_trees import OpenTrees

    Generated = Callable[[Any], Any]

MOST_QUERIES = 64


class EmbeddedServiceX:
    """Runs queries of the dialect ``uproot`` on local and remote files.

    The text of a query becomes Python by `func_adl_uproot`, as on a server. The generated function then runs on arrays of the branches that
    the query reads, and not on a graph of all branches of the file: a wide file costs seconds otherwise. Its result stays in memory.
    """

    name = "embedded ServiceX"

    def __init__(self) -> None:
        """Nothing is open yet."""
        from hep_flows.plugins.servicex.open_trees import OpenTrees

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
        from hep_flows.plugins.servicex.eager import columns_of

        try:
            columns = columns_of(generated, self._trees.read(file, query.tree, query.reads), query.columns)
        except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            return EndpointError(f"{type(error).__name__}: {error}", file=file)
        return Delivered(file, "", columns=columns)

    def _function(self, text: str) -> Generated:
        """Give the generated function; a query that was run before is not parsed again."""
        from hep_flows.plugins.servicex.eager import generated_function

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
