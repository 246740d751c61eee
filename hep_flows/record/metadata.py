"""``events.metadata``: what a fileset says about a dataset, for reading, with a note of what is read.

A number that an analysis takes from here becomes a constant of its expressions. The note says for which other datasets the same
constants hold.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from hep_flows.errors import RecordError, did_you_mean
from hep_flows.expr.key import digest
from hep_flows.record.source_line import user_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hep_flows.record.looked import Looked

NOT_THERE = digest("no metadata")


class Metadata(Mapping[str, Any]):
    """The metadata of one dataset; ``metadata["dataset"]`` is its name.

    Parameters
    ----------
    values : mapping
        What is known.
    looked : Looked
        Where it is noted what is read.
    """

    __slots__ = ("_looked", "_values")

    def __init__(self, values: Mapping[str, Any], looked: Looked) -> None:
        """Nothing was read yet."""
        self._values = dict(values)
        self._looked = looked

    def __getitem__(self, key: str) -> Any:
        """Give one value; a list or dict is a copy, so that no recording changes what another one sees."""
        self._note(key)
        if key in self._values:
            return copy.deepcopy(self._values[key])
        near = did_you_mean(str(key), self._values) or f"there are: {', '.join(self._values) or 'none'}"
        raise KeyError(f"the dataset has no metadata {key!r}; {near}")

    def get(self, key: str, default: Any = None) -> Any:
        """Give one value, or another one where there is none."""
        return self[key] if key in self else default  # noqa: SIM401 - this is it

    def __contains__(self, key: object) -> bool:
        """Say whether there is a value of that name."""
        self._note(key)
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        self._note_all()
        return iter(tuple(self._values))

    def __len__(self) -> int:
        """Give the number of values."""
        self._note_all()
        return len(self._values)

    def __repr__(self) -> str:
        """Show everything."""
        self._note_all()
        return f"<metadata {self._values}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Give a plain dict."""
        self._note_all()
        return copy.deepcopy(self._values, memo)

    def __copy__(self) -> dict[str, Any]:
        """Give a plain dict."""
        return self.__deepcopy__({})

    def __reduce__(self) -> NoReturn:
        """Refuse: what is read elsewhere cannot be noted here."""
        raise RecordError("metadata cannot be pickled", where=user_site(), do="take the values that you need out of it")

    def _note(self, key: object) -> None:
        looked = self._looked
        if isinstance(key, str) and key not in looked.keys:
            if looked.closed and not looked.all_metadata:
                raise _too_late(key)
            looked.keys.add(key)

    def _note_all(self) -> None:
        if self._looked.closed and not self._looked.all_metadata:
            raise _too_late("")
        self._looked.all_metadata = True


def _too_late(key: str) -> RecordError:
    what = f"the metadata {key!r}" if key else "all metadata"
    return RecordError(
        f"{what} of a dataset is read after its analysis was recorded",
        where=user_site(),
        why="one recording stands for many datasets, and this one did not look at it before",
        do=f"read it in the analysis: value = events.metadata[{key or 'name'!r}]",
    )


def metadata_key(values: Mapping[str, Any], key: str) -> bytes:
    """Give what is the same for two datasets where, and only where, they have the same value of that name.

    Values are told apart as in keys of expressions: ``1``, ``1.0`` and ``True`` differ.
    """
    return digest("metadata", _plain(values[key])) if key in values else NOT_THERE


def _plain(value: object) -> object:
    """Give a value as nested tuples; what is none of JSON's kinds goes by its class and its text."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Mapping):
        return ("mapping", tuple([(_plain(k), _plain(v)) for k, v in value.items()]))
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple([_plain(v) for v in value]))
    return (f"{type(value).__module__}.{type(value).__qualname__}", str(value))
