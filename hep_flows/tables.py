"""Tables of events: a source, and the schema that is read from it.

::

    nanoaod_table("nano.root")                       CMS NanoAOD, tree Events
    xaod_table("DAOD_PHYSLITE.root")                 ATLAS PHYSLITE, tree CollectionTree
    tree_table("ntuple.root", tree="analysis")       any TTree or RNTuple; tree_table("ntuple.root:analysis") is the same
    parquet_table("events.parquet")                  Parquet
    events_table("run.csv", kind="csv")              files of any kind, such as one that a plug-in brings
    servicex_table("nano.root", kind="nanoaod")      the same files, read by ServiceX: queries are computed where the files are

A source is a path, a pattern (``"data/*.root"``), a URL (``http://``, ``https://``, ``root://``), or a list of these; several
files are one table, in the order given. Datasets (``rucio://scope:name``) and files that are written ``localds://path`` are read by
ServiceX, as with `servicex_table`. Making a table reads the schema and no event data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import HepFlowsError, SourceError, line_of, with_article
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.expr.nodes import Dataset
    from hep_flows.record.dataframe import DataFrame
    from hep_flows.sources.paths import Source
    from hep_flows.store.store import Store

    MissingTree = Literal["empty", "error"]


@checked
def nanoaod_table(source: Any, *, tree: str = "Events", missing_tree: MissingTree = "error") -> DataFrame:
    """Give the table of the events of CMS NanoAOD files.

    Parameters
    ----------
    source : path, pattern, URL, or list of these
        The files.
    tree : str
        The tree.
    missing_tree : str
        What a file without the tree means: an ``error``, or ``empty``: no events.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or has no such tree.
    """
    return events_table(source, kind="nanoaod", tree=tree, missing_tree=missing_tree)


@checked
def xaod_table(source: Any, *, missing_tree: MissingTree = "error") -> DataFrame:
    """Give the table of the events of ATLAS xAOD files in PHYSLITE format, as trees or RNTuples.

    Parameters
    ----------
    source : path, pattern, URL, or list of these
        The files.
    missing_tree : str
        What a file without the tree means: an ``error``, or ``empty``: no events.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or no server is set up for a dataset.
    """
    return events_table(source, kind="xaod", missing_tree=missing_tree)


@checked
def tree_table(
    source: Any,
    tree: str = "",
    *,
    missing_tree: MissingTree = "error",
    collections: Mapping[str, Sequence[str]] | None = None,
) -> DataFrame:
    """Give the table of the entries of a TTree or RNTuple.

    Parameters
    ----------
    source : path, pattern, URL, or list of these
        The files.
    tree : str
        Its name; may be left out when the file has only one, or when the source is ``file.root:tree``.
    missing_tree : str
        What a file without the tree means: an ``error``, or ``empty``: no events.
    collections : mapping of str to sequence of str, optional
        Leaves whose lists are the objects of one collection, by its name, where neither counters nor names tell that.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, or it is not clear which tree is meant.
    """
    return events_table(source, kind="tree", tree=tree, missing_tree=missing_tree, collections=collections)


@checked
def parquet_table(source: Source, *, collections: Mapping[str, Sequence[str]] | None = None) -> DataFrame:
    """Give the table of the rows of Parquet files.

    Parameters
    ----------
    source : path, pattern, URL, or list of these
        The files.
    collections : mapping of str to sequence of str, optional
        Columns whose lists are the objects of one collection, by its name, where names do not tell that.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind.
    """
    return events_table(source, kind="parquet", collections=collections)


@checked
def events_table(
    source: Any,
    *,
    kind: str,
    tree: str = "",
    missing_tree: MissingTree = "error",
    collections: Mapping[str, Sequence[str]] | None = None,
) -> DataFrame:
    """Give the table of the events of files of any kind: those of this package, and those that installed plug-ins bring.

    Parameters
    ----------
    source : path, pattern, URL, or list of these
        The files.
    kind : str
        How they are to be understood: ``nanoaod``, ``xaod``, ``tree``, ``parquet``, or the kind that a plug-in reads.
    tree : str
        The tree, where files of the kind have several.
    missing_tree : str
        What a file without the tree means: an ``error``, or ``empty``: no events.
    collections : mapping of str to sequence of str, optional
        Leaves whose lists are the objects of one collection, by its name, where neither counters nor names tell that.

    Raises
    ------
    SourceError
        When no plug-in reads the kind, or a file is missing, damaged, of another kind, or has no such tree.
    PluginError
        When the plug-in that reads the kind is broken.
    """
    from hep_flows.execute.results import Results, open_store
    from hep_flows.plugins.servicex.tables import is_for_servicex
    from hep_flows.record.dataframe import table_of
    from hep_flows.settings import read_settings
    from hep_flows.sources.known_files import KnownFiles
    from hep_flows.sources.paths import Asked, collections_named, files_of, missing_tree_named

    where = line_of(user_site())
    if not isinstance(tree, str):
        raise SourceError(f"a tree is named by a text, not by {with_article(tree)}", where=where, do='write tree="Events"')
    try:
        if is_for_servicex(source, kind):
            return servicex_table(source, kind=kind, tree=tree)
        files, tree = files_of(source, kind, tree)
        named = collections_named(collections, "the table")
        asked = Asked(tree, missing_tree_named(missing_tree, "the table") == "empty", named)
        known = KnownFiles(Results(open_store(read_settings())))
        frame = table_of(known.describe(kind, files, tree, asked), kind, named)
    except HepFlowsError as error:
        error.where = error.where or where
        raise
    frame._table.open_tree = other_tree  # noqa: SLF001
    return frame


@checked
def servicex_table(  # noqa: PLR0913 - what a table at a server is made of
    source: Any,
    *,
    kind: str,
    tree: str = "",
    like: str | os.PathLike[str] | None = None,
    endpoint: str | None = None,
    dialect: str | None = None,
    refresh: bool = False,
) -> DataFrame:
    """Give the table of the events of files that ServiceX reads: what it can compute is computed there.

    Parameters
    ----------
    source : path, URL, list of these, dataset name, object of ``servicex.dataset``, or dataset of func_adl
        ``localds://path`` is the same as the path; ``rucio://scope:name`` and ``cernopendata://number`` are datasets that a server
        looks up.
    kind : str
        How the files are to be understood: ``nanoaod``, ``xaod`` or ``tree``, as `nanoaod_table`, `xaod_table` and `tree_table` do.
    tree : str
        The tree, as there.
    like : path, optional
        A file of the same form, whose schema is taken where the files themselves cannot be looked into.
    endpoint : str, optional
        A server by its name in ``servicex.yaml``. When left out: for datasets and ``root://`` files the default server, where one is set up;
        for other files this process, which needs no server.
    dialect : str, optional
        ``uproot`` asks for branches, ``xaod`` (ATLAS files at a server) for the methods of objects. When left out, ``xaod`` for an ATLAS dataset
        without ``like``, else ``uproot``.
    refresh : bool
        Take what a server knows by name for new: nothing that was stored of it is found any more.

    Raises
    ------
    SourceError
        When a file is missing, damaged or of another kind, no server is set up, or nothing says what is in a dataset.
    """
    from hep_flows.execute.results import Results, open_store
    from hep_flows.plugins.servicex.tables import servicex_dataset
    from hep_flows.record.dataframe import frame_of
    from hep_flows.settings import read_settings

    where = line_of(user_site())
    try:
        facts = Results(open_store(read_settings()))
        frame = frame_of(
            servicex_dataset(source, facts, kind=kind, tree=tree, like=like, endpoint=endpoint, dialect=dialect, refresh=refresh)
        )
    except HepFlowsError as error:
        error.where = error.where or where
        raise
    frame._table.open_tree = other_tree  # noqa: SLF001
    return frame


def changed_file(tables: Iterable[Dataset], store: Store | None, where: Where) -> tuple[Dataset, SourceError] | None:
    """Give the table and the error of a local file that does not hold what it held when its table was made, or None when all do.

    Without a cache there is nothing to look for: reading a changed file is an error.
    """
    from hep_flows.execute.results import Results
    from hep_flows.sources.known_files import KnownFiles

    if store is None:
        return None
    known = KnownFiles(Results(store))
    for table in tables:
        try:
            file = known.changed(table)
        except SourceError as error:
            error.where = error.where or line_of(where)
            return table, error
        if file is not None:
            why = "a table stands for what its files held then"
            what = f"{file} has changed since the table was made"
            return table, SourceError(what, where=where, why=why, do="make the table again")
    return None


def other_tree(table: Dataset, name: str) -> Dataset:
    """Give another tree of the files of a table, with its leaves under their names with and without a trailing ``_``.

    Raises
    ------
    SourceError
        When a file has no such tree, or the files are none that are opened here.
    """
    from hep_flows.execute.results import Results, open_store
    from hep_flows.expr import build
    from hep_flows.expr.types import Record
    from hep_flows.record.dataframe import dataset_of
    from hep_flows.settings import read_settings
    from hep_flows.sources.kinds import TreeSource, kinds
    from hep_flows.sources.known_files import KnownFiles

    where = line_of(user_site())
    at_server = table.kind != table.model
    if at_server or not isinstance(kinds().sources.get(table.kind), TreeSource):
        raise SourceError(
            f"{table.name} is read as {table.kind}, which has no other trees",
            where=where,
            do=f'make a table of the tree itself, and its number local: make_local(servicex_table(files, kind="tree", tree="{name}").x.Sum()); '
            'in an analysis take it from the fileset: events.metadata["sumw"]'
            if at_server
            else "make a table of the tree itself: tree_table(files, tree=...)",
        )
    try:
        known = KnownFiles(Results(open_store(read_settings())))
        kind = "xaod" if table.kind == "xaod" else "tree"  # containers of objects are stored in the same way in all trees of a file
        found = dataset_of(known.describe(kind, table.files, name), kind, table.name)
    except SourceError as error:
        error.where = error.where or where
        raise
    record = found.type.item
    assert isinstance(record, Record)
    also = {n[:-1]: m for n, m in record.members.items() if n.endswith("_")} | {f"{n}_": m for n, m in record.members.items()}
    members = {n: m for n, m in also.items() if n and n not in record.members}
    if not members:
        return found
    every = Record(record.name, {**record.members, **members}, record.model, record.doc)
    return build.dataset(found.kind, found.content, found.tree, every, files=found.files, name=found.name)
