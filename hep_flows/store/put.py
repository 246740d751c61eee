"""Put one result into a folder; the caller holds the claim of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.store.commit import Written, commit, full_disk, no_step
from hep_flows.store.parquet import pack, write_parquet
from hep_flows.store.provenance import Provenance, now
from hep_flows.store.results import inline
from hep_flows.store.sidecar import Sidecar

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.plugin import Result
    from hep_flows.store.commit import HashingFile
    from hep_flows.store.paths import Folder


def put(folder: Folder, name: str, result: Result, provenance: Provenance | None, step: Callable[[str], None] | None) -> Sidecar:
    """Write a result and commit it; gives its sidecar.

    Raises
    ------
    StoreError
        When it cannot be stored exactly, or there is no room.
    """
    about = provenance or Provenance()
    created = now()
    packed = pack(result, about.name)
    footer = about.as_json() | {"created": created}
    small = None if packed.numbers is None else inline(packed.description, packed.numbers)

    def write(file: HashingFile) -> None:
        write_parquet(packed, file, name, footer)

    def sidecar_of(written: Written) -> Sidecar:
        nbytes, checksum = written.nbytes, written.sha256
        return Sidecar(name, packed.kind, packed.type, packed.rows, nbytes, checksum, created, about.summary(), small)

    try:
        written = commit(folder, name, write, lambda w: sidecar_of(w).written(), step=step or no_step)
    except Exception as error:
        full = full_disk(error, folder.root, packed.nbytes)
        if full is not None:
            raise full from error
        raise
    return sidecar_of(written)
