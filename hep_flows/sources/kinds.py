"""Kinds of tables: what installed plug-ins bring, the built-in ones among them.

``sources`` of a plug-in's class are classes of `hep_flows.contract.Source`. Nothing here loads an array library: that happens when a file is
opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from hep_flows.contract import Source, package_of, registered_points
from hep_flows.errors import PluginError, SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.metadata import EntryPoint

    from hep_flows.contract import StoredColumn, StoredTable
    from hep_flows.expr.types import Record

    Columns = Mapping[str, StoredColumn]
    Lists = Mapping[str, Sequence[str]]

# The built-in kinds --------------------------------------------------------------------------------------------------------------


class TreeSource(Source):
    """Any TTree or RNTuple: every branch is a leaf; lists that belong together are collections."""

    kind = "tree"
    title = "flat trees"
    endings = (".root",)
    words: tuple[str, ...] = ("ntuple", "baseschema")
    names_tree: Literal["any", "fixed", ""] = "any"
    by_lists = True

    def open(self, file: str, trees: Sequence[str]) -> StoredTable:
        """Open the tree of a ROOT file."""
        from hep_flows.sources.root import open_tree

        return open_tree(file, trees)

    def describe(self, columns: Columns, lists: Lists) -> Record:
        """Give leaves, and collections by counter or by their lists."""
        from hep_flows.sources.schema import flat_record

        return flat_record(columns, lists, "tree")


class NanoAODSource(TreeSource):
    """CMS NanoAOD: collections by counter, groups of event values by prefix."""

    kind = "nanoaod"
    title = "NanoAOD"
    words = ("nanoaodschema",)
    trees = ("Events",)
    by_lists = False

    def describe(self, columns: Columns, lists: Lists) -> Record:
        """Give collections and groups first, then every branch by its full name."""
        from hep_flows.sources.schema import nanoaod_record

        del lists
        return nanoaod_record(columns)


class XaodSource(TreeSource):
    """ATLAS xAOD in PHYSLITE format: one object for each container."""

    kind = "xaod"
    title = "xAOD files"
    words = ("physlite", "physliteschema", "daod_physlite")
    trees = ("CollectionTree", "EventData")
    names_tree = "fixed"
    by_lists = False
    in_datasets = True

    def describe(self, columns: Columns, lists: Lists) -> Record:
        """Give one member for each container, then the values that belong to none."""
        from hep_flows.sources.schema import xaod_record

        del lists
        return xaod_record(columns)


class ParquetSource(Source):
    """Parquet: lists of structs are collections, structs are groups, lists of numbers belong together as in flat trees."""

    kind = "parquet"
    title = "Parquet"
    endings = (".parquet", ".parq", ".pq")
    by_lists = True

    def open(self, file: str, trees: Sequence[str]) -> StoredTable:
        """Open a Parquet file."""
        from hep_flows.sources.parquet import ParquetTable

        del trees
        return ParquetTable(file)

    def describe(self, columns: Columns, lists: Lists) -> Record:
        """Give leaves and collections."""
        from hep_flows.sources.schema import flat_record

        return flat_record(columns, lists, "parquet")


# What all plug-ins bring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of tables that can be read, and why others cannot.

    Parameters
    ----------
    sources, packages : mapping
        By kind, its source, and the package that brings it.
    broken : mapping of str to PluginError
        By kind, or by plug-in where that cannot be imported.
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, PluginError] = field(default_factory=dict)


def kinds() -> Kinds:
    """Give the kinds of tables of all installed plug-ins.

    Raises
    ------
    PluginError
        When two packages bring one kind.
    """
    return _kinds_of(tuple([p for _, p in sorted(registered_points().items())]))


def source_of(kind: str) -> Source:
    """Give the source of a kind of table.

    Raises
    ------
    SourceError
        When no installed plug-in brings it.
    PluginError
        When the one that does is broken, or two packages bring it.
    """
    known = kinds()
    if kind in known.sources:
        return known.sources[kind]
    if kind in known.broken:
        raise known.broken[kind]
    lost = "".join([f"; {error.what}: {error.why}" for error in known.broken.values()])
    raise SourceError(
        f"{kind!r} is no kind of table",
        why=f"installed plug-ins bring {', '.join(sorted(known.sources))}{lost}",
        do=did_you_mean(str(kind), list(known.sources)) or "install the package that brings it",
    )


def kind_named(said: Any, here: str) -> str:
    """Give the kind that a word of a fileset means; empty when nothing is said, or only that it is ROOT.

    Raises
    ------
    SourceError
        For another word; it begins with ``here``.
    """
    if said is None or said == "":
        return ""
    known, word = kinds(), str(said).lower()
    meanings = {"root": "", **{w: k for k, s in known.sources.items() for w in (k, *s.words)}, **{k: k for k in known.broken}}
    if word in meanings:
        return meanings[word]
    raise SourceError(
        f"{here}: {said!r} is no kind of table",
        do=did_you_mean(word, meanings) or f"the kinds are {', '.join(known.sources)}",
    )


def endings() -> tuple[str, ...]:
    """Give how the names of data files end, of all kinds."""
    return tuple(dict.fromkeys([e for s in kinds().sources.values() for e in s.endings]))


@lru_cache(maxsize=1)
def _kinds_of(points: tuple[EntryPoint, ...]) -> Kinds:
    found: dict[str, Source] = {}
    packages: dict[str, str] = {}
    broken: dict[str, PluginError] = {}
    for point in points:
        name, package = point.name, package_of(point)
        try:
            brought = tuple(getattr(point.load(), "sources", ()))
        except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises is why it cannot be used
            broken[name] = _unusable(f"the plug-in {name!r} of {package} cannot be used", f"{type(error).__name__}: {error}")
            continue
        for one in brought:
            kind, made = _made(one)
            if kind in packages and type(made) is type(found.get(kind)):  # a plug-in that is derived from another brings the same
                continue
            if kind in packages:
                raise PluginError(
                    f"two packages bring tables of kind {kind!r}: {packages[kind]} and {package}",
                    why="keys of results name the kind, so a name must mean one thing",
                    do="uninstall one of them",
                )
            packages[kind] = package
            if isinstance(made, str):
                broken[kind] = _unusable(f"tables of kind {kind!r}, which {package} brings, cannot be read", made)
            else:
                found[kind] = made
    return Kinds(found, packages, broken)


def _made(brought: Any) -> tuple[str, Source | str]:
    """Give the kind, and the source itself or what is wrong with it."""
    kind = getattr(brought, "kind", None)
    if not isinstance(kind, str) or not kind or ":" in kind:
        return f"{brought!r}", "its attribute kind is no name"
    try:
        made = brought() if isinstance(brought, type) else brought
    except Exception as error:  # noqa: BLE001 - foreign code, as above
        return kind, f"{type(error).__name__}: {error}"
    lacks = [name for name in ("open", "describe", "partitions", "endings", "trees", "names_tree") if not hasattr(made, name)]
    return kind, f"it has no {', '.join(lacks)}" if lacks else made


def _unusable(what: str, why: str) -> PluginError:
    return PluginError(what, why=why, do="mend it: hep_flows.contract.Source says what a source has; or uninstall it")
