"""What a server with the ATLAS generator does, here: compile the query, run it on the values of a file, deliver Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import awkward as ak

from hep_flows.plugins.servicex.query import Delivered, EndpointError
from plugins.servicex.edm.compiled import DoesNotCompileError, FailsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hep_flows.plugins.servicex.query import Query, Watch
    from plugins.servicex.edm.compiled import Compiler


class CompiledEndpoint:
    """Runs each query on the same values, whatever the file is called; the queries stay for the test to look at."""

    name = "compiled"

    def __init__(self, compiler: Compiler, values: Path) -> None:
        self._compiler, self._values = compiler, values
        self.queries: list[Query] = []

    def run(self, query: Query, files: Sequence[str], scratch: str, watch: Watch) -> Iterator[Delivered | EndpointError]:
        assert query.dialect == "xaod"
        self.queries.append(query)
        for number, file in enumerate(files):
            try:
                columns = self._compiler.run(query.text, self._values)
            except (DoesNotCompileError, FailsError) as error:
                yield EndpointError(str(error), file=file)
                continue
            path = str(Path(scratch) / f"{number}.parquet")
            ak.to_parquet(ak.zip(columns, depth_limit=1), path)
            yield Delivered(file, path)
