"""Which kind of table a dataset is: as it says itself, else by the names of its files and its tree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean
from hep_flows.expr.key import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.execute.results import Results

KINDS = ("nanoaod", "xaod", "tree", "parquet")
_SPELLINGS: Mapping[str, str] = {
    **{k: k for k in KINDS},
    "nanoaodschema": "nanoaod",
    "physlite": "xaod",
    "physliteschema": "xaod",
    "daod_physlite": "xaod",
    "ntuple": "tree",
    "baseschema": "tree",
    "root": "",
}
_BY_TREE: Mapping[str, str] = {"Events": "nanoaod", "CollectionTree": "xaod", "EventData": "xaod"}
_PARQUET = (".parquet", ".parq", ".pq")


def kind_named(said: Any, here: str) -> str:
    """Give the kind that a word means; empty when nothing is said, or only that it is ROOT.

    Raises
    ------
    SourceError
        For another word.
    """
    if said is None or said == "":
        return ""
    word = str(said).lower()
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    raise SourceError(
        f"{here}: {said!r} is no kind of table", do=did_you_mean(word, _SPELLINGS) or f"the kinds are {', '.join(KINDS)}"
    )


def guessed_kind(file: str, tree: str, facts: Results) -> tuple[str, str]:
    """Give the kind of table that a file seems to be, and why.

    Parameters
    ----------
    file : str
        The first file, without the name of a tree.
    tree : str
        The tree; empty where nothing is said.
    facts : Results
        Where it is remembered what is in files.

    Raises
    ------
    SourceError
        When the file has to be looked into and cannot be.
    """
    if file.split("?", 1)[0].lower().endswith(_PARQUET):
        return "parquet", "by the ending of its file"
    if tree:
        return _BY_TREE.get(tree, "tree"), f"by the name of its tree, {tree}"
    trees = _trees(file, facts)
    for name, kind in _BY_TREE.items():
        if name in trees:
            return kind, f"its file has a tree {name}"
    return "tree", "its file has neither Events nor CollectionTree nor EventData"


def _trees(file: str, facts: Results) -> list[str]:
    """Give the trees in a file; of a local file they are remembered until it changes."""
    from hep_flows.plugins.awkward.open_tables import check_exists
    from hep_flows.plugins.awkward.root_files import open_root, trees_in

    name = b""
    if "://" not in file:
        check_exists(file)
        found = os.stat(file)  # noqa: PTH116 - paths are texts here
        name = digest("trees", file, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = facts.remembered(name)
        if isinstance(known, list):
            return known
    with open_root(file) as opened:
        trees = list(trees_in(opened))
    if name:
        facts.remember(name, trees)
    return trees
