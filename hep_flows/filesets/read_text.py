"""Read a fileset's file: JSON or YAML, compressed or not, as plain data."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

from hep_flows.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".json", ".yaml", ".yml")
MOST_BYTES = 512 * 1024 * 1024


def is_text(path: Path) -> bool:
    """Say whether a file is read as a fileset: by its ending, ``.json``, ``.yaml``, ``.yml``, each with ``.gz`` or without."""
    return path.name.lower().removesuffix(".gz").endswith(ENDINGS)


def read_text(path: Path) -> Any:
    """Give the content of a fileset's file.

    Raises
    ------
    SourceError
        When it is missing, damaged, too large, or says one name twice.
    """
    try:
        text = _bytes(path).decode("utf-8")
        return json.loads(text, object_pairs_hook=_once) if ".json" in path.suffixes else _yaml(text)
    except FileNotFoundError:
        raise SourceError(f"there is no fileset {path}") from None
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> SourceError:
    why = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"the fileset {path} cannot be read", why=why, do="it is JSON or YAML: {dataset: {files: {path: tree}}}")


def _bytes(path: Path) -> bytes:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        found = file.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands in it twice")
        found[key] = value
    return found


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Makes plain data only, and takes no name twice."""

    def mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
        written = [loader.construct_object(k, deep=True) for k, _ in node.value]
        twice = [k for i, k in enumerate(written) if k in written[:i] and k != "<<"]
        if twice:
            raise ValueError(f"{twice[0]!r} stands in it twice")
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except TypeError as error:  # a name that is a list or a mapping
        raise ValueError(str(error)) from None
