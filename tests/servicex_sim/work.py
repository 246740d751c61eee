"""A transformation as it runs at the server: look the files up, transform each, announce what comes, fail as told."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from servicex_sim.faults import Faults, FileFault, RequestFault

# One request at the server: what was asked for, how far it is, what it gave ------------------------------------------------------

_LONGEST = 255
FINAL = ("Complete", "Fatal", "Canceled", "Bad Dataset")


@dataclass(frozen=True, slots=True)
class Result:
    """What one file gave: its object, the size that is announced, and when it was.

    ``path`` is where the bytes are; empty where the object is missing.
    """

    file: str
    name: str
    path: str
    size: int
    created_at: str


@dataclass(slots=True)
class Transform:
    """A request and its state; everything that changes is changed under its lock.

    Parameters
    ----------
    request_id, number : str, int
        Its names at the server.
    body : dict
        The JSON of the submission.
    """

    request_id: str
    number: int
    body: dict[str, Any]
    status: str = "Submitted"
    lookup: str = "looking"
    names: tuple[str, ...] = ()
    results: list[Result] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    uncounted: int = 0
    forgotten_after: int = -1
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    latest: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def dataset(self) -> str:
        """Give the dataset identifier, or the first file of a list."""
        return str(self.body.get("did") or self.body["file-list"][0])

    def move(self, status: str, **changes: Any) -> bool:
        """Change the status, unless it is final already."""
        with self.lock:
            if self.status in FINAL:
                return False
            self.status = status
            for name, value in changes.items():
                setattr(self, name, value)
            if status in FINAL:
                self.ended.set()
            return True

    def deliver(self, file: str, name: str, path: str, size: int) -> None:
        """Announce a result, later than all before it."""
        with self.lock:
            self.latest = max(self.latest + timedelta(microseconds=1), datetime.now(UTC))
            self.results.append(Result(file, name, path, size, self.latest.isoformat(timespec="microseconds")))

    def fail(self, file: str, reason: str) -> None:
        """Count a file as failed."""
        with self.lock:
            self.reasons.append(f"{file}: {reason}")

    def described(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Give the JSON of the status, with ``shown`` beside what the request knows."""
        with self.lock:
            done = len({r.file for r in self.results}) + self.uncounted
            failed, files = len(self.reasons), len(self.names)
            return {
                "request_id": self.request_id,
                "did": self.body.get("did") or "File List Provided in Request",
                "did_id": self.number,
                "title": self.body.get("title"),
                "selection": self.body["selection"],
                "tree-name": None,
                "image": "simulator",
                "result-destination": "object-store",
                "result-format": self.body["result-format"],
                "generated-code-cm": f"{self.request_id}-generated-source",
                "status": self.status,
                "failure-info": "; ".join(self.reasons) or None,
                "app-version": "simulator",
                "files": files,
                "files-completed": done,
                "files-failed": failed,
                "files-remaining": files - done - failed,
                "submit-time": self.latest.isoformat(),
                "finish-time": self.latest.isoformat() if self.status in FINAL else "None",
                **shown,
            }


def object_name(file: str, result_format: str, codegen: str = "uproot") -> str:
    """Give the name that the result of a file gets; one that is too long for a store is a digest and its end.

    Where the server makes Parquet of ROOT, it changes the end of the name.
    """
    converted = is_converted(result_format, codegen)
    name = file.replace("/", ":") + (".parquet" if result_format == "parquet" and not converted else "")
    if len(name) > _LONGEST:
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        name = f"_{digest}{name[-(_LONGEST - 41) :]}"
    return PurePosixPath(name).with_suffix(".parquet").name if converted else name


def is_converted(result_format: str, codegen: str) -> bool:
    """Say whether the server makes Parquet of what a transformer writes: those that run C++ write ROOT only."""
    return result_format == "parquet" and codegen.startswith(("atlas", "cms"))


# What the server's transformers do to a file: the code generator's own function, then Parquet or ROOT ----------------------------


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


# The files behind the names that a request gives ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Datasets:
    """Which files there are.

    Parameters
    ----------
    files : mapping
        Local paths by the names that requests use.
    datasets : mapping
        The names of the files of each dataset identifier, such as ``rucio://user.me:ttbar``.
    local : bool
        Whether a local path is a name too; else only what is listed here can be read.
    """

    files: Mapping[str, str]
    datasets: Mapping[str, Sequence[str]]
    local: bool = True

    def names(self, did: str) -> tuple[str, ...] | None:
        """Give the files of a dataset; None where there is no such dataset. ``?files=N`` gives the first N."""
        name, _, options = did.partition("?files=")
        found = self.datasets.get(name)
        if found is None:
            return None
        return tuple(found[: int(options)] if options.isdigit() else found)

    def path(self, name: str) -> str | None:
        """Give the local path of a file; None where there is none."""
        if name in self.files:
            return self.files[name]
        return name if self.local and Path(name).is_file() else None


def datasets_of_folder(folder: Path) -> Datasets:
    """Give the datasets of a folder: every ROOT file by path and by name, ``rucio://local:NAME`` for each, ``rucio://local:all`` for all.

    A folder inside is a dataset of its name.
    """
    files = {str(p): str(p) for p in sorted(folder.resolve().rglob("*.root"))}
    by_name = {Path(p).name: p for p in files}
    datasets: dict[str, tuple[str, ...]] = {f"rucio://local:{Path(p).stem}": (p,) for p in files}
    for inner in sorted({Path(p).parent for p in files}):
        datasets[f"rucio://local:{inner.name}"] = tuple([p for p in files if Path(p).parent == inner])
    return Datasets({**by_name, **files}, {**datasets, "rucio://local:all": tuple(files)}, local=False)
