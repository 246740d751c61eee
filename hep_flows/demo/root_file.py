"""Write one tree into one ROOT file, whole or not at all, with a line of text by which the file is recognised."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import uproot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

RECIPE = "recipe"


def recipe_of(path: Path) -> str | None:
    """Give the recipe that a file was written by; none when there is no such file, or it is not one of these."""
    if not path.is_file():
        return None
    try:
        with uproot.open(path) as file:
            return str(file[RECIPE]) if RECIPE in file else None
    except (OSError, ValueError, uproot.exceptions.KeyInFileError, uproot.deserialization.DeserializationError):
        return None


def write_tree(
    path: Path,
    tree: str,
    columns: Mapping[str, Any],
    *,
    recipe: str,
    counter_name: Callable[[str], str] = "n{}".format,
    field_name: Callable[[str, str], str] = "{}_{}".format,
) -> None:
    """Write the columns as a tree; the file appears under its name when it is complete.

    Parameters
    ----------
    path : Path
        Where the file is to stand; its folder is made.
    tree : str
        The name of the tree.
    columns : mapping
        By name: one value for each event, or records of lists, which become one branch for each field and a counter.
    recipe : str
        The line by which the file is recognised.
    counter_name, field_name : callable
        How the branches of lists are named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.root")
    try:
        with uproot.recreate(temporary, compression=uproot.ZLIB(1)) as file:
            types = {name: _branch_type(values) for name, values in columns.items()}
            written = file.mktree(tree, types, title=recipe, counter_name=counter_name, field_name=field_name)
            written.extend(dict(columns))
            file[RECIPE] = recipe
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _branch_type(values: Any) -> Any:
    """Give numpy's type of flat values, and awkward's of lists."""
    return values.dtype if hasattr(values, "dtype") else values.type.content
