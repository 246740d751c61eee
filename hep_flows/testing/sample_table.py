"""A small table of events in three Parquet files, with what goes wrong easily: events without objects, missing and negative numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from hep_flows.record.dataframe import DataFrame

N_EVENTS = 41


def sample_table(folder: Path) -> DataFrame:
    """Give a table with the members number, run, weight (may be missing), trigger, MET, Jet and Muon.

    Parameters
    ----------
    folder : Path
        Where the files are written. Their row groups have four events, so that they can be divided.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from hep_flows.plugins.awkward.plugin import AwkwardPlugin
    from hep_flows.record.sources import table_of

    events, files = [_event(i) for i in range(N_EVENTS)], []
    for start, stop in ((0, 18), (18, 29), (29, N_EVENTS)):
        files.append(str(folder / f"events_{start}.parquet"))
        pq.write_table(pa.Table.from_pylist(events[start:stop], schema=_schema()), files[-1], row_group_size=4)
    return table_of(AwkwardPlugin().describe("parquet", files), "parquet")


def _event(i: int) -> dict[str, Any]:
    jets = [
        {"pt": 15.5 + (37 * i + 23 * j) % 90, "eta": ((7 * i + 5 * j) % 49 - 24) / 10, "id": (i + j) % 5 - 1} for j in range(i % 4)
    ]
    muons = [{"pt": 4.25 + (29 * i + 31 * j) % 60, "eta": ((11 * i + 3 * j) % 41 - 20) / 10} for j in range((i // 2) % 3)]
    return {
        "number": i - 5,
        "run": 7 + i % 3,
        "weight": None if i % 7 == 3 else 0.5 + (i % 4) / 4,
        "trigger": i % 3 != 1,
        "MET": {"pt": 2.5 + (17 * i) % 53},
        "Jet": jets,
        "Muon": muons,
    }


def _schema() -> Any:
    import pyarrow as pa

    def needed(name: str, kind: Any) -> Any:
        return pa.field(name, kind, nullable=False)

    muon = [needed("pt", pa.float32()), needed("eta", pa.float32())]
    return pa.schema(
        [
            needed("number", pa.int64()),
            needed("run", pa.int32()),
            pa.field("weight", pa.float64()),
            needed("trigger", pa.bool_()),
            needed("MET", pa.struct([needed("pt", pa.float32())])),
            needed("Jet", pa.list_(needed("item", pa.struct([*muon, needed("id", pa.int32())])))),
            needed("Muon", pa.list_(needed("item", pa.struct(muon)))),
        ]
    )
