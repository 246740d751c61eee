"""Open a delivered Parquet file: one that cannot be read, or that lacks a column, has not been delivered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.plugins.servicex.endpoint import EndpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_COLUMN = "it has no column"


def check_parquet(path: str, columns: Sequence[str], name: str) -> None:
    """Open a result; one that cannot be used is removed.

    Raises
    ------
    EndpointError
        When footer, columns or numbers of rows are not as they should be; it names the result.
    """
    wrong = _why_not(path, columns)
    if wrong:
        Path(path).unlink()
        raise EndpointError(f"the result {name!r} cannot be used: {wrong}", transient=not wrong.startswith(_NO_COLUMN))


def _why_not(path: str, columns: Sequence[str]) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names, footer = _columns(file.schema_arrow), file.metadata
    except (pa.ArrowException, OSError) as error:
        return f"it is no Parquet file ({str(error).splitlines()[0]}), {Path(path).stat().st_size} bytes"
    missing = [c for c in columns if c not in names]
    if missing:
        return f"{_NO_COLUMN} {', '.join(missing)}, but {', '.join(names)}"
    rows = sum([footer.row_group(i).num_rows for i in range(footer.num_row_groups)])
    return "" if rows == footer.num_rows else f"its footer counts {footer.num_rows} rows, its row groups {rows}"


def _columns(schema: Any) -> list[str]:
    """Give the names of the columns. A single one may come as lists of records of it, in a column without a name."""
    import pyarrow as pa

    if schema.names != [""]:
        return list(schema.names)
    inner = schema.field(0).type
    while pa.types.is_list(inner) or pa.types.is_large_list(inner):
        inner = inner.value_type
    return [field.name for field in inner] if pa.types.is_struct(inner) else [""]
