"""How many events a file has."""

from __future__ import annotations

import re

from hep_flows.errors import SourceError

# What tables of local files say of a file's content: the number of events, and a digest.
_WITH_ENTRIES = re.compile(r"^(\d+):[0-9a-f]+$")


def entries_of(file: str, tree: str, content: str) -> int:
    """Give the number of events of a file: as its identity tells, else from the file.

    Raises
    ------
    SourceError
        When the file has to be opened, and cannot be.
    """
    found = _WITH_ENTRIES.match(content)
    if found is not None:
        return int(found[1])
    import uproot

    try:
        with uproot.open({file: None}) as opened:
            return int(opened[tree].num_entries)
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{file}: the tree {tree!r} cannot be opened", why=str(error)) from error
