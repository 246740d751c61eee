"""What the server's transformers do to a file: the code generator's own function, then Parquet or ROOT."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class UprootScience:
    """The code generator ``uproot``.

    One file is transformed at a time: the dask configuration is one for the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, selection: str) -> Callable[[str], Any]:
        """Give the function from a file to its array, or raise what the code generator raises."""
        import qastle
        from func_adl_uproot.translation import generate_function

        query = generate_function(qastle.text_ast_to_python_ast(selection).body[0].value)

        def transform(path: str) -> Any:
            import dask
            import dask_awkward  # noqa: F401 - brings the defaults that are changed here

            # The other optimisation, which joins layers, fails with the dask releases of 2026.
            with self._lock, dask.config.set({"awkward.optimization.which": ["columns"], "scheduler": "synchronous"}):
                return query(path)

        return transform


def write_result(array: Any, result_format: str, target: str) -> None:
    """Write what a file gave as a transformer does: Parquet, or a TTree ``servicex``."""
    import awkward as ak

    if result_format == "parquet":
        ak.to_parquet(array, target)
        return
    import uproot

    columns = {name: array[name] for name in ak.fields(array)}
    types = {name: ak.to_numpy(c).dtype if c.ndim == 1 else c.type.content for name, c in columns.items()}
    with uproot.recreate(target) as file:
        file.mktree("servicex", types).extend(columns)
