"""Write the results of an analysis into a folder: histograms, numbers, skims, plots, the report, and the manifest of all that."""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from hep_flows.analysis.histogram_files import write_json, write_root
from hep_flows.analysis.processes import Sample
from hep_flows.analysis.record import part_of
from hep_flows.analysis.result import AnalysisResult, BadFile, DatasetNote, Stored, with_labels
from hep_flows.analysis.story import ENDING, MEMBER, told
from hep_flows.errors import AnalysisError, HepFlowsError, StoreError, visible
from hep_flows.execute.joint import Cutflow, CutRow, EventList, as_hist, stacked
from hep_flows.execute.report import Missing, RunReport, TaskRow
from hep_flows.expr.types import Record
from hep_flows.expr.variations import AXIS as VARIATION
from hep_flows.plots import drawn_by, nominal, plot, save
from hep_flows.record.cutflow import ALL
from hep_flows.record.histogram import Filled
from hep_flows.store.commit import UNFINISHED, claimed, told_of_disk, whole_file, write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hep_flows.analysis.prepare import Prepared
    from hep_flows.contract import Key
    from hep_flows.execute.stored_parts import StoredParts

# ``manifest.json``: which files a run wrote, and the key of each result in them --------------------------------------------------

NAME = "manifest.json"
BEGUN = ".begun"
FORMAT = "hf-outputs/1"


@dataclass(frozen=True, slots=True)
class FileNote:
    """A file that was written.

    Parameters
    ----------
    what : str
        ``histograms``, ``numbers``, ``skim``, ``plot`` or ``report``.
    key : str
        The key of what is in it, as digits; a file whose key is the same has the same content. Empty for reports.
    bytes : int
        Its size.
    """

    what: str
    key: str
    bytes: int


def read_manifest(folder: Path) -> dict[str, FileNote]:
    """Give the files of the last complete run in a folder, by path; none when there is no manifest that can be used."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        said = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if said["format"] == FORMAT:
            return {p: FileNote(str(n["what"]), str(n["key"]), int(n["bytes"])) for p, n in said["files"].items() if _is_inside(p)}
    return {}


class Begun:
    """The files that a run may have written, noted before it writes them: what a killed run leaves behind is known to the next one.

    Parameters
    ----------
    folder : Path
        The folder of results.
    """

    def __init__(self, folder: Path) -> None:
        """Note what the runs before wrote."""
        self._file = folder / BEGUN
        self.before = self._left() | read_manifest(folder)
        self._noted = set[str]()
        self.note(*self.before)
        (folder / NAME).unlink(missing_ok=True)  # what follows is not whole until the new one is there

    def note(self, *paths: str) -> None:
        """Say that files are about to be written."""
        new = [p for p in paths if p not in self._noted]
        if not new:
            return
        self._noted.update(new)
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines([json.dumps(p) + "\n" for p in new])

    def ended(self) -> None:
        """Forget it: everything stands in the manifest."""
        self._file.unlink(missing_ok=True)

    def _left(self) -> dict[str, FileNote]:
        found = {}
        with suppress(OSError, UnicodeDecodeError):
            for line in self._file.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a process that was killed
                    path = json.loads(line)
                    if isinstance(path, str) and _is_inside(path):
                        found[path] = FileNote("", "", -1)
        return found


def write_manifest(folder: Path, files: Mapping[str, FileNote], results: Any, notes: list[str], *, complete: bool) -> None:
    """Write the manifest: last of all, so where it stands everything stands."""
    listed = {path: asdict(files[path]) for path in sorted(files)}
    said = {"format": FORMAT, "complete": complete, "results": results, "files": listed, "notes": notes}
    write_text(folder / NAME, json.dumps(said, indent=1) + "\n")


def remove_stale(folder: Path, before: Mapping[str, FileNote], now: Mapping[str, FileNote]) -> None:
    """Remove what an earlier run wrote and this one did not: it would be taken for a result of this one."""
    for path in sorted(set(before) - set(now)):
        file = folder / path
        with suppress(OSError):
            file.unlink()
        for above in [p for p in file.parents if folder in p.parents]:
            with suppress(OSError):  # others have files in it
                above.rmdir()


def _is_inside(path: str) -> bool:
    """Say whether a path stays in the folder: the manifest is data, and what it lists may be removed."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()


