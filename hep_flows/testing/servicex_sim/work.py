"""A transformation as it runs at the server: look the files up, transform each, announce what comes, fail as told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hep_flows.testing.servicex_sim.science import write_result
from hep_flows.testing.servicex_sim.transform import is_converted, object_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hep_flows.testing.servicex_sim.datasets import Datasets
    from hep_flows.testing.servicex_sim.faults import Faults, FileFault, RequestFault
    from hep_flows.testing.servicex_sim.transform import Transform

_ROOT_IS_LARGER = 1000  # bytes; by how much does not matter


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the transformers share.

    Parameters
    ----------
    datasets, faults
        Which files there are, and what goes wrong.
    science : mapping
        Code generators by name: from a selection to a function from a file to its array.
    folder : Path
        Where objects are kept.
    workers : int
        How many files of a request are transformed at the same time.
    """

    datasets: Datasets
    faults: Faults
    science: Mapping[str, Callable[[str], Callable[[str], Any]]]
    folder: Path
    workers: int = 4
    made: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


def run_transform(transform: Transform, function: Callable[[str], Any], place: Workplace) -> None:
    """Run a request from its look-up to its end."""
    fault = place.faults.of_request(transform.dataset)
    kind = fault.kind if fault else ""
    if kind == "forgotten":
        transform.forgotten_after = 1
    transform.move("Lookup")
    if kind == "endless look-up":
        return
    names = _look_up(transform, place)
    if kind == "Bad Dataset" or names is None:
        transform.move("Bad Dataset", lookup="internal_failure" if names else "does_not_exist")
        return
    if kind == "no files":
        names = ()
    if not transform.move("Running", names=names, lookup="complete"):
        return
    _transform_all(transform, names if fault is None else _before(fault, names), function, place)
    match kind:
        case "Fatal" | "Canceled":
            transform.move(kind)
        case "hangs":
            pass
        case "never closes":
            transform.move("Complete", uncounted=1)
        case _:
            transform.move("Complete")


def _before(fault: RequestFault, names: Sequence[str]) -> Sequence[str]:
    return names[: fault.after_files] if fault.kind in {"Fatal", "Canceled", "hangs"} else names


def _look_up(transform: Transform, place: Workplace) -> tuple[str, ...] | None:
    did = transform.body.get("did")
    return place.datasets.names(did) if did else tuple(transform.body["file-list"])


def _transform_all(transform: Transform, names: Sequence[str], function: Callable[[str], Any], place: Workplace) -> None:
    with ThreadPoolExecutor(place.workers) as pool:
        for done in [pool.submit(_transform_one, transform, n, function, place) for n in names]:
            done.result()


def _transform_one(transform: Transform, name: str, function: Callable[[str], Any], place: Workplace) -> None:
    faults: dict[str, FileFault] = {f.kind: f for f in place.faults.of_file(name)}
    if "slow" in faults and transform.ended.wait(faults["slow"].seconds):
        return
    while "held" in faults and place.faults.is_held(name) and not transform.ended.wait(0.02):
        pass
    if transform.ended.is_set():
        return
    path = place.datasets.path(name)
    if path is None:
        transform.fail(name, "no such file")
        return
    if "fails" in faults:
        transform.fail(name, "the transformer stopped with exit code 1")
        return
    try:
        content = _content(transform, path, function, place)
    except Exception as error:  # noqa: BLE001 - as a transformer's container would end, whatever a query raises
        transform.fail(name, f"{type(error).__name__}: {error}")
        return
    _announce(transform, name, content, faults, place)


def _content(transform: Transform, path: str, function: Callable[[str], Any], place: Workplace) -> bytes:
    """Give the bytes of the result; the same query on the same file is executed once."""
    body = transform.body
    key = (body["codegen"], body["selection"], body["result-format"], path, str(Path(path).stat().st_mtime_ns))
    if key not in place.made:
        target = place.folder / uuid4().hex
        write_result(function(path), body["result-format"], str(target))
        with place.lock:
            place.made[key] = target.read_bytes()
        target.unlink()
    return place.made[key]


def _announce(transform: Transform, file: str, content: bytes, faults: Mapping[str, FileFault], place: Workplace) -> None:
    form = (transform.body["result-format"], transform.body["codegen"])
    name = object_name(file, *form)
    if "other name" in faults:
        name = f"{uuid4()}.parquet"
    stored = _spoiled(content, faults)
    bucket = place.folder / transform.request_id
    bucket.mkdir(exist_ok=True)
    path = bucket / uuid4().hex
    if "missing" not in faults:
        path.write_bytes(stored)
    size = len(content) + 7 if "wrong size" in faults else len(content if "truncated" in faults else stored)
    # The size is taken before the conversion.
    size += _ROOT_IS_LARGER if is_converted(*form) else 0
    for _ in range(2 if "twice" in faults else 1):
        transform.deliver(file, name, "" if "missing" in faults else str(path), size)


def _spoiled(content: bytes, faults: Mapping[str, FileFault]) -> bytes:
    if "truncated" in faults:
        return content[: len(content) // 2]
    if "damaged" in faults:
        return b"\0" * len(content)
    if "other columns" in faults:
        return _other_columns()
    return content


def _other_columns() -> bytes:
    from io import BytesIO

    import pyarrow as pa
    from pyarrow import parquet

    target = BytesIO()
    parquet.write_table(pa.table({"something else": [1.0]}), target)
    return target.getvalue()
