"""Write the results of an analysis into a folder: histograms, numbers, skims, plots, the report, and the manifest of all that."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from hep_flows.analysis.carry_out import Stored
from hep_flows.analysis.outputs.histogram_files import as_hist, write_json, write_root
from hep_flows.analysis.outputs.manifest import NAME, Begun, FileNote, remove_stale, write_manifest
from hep_flows.analysis.outputs.numbers import plain_number
from hep_flows.analysis.outputs.plots import can_plot, plot_names
from hep_flows.analysis.outputs.report_text import error_texts, report_text
from hep_flows.analysis.outputs.skim import Part, Skim, part_name, write_skim
from hep_flows.analysis.outputs.whole_files import alone_in, file_name, remove_unfinished
from hep_flows.errors import HepFlowsError, StoreError
from hep_flows.execute.run_result import Missing
from hep_flows.expr.types import Record
from hep_flows.store.commit import told_of_disk, whole_file, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hep_flows.analysis.prepare import Prepared
    from hep_flows.analysis.result import AnalysisResult
    from hep_flows.execute.stored_parts import StoredParts
    from hep_flows.planning.task import Key

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
            return _Writing(folder, prepared, parts, needed).all(result)


class Needed:
    """How many bytes the file that is being written has, before compression."""

    nbytes = 0

    def noted(self, array: Any) -> Any:
        """Note the size of an array, and give it."""
        self.nbytes = int(array.nbytes)
        return array


class _Writing:
    """The files so far."""

    def __init__(self, folder: Path, prepared: Prepared, parts: StoredParts, needed: Needed) -> None:
        self._folder, self._prepared, self._parts, self._needed = folder, prepared, parts, needed
        self._begun = Begun(folder)
        self._before = self._begun.before
        self._files: dict[str, FileNote] = {}
        self._notes: list[str] = []
        self._errors: list[HepFlowsError] = []
        self._tasks = {t.key: t for t in prepared.plan.tasks}

    def all(self, result: AnalysisResult) -> AnalysisResult:
        remove_unfinished(self._folder)
        values = self._skims(result.values)
        self._histograms({p: as_hist(v) for p, v in _each(values) if self._output(p) == "histogram" and not isinstance(v, Missing)})
        self._numbers(values)
        report = replace(result.report, errors=(*result.report.errors, *self._errors))
        done = replace(result, values=values, report=report)
        self._report(done)
        remove_stale(self._folder, self._before, self._files)
        write_manifest(self._folder, self._files, self._results(values), self._notes, complete=done.is_complete)
        self._begun.ended()
        return replace(done, written=(*sorted(self._files), NAME))

    def _key(self, place: Place) -> Key:
        return self._prepared.targets[place[0]][place[1]]

    def _output(self, place: Place) -> str:
        return self._tasks[self._key(place)].output if place[0] in self._prepared.targets else ""

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
        key = self._key(place)
        if isinstance(value, Stored):
            parts = [Part(k.hex(), partial(self._stored, k)) for k in self._parts.names(key)]
        else:
            parts = [Part(key.hex(), partial(self._needed.noted, value))]
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
        if named and not self._is_kept("histograms.json", key):
            write_json(self._folder / "histograms.json", named)
        if named and not self._is_kept("histograms.root", key):
            left_out = write_root(self._folder / "histograms.root", named)
            self._notes += [f"{name} is not in histograms.root: {reason}" for name, reason in left_out.items()]
        for name in ("histograms.json", "histograms.root") if named else ():
            self._note(name, "histograms", key)
        for place, name in plot_names([p for p, h in histograms.items() if can_plot(h)]).items():
            self._plot(place, f"plots/{name}", histograms[place])

    def _plot(self, place: Place, path: str, histogram: Any) -> None:
        key = self._key(place).hex()
        self._begun.note(path)
        if not self._is_kept(path, key):
            from hep_flows.show.histogram_plot import save_histogram_plot

            with whole_file(self._folder / path) as part:
                save_histogram_plot(histogram, part, f"{place[0]}: {place[1]}")
        self._note(path, "plot", key)

    def _numbers(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        found: dict[str, dict[str, Any]] = {}
        places = [p for p, v in _each(values) if self._output(p) == "scalar" and not isinstance(v, Missing)]
        for dataset, name in places:
            found.setdefault(dataset, {})[name] = plain_number(values[dataset][name])
        if found:
            self._begun.note("numbers.json")
            write_text(self._folder / "numbers.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
            self._note("numbers.json", "numbers", self._all_keys(places))

    def _report(self, result: AnalysisResult) -> None:
        datasets = [{"name": d.name, "kind": d.kind, "files": d.files, "failed": d.failed} for d in result.datasets]
        said = result.report.as_json() | {"datasets": datasets, "errors": error_texts(result.report.errors)}
        self._begun.note("report.json", "report.txt")
        write_text(self._folder / "report.json", json.dumps(said, indent=1) + "\n")
        write_text(self._folder / "report.txt", report_text(result))
        for name in ("report.json", "report.txt"):
            self._note(name, "report", "")

    def _results(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Give what became of each result, for the manifest."""
        said: dict[str, dict[str, Any]] = {}
        for place, value in _each(values):
            about: dict[str, Any] = {"what": "missing", "reason": value.reason} if isinstance(value, Missing) else {}
            if not about:
                about = {"what": self._output(place), "key": self._key(place).hex()}
            if isinstance(value, Skim):
                about |= {"what": "skim", "rows": value.rows, "files": len(value.files)}
            said.setdefault(place[0], {})[place[1]] = about
        return said

    def _all_keys(self, places: Sequence[Place]) -> str:
        lines = [f"{dataset}\0{name}\0{self._key((dataset, name)).hex()}\n" for dataset, name in places]
        return sha256("".join(lines).encode()).hexdigest()

    def _is_kept(self, path: str, key: str) -> bool:
        note, file = self._before.get(path), self._folder / path
        return note is not None and note.key == key and file.is_file() and file.stat().st_size == note.bytes

    def _note(self, path: str, what: str, key: str) -> None:
        self._files[path] = FileNote(what, key, (self._folder / path).stat().st_size)


def _each(values: Mapping[str, Mapping[str, Any]]) -> list[tuple[Place, Any]]:
    return [((dataset, name), value) for dataset, given in values.items() for name, value in given.items()]