# The report of an analysis as a table --------------------------------------------------------------------------------------------

_HEAD = ("dataset", "plug-in", "state", "seconds", "rows", "batches", "label", "reason")
_WIDEST = 60


def report_text(result: AnalysisResult) -> str:
    """Give what became of every dataset and every task."""
    report = result.report
    head = f"{'complete' if result.is_complete else 'NOT COMPLETE'}: {report.events:,} events in {report.seconds:.2f} s"
    datasets = [f"  {d}{f': {d.in_short}' if d.name in result.partial else ''}" for d in result.datasets]
    bad = [f"  {b.dataset}: {visible(b.why)}\n    {visible(b.reproduce)}" for b in result.bad_files]
    datasets += ["", "files that cannot be used, and how to see it:", *bad] if bad else []
    table = _table([_HEAD, *[_cells(r) for r in report.tasks]])
    errors = [line for text in error_texts(report.errors) for line in ("", text)]
    return "\n".join([head, "", *datasets, "", *table, *errors]) + "\n"


def error_texts(errors: Iterable[HepFlowsError]) -> list[str]:
    """Give errors with the user's lines; of those of one kind at one line, the first."""
    found: dict[object, str] = {}
    for error in errors:
        found.setdefault((type(error), error.where or error.what), f"{type(error).__name__}: {error}")
    return list(found.values())


