"""Runs of a remote endpoint, and what came of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import awkward as ak

from hep_flows.plugins.servicex.endpoint import Delivered, EndpointError, Query, Watch
from hep_flows.plugins.servicex.remote_settings import RemoteSettings

if TYPE_CHECKING:
    from pathlib import Path

    from hep_flows.plugins.servicex.remote import RemoteServiceX

QASTLE = "(call Select (call EventDataset 'bogus.root' 'Events') (lambda (list e) (dict (list 'pt') (list (attr e 'Jet_pt')))))"
QUERY = Query(QASTLE, "uproot", ("pt",), tree="Events")
DATASET = "rucio://user.somebody:jets"
EMPTY = "rucio://user.somebody:nothing"
OPEN_DATA = "cernopendata://6021"
TOKEN = "refresh-token-that-nobody-may-see"
HURRY = RemoteSettings(poll_s=0.1, backoff_s=0.05, answer_s=8, stall_s=25, settle_s=0.4, cancel_s=3, deadline_s=30)


@dataclass
class Came:
    """What a run gave: each result was read when it came."""

    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, EndpointError] = field(default_factory=dict)
    refused: EndpointError | None = None
    progress: list[tuple[int, int, int]] = field(default_factory=list)
    items: list[Delivered | EndpointError] = field(default_factory=list)


def collect(one: RemoteServiceX, files, scratch: Path, query: Query = QUERY, watch: Watch | None = None) -> Came:
    """Run to the end; nothing may come twice, and nothing may hang."""
    came = Came()
    watch = watch or Watch(progress=lambda *counts: came.progress.append(counts))
    worker = threading.Thread(target=_read, args=(one.run(query, files, str(scratch), watch), came), daemon=True)
    worker.start()
    worker.join(35)
    assert not worker.is_alive(), "it hangs"
    return came


def _read(items, came: Came) -> None:
    try:
        for item in items:
            came.items.append(item)
            if isinstance(item, Delivered):
                assert [i for i in came.items if getattr(i, "dataset", "") == item.dataset and i.file == item.file] == [item]
                came.results[item.file] = ak.from_parquet(item.path)["pt"]
            else:
                assert item.file not in came.errors
                came.errors[item.file] = item
    except EndpointError as error:
        came.refused = error


def object_of(name: str) -> str:
    """Give the name of the object that a transformer makes of a file."""
    return name.replace("/", ":") + ".parquet"
