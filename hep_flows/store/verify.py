"""Look at every object of a cache folder: it should be what its sidecar says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import file_digest
from typing import TYPE_CHECKING

from hep_flows.store.claims import claimed_if_free
from hep_flows.store.commit import remove
from hep_flows.store.index import sidecars
from hep_flows.store.leftovers import Leftovers, remove_leftovers
from hep_flows.store.sidecar import Sidecar, parse
from hep_flows.store.store import DAMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.plugin import Result
    from hep_flows.store.paths import Folder
    from hep_flows.store.store import Store


@dataclass(frozen=True, slots=True)
class Damage:
    """A result that cannot be used, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Parameters
    ----------
    sound : int
        How many results are as they were written.
    nbytes : int
        The bytes of these.
    damaged : tuple of Damage
        The others.
    leftovers : Leftovers
        What interrupted writers had left; removed if the folder can be written.
    """

    sound: int
    nbytes: int
    damaged: tuple[Damage, ...]
    leftovers: Leftovers

    @property
    def is_sound(self) -> bool:
        """Whether every result can be used."""
        return not self.damaged


def verify(
    store: Store, *, decode: bool = False, remove_damaged: bool = False, progress: Callable[[int], None] | None = None
) -> VerifyReport:
    """Give what is wrong in the store's own folder.

    Parameters
    ----------
    store : Store
        The store.
    decode : bool
        Read every result as well, not just its bytes.
    remove_damaged : bool
        Remove what cannot be used, so that it no longer takes room.
    progress : callable, optional
        Called with the number of results that were looked at.
    """
    leftovers = remove_leftovers(store.folder) if store.writable else Leftovers()
    sizes: list[int] = []
    damaged: list[Damage] = []
    for name, _ in sidecars(store.folder):
        try:
            sizes.append(_check(store.folder, name, decode=decode))
        except DAMAGE as error:
            if os.path.exists(store.folder.sidecar(name)):  # else it was removed meanwhile
                damaged.append(Damage(name, str(error) or type(error).__name__))
                _remove(store, name, wanted=remove_damaged)
        if progress is not None:
            progress(len(sizes) + len(damaged))
    return VerifyReport(len(sizes), sum(sizes), tuple(damaged), leftovers)


def _check(folder: Folder, name: str, *, decode: bool) -> int:
    with open(folder.sidecar(name), "rb") as file:
        sidecar = parse(file.read(), name)
    with open(folder.object(name), "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        if n_bytes != sidecar.nbytes:
            raise ValueError(f"it has {n_bytes} bytes instead of {sidecar.nbytes}")
        if file_digest(file, "sha256").hexdigest() != sidecar.sha256:
            raise ValueError("its checksum is wrong")
    if decode:
        _decode(folder, sidecar)
    return sidecar.nbytes


def _decode(folder: Folder, sidecar: Sidecar) -> Result:
    from hep_flows.store.parquet import read_parquet
    from hep_flows.store.results import from_inline

    if sidecar.inline is not None:
        from_inline(sidecar.inline)
    return read_parquet(folder.object(sidecar.key), sidecar.key)


def _remove(store: Store, name: str, *, wanted: bool) -> None:
    if wanted and store.writable:
        with claimed_if_free(store.folder.lock(name)) as is_free:
            if is_free:
                remove(store.folder, name)