def _cells(row: TaskRow) -> tuple[str, ...]:
    batches = f"{row.batches_computed} of {row.batches}" if row.batches else ""
    label = row.label if len(row.label) <= _WIDEST else f"{row.label[: _WIDEST - 4]} ..."
    return tuple(
        [
            visible(c)
            for c in (row.dataset, row.plugin, row.state, f"{row.seconds:.2f}", f"{row.rows:,}", batches, label, row.reason)
        ]
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max([len(r[i]) for r in rows]) for i in range(len(_HEAD) - 1)]
    lines = []
    for row in rows:
        cells = [
            c.rjust(w) if _HEAD[i] in ("seconds", "rows") else c.ljust(w)
            for i, (c, w) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines


# Folders of results that are there completely or not at all; for single files see `hep_flows.store.commit` -----------------------


def file_name(name: str) -> str:
    """Give a name as one part of a path: what means something to file systems is written as ``%2F``; no two names become one."""
    quoted = quote(name, safe=" +-.=@,")
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process after the other write into a folder: two at once would leave files of both."""
    with ExitStack() as held:
        with suppress(StoreError):  # where the file system has no locks there is no other way
            held.enter_context(claimed(str(folder / ".lock")))
        yield


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a new folder to fill; it takes the place of the old one at the end of the ``with`` block, unless that fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{UNFINISHED}{uuid.uuid4().hex[:12]}")
    old = target.with_name(f"{part.name}-old")
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            if file.is_file():
                _sync(file)
        if target.exists():
            target.rename(old)
        part.rename(target)
    finally:
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed runs left in a folder of results."""
    for place in (folder, folder / "plots", *sorted(folder.glob("skims/*"))):
        for rest in place.glob(f"{UNFINISHED}*") if place.is_dir() else ():
            if rest.is_dir():
                shutil.rmtree(rest, ignore_errors=True)
            else:
                with suppress(OSError):
                    rest.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


# A number as JSON has it ---------------------------------------------------------------------------------------------------------


def plain_number(value: Any) -> Any:
    """Give a value that JSON can hold; what is not finite is a text: ``"nan"``, ``"inf"``, ``"-inf"``."""
    if hasattr(value, "tolist"):  # of numpy, or a record of awkward
        value = value.tolist()
    if isinstance(value, Cutflow):
        value = value.as_json()
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case dict():
            return {str(k): plain_number(v) for k, v in value.items() if not isinstance(v, Missing)}
        case list() | tuple():
            return [plain_number(v) for v in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


# The pictures of a run: one for each observable ---------------------------------------------------------------------------------


def pages(result: AnalysisResult) -> dict[str, tuple[str, Callable[..., Any]]]:
    """Give the name of the result and what draws it, for each picture by its path: one for each observable, and for each of its categories.

    Processes are stacked, with data, where simulation is normalised; else their shapes are drawn. Where a process is missing, the others
    are drawn, and the title says so. What has three axes of numbers, or more, is not drawn.
    """
    found: dict[str, tuple[str, Callable[..., Any]]] = {}
    by_process = result.processes
    for name in dict.fromkeys([n for values in (*result.values.values(), *by_process.values()) for n in values]):
        added = {p: v[name] for p, v in by_process.items() if name in v}
        apart = {d: as_hist(v[name]) for d, v in result.values.items() if isinstance(v.get(name), tuple)}
        here = {p: v for p, v in added.items() if not isinstance(v, Missing)}
        lost = [p for p in added if p not in here]
        parts = [f"{n.name} is {n.in_short}" for n in result.partial.values()]
        titles = [*([f"without {', '.join(lost)}"] if lost else []), *parts]
        said = {"title": ", ".join(titles)} if titles else {}
        for choice, several in _choices(here):
            stem = file_name("-".join([name, *choice.values()]))
            title = said | ({"title": ", ".join([*choice.values(), *said.values()])} if choice else {})
            first = next(iter(several.values()))
            if isinstance(first, Cutflow) or nominal(first).ndim == 1:
                _add(found, stem, name, partial(_page, result, name, several, choice, title, whole=not lost))
            else:
                for process, h in several.items():
                    _add(
                        found,
                        stem if len(several) == 1 else f"{stem}-{file_name(process)}",
                        name,
                        partial(_single, result, name, h, process),
                    )
        for dataset, h in apart.items():
            _add(found, f"{file_name(dataset)}_{file_name(name)}", name, partial(_single, result, name, h, dataset))
    return {f"plots/{stem}.png": page for stem, page in found.items()}


def _add(found: dict[str, tuple[str, Callable[..., Any]]], stem: str, name: str, draw: Callable[..., Any]) -> None:
    while stem in found:
        stem += "_"
    found[stem] = name, draw


def _choices(several: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Give the histograms on one or two axes that those of one name are made of: one choice of a category of each axis at a time."""
    import hist

    flows = {p: nominal(v) for p, v in several.items() if isinstance(nominal(v), Cutflow)}
    if flows:
        yield {}, flows
        return
    drawn = {
        p: h for p, h in several.items() if isinstance(h, hist.BaseHist) and 0 not in h.shape and h.kind.value in ("COUNT", "MEAN")
    }
    first = next(iter(drawn.values()), None)
    if first is None or "MultiCell" in first.storage_type.__name__:
        return
    texts = [a for a in first.axes if isinstance(a, hist.axis.StrCategory) and a.name != VARIATION]
    numbers = [a for a in first.axes if a not in texts and a.name != VARIATION]
    if not numbers:
        texts, numbers = texts[:-1], texts[-1:]
    if not 0 < len(numbers) <= 2:
        return
    for words in product(*[list(a) for a in texts]):
        choice = {a.name: w for a, w in zip(texts, words, strict=True)}
        at = {p: _at(h, choice) for p, h in drawn.items()}
        yield choice, {p: h for p, h in at.items() if h is not None}


def _at(histogram: Any, choice: Mapping[str, str]) -> Any:
    """Give the bins of some categories; None where an axis that grows lacks one."""
    import hist

    if any(word not in list(histogram.axes[name]) for name, word in choice.items()):
        return None
    return histogram[{name: hist.loc(word) for name, word in choice.items()}] if choice else histogram


def _page(
    result: AnalysisResult,
    name: str,
    several: Mapping[str, Any],
    choice: Mapping[str, str],
    title: Mapping[str, str],
    *,
    whole: bool,
    **how: Any,
) -> Any:
    """Draw one observable: stacked where that means something, else as lines."""
    how = dict(title) | how
    first = next(iter(several.values()))
    if isinstance(first, Cutflow):
        return plot(several, **how)
    simulated = [p for p in several if p not in result.recorded]
    if len(several) > 1 and simulated and whole and first.kind.value == "COUNT" and result.is_normalised(name):
        return result.stack(name, select=choice, **how)
    if len(several) > 1:
        return plot(several, density=first.kind.value == "COUNT", **(result.look(name, first) | how))
    ((process, h),) = several.items()
    return _single(result, name, h, process, **how)


def _single(result: AnalysisResult, name: str, histogram: Any, process: str, **how: Any) -> Any:
    """Draw a histogram of one process."""
    return plot(histogram, **({"title": process} | result.look(name, histogram, process) | how))


PARTIAL = "(partial)"  # no result is called so


def _as_hists(value: Any) -> Any:
    """Give a histogram that can be written; numpy's pairs by variation become one."""
    return stacked({name: as_hist(v) for name, v in value.items()}) if isinstance(value, dict) else as_hist(value)


# A folder of results, read again -----------------------------------------------------------------------------------------------------


def _samples_said(result: AnalysisResult) -> dict[str, Any]:
    """Give what normalises the results of each dataset as plain data, with the sum of weights where it can be had."""
    said: dict[str, Any] = {}
    for name, s in result.samples.items():
        known = {k: v for k, v in s.metadata.items() if isinstance(v, bool | int | float | str) or k == "stitch"}
        sums: Mapping[str, float] = {}
        if s.is_partial:
            known.pop("sumw", None)  # what somebody counted in all files is not that of those that are there
        if not s.is_data and "xsec" in known and "sumw" not in known:
            with suppress(HepFlowsError):  # scaling says what is missing
                known["sumw"] = s.sumw()
        if not s.is_data and "xsec" in known:
            with suppress(HepFlowsError):
                sums = s.sums()
        weights = {n: sorted(used) for n, used in s.weights.items() if used}
        said[name] = {
            "process": s.process,
            "is_data": s.is_data,
            "metadata": plain_number(known),
            "weights": weights,
            "sums": dict(sums),
        }
    return said


def read_results(folder: str | os.PathLike[str]) -> AnalysisResult:
    """Give what a run wrote into a folder: its histograms, numbers and cutflows, with what normalises them.

    Parameters
    ----------
    folder : path
        A folder of results, as `run_analysis` and ``hep-flows run`` write it.

    Returns
    -------
    AnalysisResult
        Its ``values``, ``processes``, ``scaled`` and pictures are those of the run. Arrays stay in their files.

    Raises
    ------
    StoreError
        When it is no folder of results, or the run that wrote it did not come to its end.
    """
    import hist
    import uhi.io.json

    place = Path(folder)
    if not read_manifest(place):
        raise StoreError(
            f"{place} is no folder of results", why=f"it has no {NAME} of a run that came to its end", do="hep-flows run ... --out"
        )
    report = json.loads((place / "report.json").read_text(encoding="utf-8"))
    values: dict[str, dict[str, Any]] = {d["name"]: {} for d in report["datasets"]}
    for dataset, named in json.loads((place / NAME).read_text(encoding="utf-8"))["results"].items():
        values[dataset] = {n: Missing(said["reason"]) for n, said in named.items() if said["what"] == "missing"}
    if (place / "histograms.json").exists():
        for path, said in json.loads((place / "histograms.json").read_text(), object_hook=uhi.io.json.object_hook).items():
            dataset, _, name = path.partition("/")
            said["metadata"].pop(MEMBER, None)  # it is about what is in the file, not about what becomes of it
            values[unquote(dataset)][unquote(name)] = hist.Hist(said)
    if (place / "numbers.json").exists():
        for dataset, named in json.loads((place / "numbers.json").read_text(encoding="utf-8")).items():
            values[dataset] |= {n: _read_number(v) for n, v in named.items() if n != PARTIAL}
    samples = {
        n: Sample(
            n,
            s["process"],
            s["is_data"],
            s["metadata"],
            partial(_no_sumw, n),
            {r: frozenset(used) for r, used in s["weights"].items()},
            partial(dict, s["sums"]),
        )
        for n, s in report["samples"].items()
    }
    is_partial = any(d.pop("partial") for d in report["datasets"])
    notes = tuple([DatasetNote(**{**d, "bad": tuple([BadFile(**b) for b in d["bad"]])}) for d in report["datasets"]])
    filled = {n: Filled(f["units"], f["per_event"]) for n, f in report["filled"].items()}
    errors = tuple([HepFlowsError(text) for text in report["errors"]])
    rows = tuple([TaskRow(**row) for row in report["tasks"]])
    said = RunReport(report["seconds"], report["events"], report["partitions"], 0, (), {}, rows, errors, report["engine"])
    return AnalysisResult(values, said, notes, samples=samples, filled=filled, is_partial=is_partial)


def _no_sumw(name: str) -> float:
    raise AnalysisError(
        f"the folder does not say the sum of weights of {visible(name)}",
        do="write it into the metadata of the dataset, and run it again",
    )


def _read_number(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _read_number(v) for k, v in value.items()}
    if isinstance(value, list) and value and all(isinstance(r, dict) and {"name", "events", "sumw"} == set(r) for r in value):
        rows = tuple([CutRow(r["name"], r["events"], r["sumw"]) for r in value])
        return Cutflow(rows, rows[0].name != ALL, any(r.sumw != r.events for r in rows))
    return value


# Arrays as Parquet files: one for each part, so that memory does not grow with the number of events ------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an array: its key, how to get it, and the label that goes into its file, where the array is partial."""

    key: str
    array: Callable[[], Any]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Skim:
    """An array in Parquet files.

    Parameters
    ----------
    folder : Path
        Where they are.
    files : tuple of str
        Their names, in dataset order.
    rows : int
        The number of events.
    column : str
        The column that the array is; empty where it is an array of records, whose members are the columns.
    """

    folder: Path
    files: tuple[str, ...]
    rows: int
    column: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, for `parquet_table`."""
        return tuple([str(self.folder / f) for f in self.files])

    def array(self) -> Any:
        """Give the whole array."""
        import awkward as ak

        array = ak.concatenate([_read(p) for p in self.paths])
        return array[self.column] if self.column else array


def part_name(number: int) -> str:
    """Give the name of the file of a part."""
    return f"part-{number:04d}.parquet"


def write_skim(place: Path, column: str, parts: Sequence[Part], before: Mapping[str, FileNote]) -> tuple[Skim, dict[str, FileNote]]:
    """Write an array, and give where it is, and the files by name.

    Parameters
    ----------
    place : Path
        The folder of this array.
    column : str
        The name of its column; empty for an array of records.
    parts : sequence of Part
        What is written, in dataset order.
    before : mapping
        The files that are there, by name: those that have the same key are kept as they are.
    """
    names = [part_name(number) for number in range(len(parts))]
    kept = {n for n, p in zip(names, parts, strict=True) if _is_kept(place / n, before.get(n), p.key)}
    if len(kept) < len(names) or set(before) != set(names):
        with whole_folder(place) as folder:
            for name, part in zip(names, parts, strict=True):
                if name in kept:
                    _link(place / name, folder / name)
                else:
                    _write(part.array(), column, folder / name, part.label)
    files = {n: FileNote("skim", p.key, (place / n).stat().st_size) for n, p in zip(names, parts, strict=True)}
    return Skim(place, tuple(names), sum([_rows(place / n) for n in names]), column), files


def _is_kept(file: Path, note: FileNote | None, key: str) -> bool:
    return note is not None and note.key == key and file.is_file() and file.stat().st_size == note.bytes


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)


def _write(array: Any, column: str, file: Path, label: str) -> None:
    import awkward as ak

    ak.to_parquet(ak.zip({column: array}, depth_limit=1) if column else array, str(file), compression="zstd")
    if label:
        import pyarrow.parquet as pq

        table = pq.ParquetFile(file).read(use_threads=False)
        footer = {**(table.schema.metadata or {}), b"hep_flows": label.encode()}
        pq.write_table(table.replace_schema_metadata(footer), file, compression="zstd")


def _read(file: str) -> Any:
    """Give the array in a file, as `ak.from_parquet` gives it, without threads that Python knows nothing of.

    That function hands a Python file to the threads of Arrow. One of them may still hold it when the interpreter ends: to let go of it,
    the thread asks for an interpreter that is gone, which ends the process ("terminate called without an active exception").
    """
    import awkward as ak
    import pyarrow.parquet as pq
    from awkward._connect.pyarrow import convert_native_arrow_table_to_awkward

    return ak.from_arrow(convert_native_arrow_table_to_awkward(pq.ParquetFile(file, memory_map=True).read(use_threads=False)))


def _rows(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


Place = tuple[str, str]


def write_outputs(folder: Path, prepared: Prepared, parts: StoredParts, result: AnalysisResult) -> AnalysisResult:
    """Write everything, and give the result with a `Skim` in the place of each array.

    Raises
    ------
    StoreError
        When the folder cannot be written.
    """
    needed = Needed()
    stored = prepared.store is not None and prepared.store.writable
    do = "make room there, or give another folder" + (": what was computed is in the cache, and is not computed again" * stored)
    with told_of_disk(folder, "the results", need=lambda: needed.nbytes, do=do):
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            keep_complete(folder)
            done = _Writing(folder, prepared, parts, needed, labels_of(result)).all(result)
            if done.is_complete:
                shutil.rmtree(folder / LAST_COMPLETE, ignore_errors=True)
            return done


LAST_COMPLETE = "last-complete"


def keep_complete(folder: Path) -> None:
    """Keep the files of the last run that was complete, before another one writes into the folder; links take no room.

    A run that lacks something, or is killed while it writes, leaves them there as a folder of results of its own. One that is complete
    takes their place.
    """
    listed = read_manifest(folder)
    if not listed or not json.loads((folder / NAME).read_text(encoding="utf-8")).get("complete"):
        return
    with whole_folder(folder / LAST_COMPLETE) as kept:
        for path in (*listed, NAME):
            if (folder / path).is_file():
                (kept / path).parent.mkdir(parents=True, exist_ok=True)
                _link(folder / path, kept / path)


def labels_of(result: AnalysisResult) -> dict[str, dict[str, Any]]:
    """Give the label of each dataset whose results are partial: it stands in every file that has any of them."""
    return {name: note.label for name, note in result.partial.items()}


class Needed:
    """How many bytes the file that is being written has, before compression."""

    nbytes = 0

    def noted(self, array: Any) -> Any:
        """Note the size of an array, and give it."""
        self.nbytes = int(array.nbytes)
        return array


class _Writing:
    """The files so far."""

    def __init__(
        self, folder: Path, prepared: Prepared, parts: StoredParts, needed: Needed, labels: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._folder, self._prepared, self._parts, self._needed, self._labels = folder, prepared, parts, needed, labels
        self._begun = Begun(folder)
        self._before = self._begun.before
        self._files: dict[str, FileNote] = {}
        self._stories: dict[Place, dict[str, Any]] = {}
        self._whole: Mapping[Place, Any] = {}
        self._notes: list[str] = []
        self._errors: list[HepFlowsError] = []
        self._tasks = {t.key: t for t in prepared.plan.tasks}

    def all(self, result: AnalysisResult) -> AnalysisResult:
        remove_unfinished(self._folder)
        values = self._prepared.joined(self._skims(result.values))
        if self._labels:
            values = with_labels(result.datasets, values)
        self._histograms(
            {p: _as_hists(v) for p, v in _each(values) if self._output(p) == "histogram" and not isinstance(v, Missing)}
        )
        self._numbers(values)
        self._plots(replace(result, values=values))
        self._events(values)
        report = replace(result.report, errors=(*result.report.errors, *self._errors))
        done = replace(result, values=values, report=report)
        self._report(done)
        remove_stale(self._folder, self._before, self._files)
        if not done.is_complete and (kept := self._folder / LAST_COMPLETE / NAME).is_file():
            when = datetime.fromtimestamp(kept.stat().st_mtime, UTC).isoformat(timespec="seconds")
            self._notes.append(f"{LAST_COMPLETE} has the results of the last run that was complete, of {when}")
        write_manifest(self._folder, self._files, self._results(values), self._notes, complete=done.is_complete)
        self._begun.ended()
        return replace(done, written=(*sorted(self._files), NAME))

    def _story(self, place: Place) -> dict[str, Any]:
        """Give what a histogram says about itself; only what is written anew is asked for it."""
        if place not in self._stories:
            dataset, name = place
            one = self._prepared.expressions.joint.get(dataset, {}).get(name)
            exprs, targets = self._prepared.expressions.by_dataset[dataset], self._prepared.targets[dataset]
            names = {"": name} if one is None else {part: part_of(name, part) for part in one.parts}
            parts = {part: (targets[n].hex(), exprs[n]) for part, n in names.items()}
            hides = name in self._prepared.blinded().get(dataset, ()) and not self._prepared.unblind
            label = self._labels.get(dataset, {})
            self._stories[place] = told(dataset, name, parts, label, self._whole[place], blinded=hides)
        return self._stories[place]

    def _keys(self, place: Place) -> list[Key]:
        """Give the keys of the tasks that a result is made of."""
        targets = self._prepared.targets.get(place[0], {})
        one = self._prepared.expressions.joint.get(place[0], {}).get(place[1])
        return [
            targets[n] for n in ([place[1]] if one is None else [part_of(place[1], part) for part in one.parts]) if n in targets
        ]

    def _key(self, place: Place) -> str:
        """Give the key of a result; with the label of a partial one, so that no file keeps a label that holds no more."""
        keys = [k.hex() for k in self._keys(place)] + [text for text in [self._label(place[0])] if text]
        if place[1] in self._prepared.blinded().get(place[0], ()):
            keys.append(f"{self._prepared.expressions.joint[place[0]][place[1]].blinded} {self._prepared.unblind}")
        return keys[0] if len(keys) == 1 else sha256("\n".join(keys).encode()).hexdigest()

    def _label(self, dataset: str) -> str:
        return json.dumps(self._labels[dataset]) if dataset in self._labels else ""

    def _output(self, place: Place) -> str:
        return next((self._tasks[k].output for k in self._keys(place)), "")

    def _skims(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Write arrays; gives all values, with what stands for the arrays."""
        found = {dataset: dict(given) for dataset, given in values.items()}
        for place, value in _each(values):
            if self._output(place) != "columns" or isinstance(value, Missing):
                continue
            try:
                found[place[0]][place[1]] = self._skim(place, value)
            except StoreError as error:
                self._errors.append(error)
                found[place[0]][place[1]] = Missing(error.what)
        return found

    def _skim(self, place: Place, value: Any) -> Skim:
        (key,) = self._keys(place)
        label = self._label(place[0])

        def keyed(digits: str) -> str:
            return sha256(f"{digits}\n{label}".encode()).hexdigest() if label else digits

        if isinstance(value, Stored):
            parts = [Part(keyed(k.hex()), partial(self._stored, k), label) for k in self._parts.names(key)]
        else:
            parts = [Part(keyed(key.hex()), partial(self._needed.noted, value), label)]
        start = f"skims/{file_name(place[0])}/{file_name(place[1])}/"
        self._begun.note(*[f"{start}{part_name(number)}" for number in range(len(parts))])
        before = {p.removeprefix(start): n for p, n in self._before.items() if p.startswith(start)}
        of = self._tasks[key].expr.type
        is_record = isinstance(of.item, Record) and len(of.axes) == 1 and not of.optional
        skim, files = write_skim(self._folder / start, "" if is_record else place[1], parts, before)
        self._files |= {f"{start}{name}": note for name, note in files.items()}
        return skim

    def _stored(self, key: Key) -> Any:
        return self._needed.noted(self._parts.part(key).array)

    def _histograms(self, histograms: Mapping[Place, Any]) -> None:
        named = {f"{file_name(d)}/{file_name(n)}": h for (d, n), h in histograms.items()}
        key = self._all_keys(list(histograms))
        if named:
            self._begun.note("histograms.json", "histograms.root")
        self._whole = histograms

        def stories() -> dict[str, str]:
            return {f"{file_name(d)}/{file_name(n)}": json.dumps(self._story((d, n))) for d, n in histograms}

        if named and not self._is_kept("histograms.json", key):
            write_json(self._folder / "histograms.json", named, {n: {MEMBER: text} for n, text in stories().items()})
        if named and not self._is_kept("histograms.root", key):
            left_out = write_root(
                self._folder / "histograms.root",
                named,
                {f"{file_name(d)}/{PARTIAL}": self._label(d) for d in self._labels}
                | {f"{n}{ENDING}": t for n, t in stories().items()},
            )
            self._notes += [f"{name} is not in histograms.root: {reason}" for name, reason in left_out.items()]
        for name in ("histograms.json", "histograms.root") if named else ():
            self._note(name, "histograms", key)

    def _plots(self, result: AnalysisResult) -> None:
        for path, (name, draw) in pages(result.allow_partial()).items():
            processes = {s.name: f"{s.process}\0{s.is_data}\0{sorted(s.weights.get(name, ()))}" for s in result.samples.values()}
            places = [p for p, _ in _each(result.values) if p[1] == name]
            drawn = [self._all_keys(places), *[f"{d}\0{processes.get(d)}" for d, _ in places], *drawn_by()]
            key = sha256("\n".join(drawn).encode()).hexdigest()
            self._begun.note(path)
            if not self._is_kept(path, key):
                with whole_file(self._folder / path) as part:
                    save(draw(), part, {MEMBER: json.dumps([self._story(p) for p in places if p in self._whole])})
            self._note(path, "plot", key)

    def _numbers(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        found: dict[str, dict[str, Any]] = {}
        places = [p for p, v in _each(values) if self._output(p) == "scalar" and not isinstance(v, Missing)]
        for dataset, name in places:
            found.setdefault(dataset, {})[name] = plain_number(values[dataset][name])
        for dataset in self._labels.keys() & found.keys():
            found[dataset][PARTIAL] = self._labels[dataset]
        if found:
            self._begun.note("numbers.json")
            write_text(self._folder / "numbers.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
            self._note("numbers.json", "numbers", self._all_keys(places))

    def _events(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Write lists of events as CSV."""
        for (dataset, name), value in _each(values):
            for word, one in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(one, EventList):
                    path = f"events/{file_name(dataset)}/{file_name(f'{name}_{word}' if word else name)}.csv"
                    self._begun.note(path)
                    label = self._label(dataset)
                    write_text(self._folder / path, (f"# {label}\n" if label else "") + one.csv())
                    self._note(path, "events", self._key((dataset, name)))

    def _report(self, result: AnalysisResult) -> None:
        datasets = [{**asdict(d), "partial": d.name in self._labels} for d in result.datasets]
        said = result.report.as_json() | {"datasets": datasets, "errors": error_texts(result.report.errors)}
        said |= {"unblinded" if self._prepared.unblind else "blinded": self._prepared.blinded()}
        said |= {"samples": _samples_said(result), "filled": {n: asdict(f) for n, f in result.filled.items()}}
        self._begun.note("report.json", "report.txt", "quarantine.json")
        if result.bad_files:
            write_text(self._folder / "quarantine.json", json.dumps([asdict(b) for b in result.bad_files], indent=1) + "\n")
            self._note("quarantine.json", "report", "")
        write_text(self._folder / "report.json", json.dumps(said, indent=1) + "\n")
        word = "UNBLINDED" if self._prepared.unblind else "blinded"
        blinded = [f"{word} in {visible(d)}: {', '.join(names)}\n" for d, names in self._prepared.blinded().items()]
        write_text(self._folder / "report.txt", report_text(result) + "".join(blinded))
        for name in ("report.json", "report.txt"):
            self._note(name, "report", "")

    def _results(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Give what became of each result, for the manifest."""
        said: dict[str, dict[str, Any]] = {}
        for place, value in _each(values):
            about: dict[str, Any] = {"what": "missing", "reason": value.reason} if isinstance(value, Missing) else {}
            if not about:
                about = {"what": self._output(place), "key": self._key(place)}
            if place[0] in self._labels and not isinstance(value, Missing):
                about["partial"] = self._labels[place[0]]
            if isinstance(value, Skim):
                about |= {"what": "skim", "rows": value.rows, "files": len(value.files)}
            said.setdefault(place[0], {})[place[1]] = about
        return said

    def _all_keys(self, places: Sequence[Place]) -> str:
        lines = [f"{dataset}\0{name}\0{self._key((dataset, name))}\n" for dataset, name in places]
        return sha256("".join(lines).encode()).hexdigest()

    def _is_kept(self, path: str, key: str) -> bool:
        note, file = self._before.get(path), self._folder / path
        return note is not None and note.key == key and file.is_file() and file.stat().st_size == note.bytes

    def _note(self, path: str, what: str, key: str) -> None:
        self._files[path] = FileNote(what, key, (self._folder / path).stat().st_size)


def _each(values: Mapping[str, Mapping[str, Any]]) -> list[tuple[Place, Any]]:
    return [((dataset, name), value) for dataset, given in values.items() for name, value in given.items()]
