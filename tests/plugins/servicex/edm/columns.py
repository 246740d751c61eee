"""Values of an xAOD file for compiled queries: read with uproot, written as one text and one file of numbers."""

from __future__ import annotations

import re
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

_LEAF = re.compile(r"^(?P<container>\w+?)Aux(?:Dyn)?\.(?P<leaf>[\w.]+)$")
_NUMBERS = re.compile(r"^(var \* ){0,2}(float|double|bool|u?int\d+)")


def read_columns(path: str, containers: frozenset[str]) -> dict[str, dict[str, ak.Array]]:
    """Give the leaves of the containers that are numbers, or lists of numbers, per object."""
    tree = uproot.open(path)["CollectionTree"]
    found: dict[str, dict[str, ak.Array]] = {}
    for name in tree.keys(recursive=False):
        match = _LEAF.match(name)
        if match is None or match["container"] not in containers or "ElementLink" in tree[name].typename:
            continue
        array = tree[name].array()
        if _NUMBERS.match(str(array.type.content)):
            found.setdefault(match["container"], {})[match["leaf"]] = array
    return found


def write_columns(columns: dict[str, dict[str, ak.Array]], path: Path) -> None:
    """Write what the compiled program reads: see main.cxx."""
    lines: list[str] = []
    with Path(f"{path}.values").open("wb") as values:
        for container, leaves in columns.items():
            first = next(iter(leaves.values()))
            counts = ak.num(first) if first.ndim > 1 and container != "EventInfo" else np.ones(len(first), dtype=np.int64)
            offsets = np.concatenate([[0], np.cumsum(ak.to_numpy(counts))]).astype(np.int64)
            lines.append(f"{container} - - {len(offsets)} 0")
            values.write(offsets.tobytes())
            for leaf, array in leaves.items():
                items = array if container == "EventInfo" else ak.flatten(array)
                inner = np.zeros(0, dtype=np.int64)
                if items.ndim > 1:
                    inner = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(items)))]).astype(np.int64)
                    items = ak.flatten(items)
                flat = ak.to_numpy(items)
                values.write(inner.tobytes() + flat.tobytes())
                lines.append(f"{container} {leaf} {flat.dtype} {len(inner)} {flat.nbytes}")
    path.write_text("\n".join(lines) + "\n")
