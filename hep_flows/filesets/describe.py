"""The tables of the datasets of a fileset: what kind they are, their files, their schema."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hep_flows.errors import HepFlowsError, SourceError
from hep_flows.filesets.kinds import guessed_kind
from hep_flows.plugins.awkward.trees import TREES, Asked
from hep_flows.source_files import dataset_name, files_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Dataset
    from hep_flows.filesets.entry import AtServer, Entry
    from hep_flows.plugins.awkward.known_files import KnownFiles

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Described:
    """A dataset whose files were looked at.

    Parameters
    ----------
    entry : Entry
        As it stands in the fileset.
    table : Dataset
        Its table.
    kind_reason : str
        Why it is taken for that kind of table; empty where the fileset says so.
    """

    entry: Entry
    table: Dataset
    kind_reason: str


def describe_all(
    entries: Sequence[Entry], facts: Results, *, kind: str = "", missing_tree: str = "", keep_going: bool = True
) -> tuple[dict[str, Described], dict[str, HepFlowsError]]:
    """Give the tables by dataset, and why each other dataset cannot be used.

    Parameters
    ----------
    entries : sequence of Entry
        The datasets.
    facts : Results
        Where it is remembered what is in files.
    kind : str
        The kind of table of all datasets that do not name one; guessed when empty.
    missing_tree : str
        What a file without the tree means in datasets that do not say: ``empty``, else an error.
    keep_going : bool
        Whether a dataset that cannot be used leaves the others; else its error comes out.
    """
    from hep_flows.plugins.awkward.known_files import KnownFiles

    known = KnownFiles(facts)

    def one(entry: Entry) -> Described | HepFlowsError:
        try:
            return _described(entry, facts, known, kind, missing_tree)
        except HepFlowsError as error:
            return error

    # Where files are known, looking at them takes less time than starting threads.
    remote = any("://" in f for e in entries for f in e.files)
    if remote and len(entries) > 1:
        with ThreadPoolExecutor(min(_THREADS, len(entries))) as threads:
            found = list(threads.map(one, entries))
    else:
        found = [one(e) for e in entries]
    return _sorted_out(dict(zip([e.name for e in entries], found, strict=True)), keep_going=keep_going)


def _sorted_out(
    found: Mapping[str, Described | HepFlowsError], *, keep_going: bool
) -> tuple[dict[str, Described], dict[str, HepFlowsError]]:
    failed = {n: d for n, d in found.items() if isinstance(d, HepFlowsError)}
    if failed and not keep_going:
        raise next(iter(failed.values()))
    return {n: d for n, d in found.items() if isinstance(d, Described)}, failed


def _described(entry: Entry, facts: Results, known: KnownFiles, asked: str, missing_tree: str) -> Described:
    from hep_flows.record.sources import dataset_of

    if entry.server is not None:
        return _at_server(entry, entry.server, facts, asked)
    kind, reason = entry.kind or asked, ""
    if not kind:
        # As a tree, so that what follows the colon of "file.root:Events" is taken for its name.
        files, tree = files_of(entry.files, "tree", entry.tree, may_repeat=False)
        kind, reason = guessed_kind(files[0], tree, facts)
    files, tree = _files(entry, kind)
    how = Asked(tree, (entry.missing_tree or missing_tree) == "empty", entry.collections)
    table = dataset_of(known.describe(kind, files, tree, how), kind, entry.name, entry.collections)
    _check_events(entry, table)
    return Described(entry, table, reason)


def _at_server(entry: Entry, how: AtServer, facts: Results, asked: str) -> Described:
    """Describe a dataset that a server reads: its kind is what is said, else that of its tree or of the file that it is like."""
    from hep_flows.servicex_tables import servicex_dataset

    kind, reason = entry.kind or asked, ""
    if not kind:
        if not entry.tree and not how.like:
            raise SourceError(
                f"nothing says what kind of table {entry.files[0]} is",
                why="it cannot be looked into from here",
                do='add {"schema": "nanoaod"} to its metadata, or name its tree',
            )
        kind, reason = guessed_kind(how.like, entry.tree, facts)
    source = entry.files[0] if dataset_name(entry.files[0]) else list(entry.files)
    tree = "" if kind == "xaod" else entry.tree
    like, endpoint, dialect = (v or None for v in (how.like, how.endpoint, how.dialect))
    table = servicex_dataset(source, facts, kind=kind, tree=tree, like=like, endpoint=endpoint, dialect=dialect, name=entry.name)
    return Described(entry, table, reason)


def _files(entry: Entry, kind: str) -> tuple[tuple[str, ...], str]:
    match kind:
        case "xaod":
            if entry.tree not in ("", *TREES[kind]):
                raise SourceError(
                    f"the tree of xAOD files is {' or '.join(TREES[kind])}, not {entry.tree}", do="is it of another kind?"
                )
            plain = [f.removesuffix(f":{TREES[kind][0]}").removesuffix(f":{TREES[kind][1]}") for f in entry.files]
            return files_of(plain, kind, entry.tree, may_repeat=False)
        case "parquet":
            return files_of(entry.files, kind, may_repeat=False)
        case _:
            return files_of(entry.files, kind, entry.tree, may_repeat=False)


def _check_events(entry: Entry, table: Dataset) -> None:
    """Check that files have as many events as the fileset says: else they are not the files that it was made for."""
    for file, content in zip(table.files, table.content, strict=True):
        said, has = entry.events.get(file), content.partition(":")[0]
        if said is not None and has.isdigit() and int(has) != said:
            raise SourceError(
                f"{file} has {int(has):,} events, the fileset says {said:,}", do="make the fileset anew, or leave num_entries out"
            )
