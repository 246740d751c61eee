"""Tables of events: a source, and the schema that is read from it.

::

    nanoaod_table("nano.root")                       CMS NanoAOD, tree Events
    xaod_table("DAOD_PHYSLITE.root")                 ATLAS PHYSLITE, tree CollectionTree
    tree_table("ntuple.root", tree="analysis")       any TTree or RNTuple; tree_table("ntuple.root:analysis") is the same
    parquet_table("events.parquet")                  Parquet
    servicex_table("nano.root", kind="nanoaod")      the same files, read by ServiceX: queries are computed where the files are

A source is a path, a pattern (``"data/*.root"``), a URL (``http://``, ``https://``, ``root://``), or a list of these; several
files are one table, in the order given. Datasets (``rucio://scope:name``) and files that are written ``localds://path`` are read by
ServiceX, as with `servicex_table`. Making a table reads the schema and no event data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.errors import HepFlowsError, SourceError, did_you_mean, line_of, with_article
from hep_flows.expr import build
from hep_flows.expr.key import digest
from hep_flows.expr.types import Record
from hep_flows.record.arguments import checked
from hep_flows.record.where import user_site
from hep_flows.sources.paths import (
    SERVICEX_KINDS,
    collections_named,
    dataset_name,
    event_dataset,
    files_of,
    is_for_servicex,
    listed_files,
    missing_tree_named,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from hep_flows.errors import Where
    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Dataset
    from hep_flows.plugins.servicex.addresses import Address
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
    return _table("nanoaod", source, tree, missing_tree)


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
    return _table("xaod", source, "", missing_tree)


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
    return _table("tree", source, tree, missing_tree, collections)


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
    return _table("parquet", source, "", collections=collections)


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
    from hep_flows.record.dataframe import frame_of
    from hep_flows.settings import read_settings

    where = line_of(user_site())
    try:
        facts = Results(open_store(read_settings()))
        return frame_of(
            servicex_dataset(source, facts, kind=kind, tree=tree, like=like, endpoint=endpoint, dialect=dialect, refresh=refresh)
        )
    except HepFlowsError as error:
        error.where = error.where or where
        raise


def changed_file(tables: Iterable[Dataset], store: Store | None, where: Where) -> tuple[Dataset, SourceError] | None:
    """Give the table and the error of a local file that does not hold what it held when its table was made, or None when all do.

    Without a cache there is nothing to look for: reading a changed file is an error.
    """
    from hep_flows.execute.results import Results
    from hep_flows.plugins.awkward.plugin import KINDS
    from hep_flows.plugins.servicex.addresses import RemoteIdentity
    from hep_flows.sources.known_files import KnownFiles

    if store is None:
        return None
    known = KnownFiles(Results(store))
    for table in tables:
        stored_as = replace(table, kind=table.model)
        if stored_as.kind not in KINDS or any(RemoteIdentity.read(c) is not None for c in table.content):
            continue
        try:
            file = known.changed(stored_as)
        except SourceError as error:
            error.where = error.where or line_of(where)
            return table, error
        if file is not None:
            why = "a table stands for what its files held then"
            what = f"{file} has changed since the table was made"
            return table, SourceError(what, where=where, why=why, do="make the table again")
    return None


def _table(
    kind: str, source: Any, tree: str, missing_tree: Any = "error", collections: Mapping[str, Sequence[str]] | None = None
) -> DataFrame:
    from hep_flows.execute.results import Results, open_store
    from hep_flows.record.dataframe import table_of
    from hep_flows.settings import read_settings
    from hep_flows.sources.known_files import KnownFiles
    from hep_flows.sources.paths import Asked

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
        if error.where is None:
            error.where = where
        raise
    frame._table.open_tree = other_tree  # noqa: SLF001
    return frame


def other_tree(table: Dataset, name: str) -> Dataset:
    """Give another tree of the files of a table, with its leaves under their names with and without a trailing ``_``.

    Raises
    ------
    SourceError
        When a file has no such tree, or the files are none that are opened here.
    """
    from hep_flows.execute.results import Results, open_store
    from hep_flows.record.dataframe import dataset_of
    from hep_flows.settings import read_settings
    from hep_flows.sources.known_files import KnownFiles

    where = line_of(user_site())
    if table.kind not in ("nanoaod", "xaod", "tree"):
        raise SourceError(
            f"{table.name} is read as {table.kind}, which has no other trees",
            where=where,
            do="make a table of the tree itself: tree_table(files, tree=...)",
        )
    try:
        known = KnownFiles(Results(open_store(read_settings())))
        found = dataset_of(known.describe("tree", table.files, name), "tree", table.name)
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


# Tables that ServiceX reads: files here, files that a server reaches, or a dataset that a server looks up ------------------------
#
# What the back end can compute is computed there, and only the columns and rows that are needed travel. Local files need no server: the code
# generator of the server then runs in this process. A table says in its kind how its queries are written: ``servicex:nanoaod``,
# ``servicex:tree`` and ``servicex:xaod`` by the branches of files, ``servicex:xaod-cpp`` by the methods of ATLAS objects.

DIALECTS = ("uproot", "xaod")
_XROOTD = ("root://", "roots://")


def servicex_dataset(  # noqa: PLR0913 - what a table at a server is made of
    source: Any,
    facts: Results,
    *,
    kind: str,
    tree: str = "",
    like: str | os.PathLike[str] | None = None,
    endpoint: str | None = None,
    dialect: str | None = None,
    refresh: bool = False,
    name: str = "",
) -> Dataset:
    """Give the table of a source; the arguments are those of `hep_flows.tables.servicex_table`.

    Parameters
    ----------
    facts : Results
        Where it is remembered what is in files, and the epochs of datasets.
    name : str
        What the table is called.

    Raises
    ------
    SourceError
        When the source, the kind or the server cannot be used, or nothing says what is in a dataset.
    """
    _check(kind, dialect)
    source, named = event_dataset(source)
    if tree and named and tree != named:
        raise SourceError(f"the dataset names the tree {named}, and not {tree}", do="leave tree out")
    tree = tree or named or ("Events" if kind == "nanoaod" else "")
    did = dataset_name(source)
    if did:
        from hep_flows.plugins.servicex.choose import address_named

        written, record, tree = _schema(kind, tree, like, dialect, facts)
        content = _by_name(address_named(endpoint), (did,), facts, refresh=refresh)
        return build.dataset(written, content, tree, record, files=(did,), name=name or did.rpartition(":")[2].strip("/"))
    files, tree = files_of(listed_files(source), kind, tree)
    address = _address_for(files, endpoint)
    if address is None:
        _no_cpp(dialect)
        return _described(files, kind, tree, facts, name)
    return _at_server(address, files, facts, kind=kind, tree=tree, like=like, dialect=dialect, refresh=refresh, name=name)


def _check(kind: str, dialect: str | None) -> None:
    if kind not in SERVICEX_KINDS:
        raise SourceError(
            f"ServiceX reads {', '.join(SERVICEX_KINDS)}, not {kind!r}",
            do=did_you_mean(str(kind), SERVICEX_KINDS) or f"kind={SERVICEX_KINDS[0]!r}",
        )
    if dialect is not None and dialect not in DIALECTS:
        raise SourceError(f"there is no dialect {dialect!r}", do=did_you_mean(str(dialect), DIALECTS) or "it is uproot or xaod")
    if dialect == "xaod" and kind != "xaod":
        raise SourceError(f"the dialect xaod reads ATLAS files, not {kind!r}", do="leave dialect out")


def _no_cpp(dialect: str | None) -> None:
    if dialect == "xaod":
        raise SourceError(
            "the dialect xaod needs a server",
            why="its queries become C++ that runs in a release of ATLAS software",
            do="leave dialect out: the files are then read by their branches",
        )


def _address_for(files: Sequence[str], endpoint: str | None) -> Address | None:
    """Give the server that files are read by; None where this process reads them."""
    from hep_flows.plugins.servicex.choose import address_named, is_configured

    if endpoint is not None:
        return address_named(endpoint)
    return address_named(None) if all(f.startswith(_XROOTD) for f in files) and is_configured() else None


def _described(files: Sequence[str], kind: str, tree: str, facts: Results, name: str) -> Dataset:
    from hep_flows.sources.known_files import KnownFiles

    found = KnownFiles(facts).describe(kind, files, tree)
    return build.dataset(f"servicex:{kind}", found.content, found.tree, found.record, files=found.files, name=name or found.name)


def _at_server(  # noqa: PLR0913 - what a table at a server is made of
    address: Address,
    files: tuple[str, ...],
    facts: Results,
    *,
    kind: str,
    tree: str,
    like: str | os.PathLike[str] | None,
    dialect: str | None,
    refresh: bool,
    name: str,
) -> Dataset:
    """Give the table of files that a server reads; where they can be looked into from here, their content is their identity."""
    from hep_flows.plugins.servicex.addresses import RemoteIdentity

    title = name or files[0].rsplit("/", 1)[-1]
    if like is None and dialect != "xaod":
        found = _described(files, kind, tree, facts, title)
        content = tuple([RemoteIdentity(address.place, f, c).written() for f, c in zip(found.files, found.content, strict=True)])
        assert isinstance(found.type.item, Record)
        return build.dataset(found.kind, content, found.tree, found.type.item, files=found.files, name=title)
    written, record, tree = _schema(kind, tree, like, dialect, facts)
    content = _by_name(address, files, facts, refresh=refresh)
    return build.dataset(written, content, tree, record, files=files, name=title)


def _by_name(address: Address, names: Sequence[str], facts: Results, *, refresh: bool) -> tuple[str, ...]:
    """Give the identities of things that are known by name only, each in its epoch."""
    from hep_flows.plugins.servicex.addresses import RemoteIdentity, epoch_text

    made = []
    for name in names:
        place = digest("servicex epoch", address.place, name)
        known = facts.remembered(place)
        epoch = known if isinstance(known, int) and not isinstance(known, bool) else 0
        if refresh:
            epoch += 1
            facts.remember(place, epoch)
        made.append(RemoteIdentity(address.place, name, epoch_text(epoch)).written())
    return tuple(made)


def _schema(
    kind: str, tree: str, like: str | os.PathLike[str] | None, dialect: str | None, facts: Results
) -> tuple[str, Record, str]:
    """Give the kind of the table, its schema, and the name of the tree."""
    if like is not None:
        from hep_flows.sources.known_files import KnownFiles

        files, tree = files_of([like], kind, tree)
        found = KnownFiles(facts).describe(kind, files, tree)
        return (f"servicex:{kind}" if dialect != "xaod" else "servicex:xaod-cpp"), found.record, found.tree
    if kind != "xaod":
        raise SourceError(
            f"nothing says what is in a {kind} dataset that only a server reads",
            why="names and types are checked before anything is sent",
            do="like=FILE takes the schema of a file of the same form",
        )
    if dialect == "uproot":
        raise SourceError(
            "the dialect uproot reads branches, and nothing says which there are", do="like=FILE, or leave dialect out"
        )
    from hep_flows.plugins.servicex.xaod.schema import installed_release, open_event, typed_event

    release = installed_release()
    return "servicex:xaod-cpp", typed_event(release) if release else open_event(), ""
