"""Tables that ServiceX reads: files here, files that a server reaches, or a dataset that a server looks up.

What the back end can compute is computed there, and only the columns and rows that are needed travel. Local files need no server: the code
generator of the server then runs in this process. A table says in its kind how its queries are written: ``servicex:nanoaod``,
``servicex:tree`` and ``servicex:xaod`` by the branches of files, ``servicex:xaod-cpp`` by the methods of ATLAS objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr import build
from hep_flows.expr.key import digest
from hep_flows.expr.types import Record
from hep_flows.plugins.servicex.addresses import RemoteIdentity, epoch_text
from hep_flows.plugins.servicex.choose import address_named, is_configured
from hep_flows.plugins.servicex.query import MODELS
from hep_flows.sources.kinds import source_of
from hep_flows.sources.known_files import KnownFiles
from hep_flows.sources.paths import (
    DATASETS,
    LOCAL,
    dataset_name,
    event_dataset,
    files_of,
    is_of_servicex,
    listed_files,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from hep_flows.expr.nodes import Dataset
    from hep_flows.plugins.servicex.addresses import Address
    from hep_flows.sources.known_files import Facts

DIALECTS = ("uproot", "xaod")
_XROOTD = ("root://", "roots://")


def is_for_servicex(source: Any, kind: str) -> bool:
    """Say whether a source says itself that ServiceX reads its events.

    Raises
    ------
    SourceError
        When only a part of it does, or ServiceX does not read that kind of file.
    """
    items = source if isinstance(source, list | tuple) else [source]
    marked = [i for i in items if (isinstance(i, str) and i.startswith((LOCAL, *DATASETS))) or is_of_servicex(i)]
    if not marked:
        return False
    if kind not in MODELS:
        raise SourceError(f"ServiceX reads {', '.join(MODELS)}, not {kind}", do="give files without a scheme of ServiceX")
    if len(marked) < len(items):
        raise SourceError("some files of the table are for ServiceX, and others are not", do="write all of them alike")
    return True


def servicex_dataset(  # noqa: PLR0913 - what a table at a server is made of
    source: Any,
    facts: Facts,
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
    facts : Facts
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
    usual = source_of(kind)
    tree = tree or named or (usual.trees[0] if usual.names_tree == "any" and usual.trees else "")
    did = dataset_name(source)
    if did:
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
    if kind not in MODELS:
        raise SourceError(
            f"ServiceX reads {', '.join(MODELS)}, not {kind!r}",
            do=did_you_mean(str(kind), MODELS) or f"kind={MODELS[0]!r}",
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
    if endpoint is not None:
        return address_named(endpoint)
    return address_named(None) if all(f.startswith(_XROOTD) for f in files) and is_configured() else None


def _described(files: Sequence[str], kind: str, tree: str, facts: Facts, name: str) -> Dataset:
    found = KnownFiles(facts).describe(kind, files, tree)
    return build.dataset(f"servicex:{kind}", found.content, found.tree, found.record, files=found.files, name=name or found.name)


def _at_server(  # noqa: PLR0913 - what a table at a server is made of
    address: Address,
    files: tuple[str, ...],
    facts: Facts,
    *,
    kind: str,
    tree: str,
    like: str | os.PathLike[str] | None,
    dialect: str | None,
    refresh: bool,
    name: str,
) -> Dataset:
    """Give the table of files that a server reads; where they can be looked into from here, their content is their identity."""
    title = name or files[0].rsplit("/", 1)[-1]
    if like is None and dialect != "xaod":
        found = _described(files, kind, tree, facts, title)
        content = tuple([RemoteIdentity(address.place, f, c).written() for f, c in zip(found.files, found.content, strict=True)])
        assert isinstance(found.type.item, Record)
        return build.dataset(found.kind, content, found.tree, found.type.item, files=found.files, name=title)
    written, record, tree = _schema(kind, tree, like, dialect, facts)
    content = _by_name(address, files, facts, refresh=refresh)
    return build.dataset(written, content, tree, record, files=files, name=title)


def _by_name(address: Address, names: Sequence[str], facts: Facts, *, refresh: bool) -> tuple[str, ...]:
    """Give the identities of things that are known by name only, each in its epoch."""
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
    kind: str, tree: str, like: str | os.PathLike[str] | None, dialect: str | None, facts: Facts
) -> tuple[str, Record, str]:
    """Give the kind of the table, its schema, and the name of the tree."""
    if like is not None:
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
