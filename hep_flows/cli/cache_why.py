"""What is known about one stored result, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import RecordError, StoreError
from hep_flows.execute.libraries import changed_libraries
from hep_flows.execute.reasons import NEVER
from hep_flows.execute.results import Results
from hep_flows.execute.why_computed import computed_because, replaced_by
from hep_flows.plugins import installed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.store.store import Store

MOST_FILES = 8


def explained(store: Store, key: str) -> str:
    """Give what a result is, what it was made from and how, and why a run would compute it or not."""
    import pyarrow.parquet as pq

    from hep_flows.store.parquet import read_footer

    sidecar, path = store.sidecar(key), store.path(key)
    if sidecar is None or path is None:
        raise StoreError(f"the result {key} is not in {store.folder.root}", do="hep-flows cache verify says whether it is damaged")
    with pq.ParquetFile(path) as file:
        about = read_footer(file)["provenance"]
    lines = [key, f"  {sidecar.type}, {sidecar.rows:,} rows, {sidecar.nbytes:,} bytes, stored {sidecar.created}"]
    lines.append(f"  computed by {about['plugin']}, whose results have version {about['result_version']}, in {about['seconds']} s")
    lines += [f"  written at {about['line']}"] if about.get("line") else []
    lines += _expression(about)
    lines += _data(about.get("dataset") or {})
    lines += _inputs(store, about.get("inputs") or [])
    lines += _since(store, str(about.get("task") or key), about)
    versions = ", ".join([f"{n} {v}" for n, v in (about.get("versions") or {}).items()])
    lines += [f"  written with {versions}", "    (versions of libraries are not part of the key)"]
    lines += [f"    {text}" for text in changed_libraries(about.get("versions") or {})]
    return "\n".join(lines)


def _since(store: Store, task: str, about: Mapping[str, Any]) -> list[str]:
    """Say why it was computed, in whose place it is, and what changed after it."""
    results, number = Results(store), bytes.fromhex(task)
    before, after, lines = computed_because(number, results), replaced_by(number, results), []
    if before is not None:
        lines.append(f"  computed because {before.because}" if before.because != NEVER else "  computed for the first time")
        lines += [f"    instead of {_shown(store, before.other)}"] if before.other else []
    if after is not None:
        lines += [f"  since then {after.because}", f"    in its place is {_shown(store, after.other)}"]
    plugin = {p.name: p for p in installed()}.get(str(about.get("plugin")))
    if plugin is not None and plugin.result_version != about.get("result_version"):
        lines.append(f"  the results of {plugin.name} have version {plugin.result_version} now: a run computes it again")
    return lines


def _shown(store: Store, task: str) -> str:
    """Give the first digits of a task, and whether its merged result is stored."""
    found = store.sidecar(task)
    return f"{task[:12]}{'' if found is None else f', stored {found.created}'}"


def _expression(about: Mapping[str, Any]) -> list[str]:
    from hep_flows.expr.text import tree_text
    from hep_flows.expr.transport import decode

    try:
        text = tree_text(decode(str(about["expression"]).encode())) if about["expression"] else str(about["text"])
    except RecordError:
        text = str(about["text"])
    return ["  the expression", *[f"    {line}" for line in text.splitlines()]]


def _data(dataset: Mapping[str, Any]) -> list[str]:
    if not dataset:
        return []
    files, content = dataset.get("files", []), dataset.get("content", [])
    lines = [f"  the data: {dataset.get('name')}, {len(files)} files"]
    if "start" in dataset:
        lines = [f"  the data: {dataset.get('name')}, events {dataset['start']:,} to {dataset['stop']:,} of"]
    for file, identity in list(zip(files, content, strict=False))[:MOST_FILES]:
        lines.append(f"    {file}  ({_content(str(identity))})")
    return lines


def _content(identity: str) -> str:
    events, _, checksum = identity.partition(":")
    return f"{int(events):,} events, content {checksum[:12]}" if events.isdigit() else identity[:20]


def _inputs(store: Store, inputs: list[Any]) -> list[str]:
    if not inputs:
        return []
    lines = ["  made from the results"]
    for key in inputs:
        found = store.sidecar(str(key))
        lines.append(f"    {key[:12]}  {'not stored by itself' if found is None else found.about.get('name', found.type)}")
    return lines
