"""The datasets of a fileset, whatever it is: a mapping, a JSON or YAML file, a folder, a pattern, a data file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError, did_you_mean, with_article
from hep_flows.filesets.entry import Entry
from hep_flows.filesets.folders import ENDINGS, entries_in, entries_like
from hep_flows.filesets.parse import parse
from hep_flows.filesets.read_text import is_text, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PATTERN = re.compile(r"[*?\[]")


def read_fileset(fileset: Any, *, only: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Give the datasets of a fileset, in its order.

    Parameters
    ----------
    fileset : mapping, str or Path
        coffea's mapping, or a file that holds it; a folder or a pattern, whose folders are datasets; or one data file.
    only : iterable of str, optional
        The datasets to take.

    Raises
    ------
    SourceError
        When it has another form, or lacks a dataset that is asked for.
    """
    return chosen(_entries(fileset), only)


def chosen(entries: Sequence[Entry], only: Iterable[str] | None) -> tuple[Entry, ...]:
    """Give those datasets that are asked for, in the order of the fileset; all when nothing is said.

    Raises
    ------
    SourceError
        When there is none of a name.
    """
    if only is None:
        return tuple(entries)
    wanted = [only] if isinstance(only, str) else list(only)
    names = [e.name for e in entries]
    for name in wanted:
        if name not in names:
            raise SourceError(
                f"the fileset has no dataset {name!r}", do=did_you_mean(str(name), names) or f"it has {', '.join(names[:12])}"
            )
    return tuple([e for e in entries if e.name in wanted])


def _entries(fileset: Any) -> tuple[Entry, ...]:
    if isinstance(fileset, Mapping):
        return parse(fileset, Path.cwd(), "the fileset")
    if not isinstance(fileset, str | os.PathLike):
        raise SourceError(f"a fileset is a mapping or a path, not {with_article(fileset)}")
    text = os.fspath(fileset)
    if "://" in text:
        raise SourceError(f"{text}: a fileset is a local file", do="download it; the files that it lists may be remote")
    path = Path(text).expanduser()
    if path.is_dir():
        return entries_in(path.absolute())
    if path.is_file() or not _PATTERN.search(text):
        return _of_file(path)
    return entries_like(text)


def _of_file(path: Path) -> tuple[Entry, ...]:
    if is_text(path):
        return parse(read_text(path), path.absolute().parent, path.name)
    if path.name.lower().endswith(ENDINGS):
        return (Entry(path.stem, (str(path.absolute()),), metadata={"dataset": path.stem}),)
    if not path.exists():
        raise SourceError(f"there is no fileset {path}")
    raise SourceError(
        f"{path} is no fileset", why="its ending says neither JSON nor YAML", do="name it fileset.json or fileset.yaml"
    )
