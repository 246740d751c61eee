"""A package that brings a kind of table: CSV files with a line for each event, and lists with semicolons.

::

    event,MET_pt[GeV],jet_pt[GeV],jet_eta,good:bool
    1,42.5,50.25;31,0.5;-1.25,1
    2,17,,,0
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
from awkward.forms import ListOffsetForm, NumpyForm

from hep_flows.contract import Source, StoredColumn, StoredTable
from hep_flows.expr.types import Record
from hep_flows.sources.schema import flat_record
from hep_flows.sources.stored import whole_content


class CsvTable(StoredTable):
    """One CSV file, read when it is opened."""

    def __init__(self, file: str) -> None:
        self.file = file
        with Path(file).open(newline="") as text:
            header, *self._lines = csv.reader(text)
        self._columns = {name.partition("[")[0].partition(":")[0]: (name, i) for i, name in enumerate(header)}
        self.entries = len(self._lines)
        self.content = whole_content(file, self.entries)

    def columns(self):
        return {n: StoredColumn(n, self._form(n), title=_title(written)) for n, (written, _) in self._columns.items()}

    def read(self, paths, start, stop):
        return {(name,): self._array(name, start, stop) for (name,) in paths}

    def _form(self, name):
        number = NumpyForm("bool" if self._columns[name][0].endswith(":bool") else "float64")
        return ListOffsetForm("i64", number) if "_" in name and name.startswith("jet") else number

    def _array(self, name, start, stop):
        place = self._columns[name][1]
        texts = [line[place] for line in self._lines[start:stop]]
        form = self._form(name)
        if isinstance(form, NumpyForm):
            return np.array([float(t) for t in texts]).astype(form.primitive)
        lists = [[float(t) for t in text.split(";") if t] for text in texts]
        return ak.unflatten(np.array([x for one in lists for x in one], np.float64), [len(one) for one in lists])


def _title(written):
    unit = written.partition("[")[2].removesuffix("]")
    return f"in {unit}" if unit else ""


class CsvSource(Source):
    """CSV files of events."""

    kind = "csv"
    title = "CSV files"
    endings = (".csv",)
    words = ("csvschema",)
    by_lists = True

    def open(self, file, trees):
        return CsvTable(file)

    def describe(self, columns, lists):
        return _with_units(flat_record(columns, lists, "csv"))


def _with_units(record: Record) -> Record:
    """Take the units out of the titles."""
    made = {}
    for name, member in record.members.items():
        unit = member.doc.removeprefix("in ")
        item = _with_units(member.item) if isinstance(member.item, Record) else member.item
        made[name] = replace(member, item=item, unit=unit, doc="")
    return replace(record, members=made)


class CsvPlugin:
    """Brings the kind and executes nothing."""

    name = "csv-events"
    sources = (CsvSource,)
