"""The REST interface of the server: one function from a call to its answer."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hep_flows.testing.servicex_sim.answers import json_answer, refused
from hep_flows.testing.servicex_sim.transform import Transform
from hep_flows.testing.servicex_sim.work import run_transform

if TYPE_CHECKING:
    from hep_flows.testing.servicex_sim.answers import Answer, Call
    from hep_flows.testing.servicex_sim.work import Workplace

FORMATS = ("parquet", "root-file")
_END_S = 5.0
_LONG_AGO = "0001-01-01T00:00:00+00:00"


class Rest:
    """The requests that the server knows, and what it answers about them.

    Parameters
    ----------
    place : Workplace
        Where transformations run.
    capabilities : tuple of str
        What ``GET /servicex`` says beside version and code generators.
    shown : dict
        What every status says: where the objects are, their keys, the address of the log.
    """

    def __init__(self, place: Workplace, capabilities: tuple[str, ...], shown: dict[str, Any]) -> None:
        self.place, self.capabilities, self.shown = place, capabilities, shown
        self.transforms: dict[str, Transform] = {}
        self._lock = threading.Lock()
        self._running: list[threading.Thread] = []

    def answer(self, call: Call) -> Answer:
        """Answer a call whose path starts with ``/servicex``."""
        match [call.method, *call.path.strip("/").split("/")[1:]]:
            case ["GET"]:
                return json_answer(self._info())
            case ["POST", "transformation"]:
                return self._submit(json.loads(call.body))
            case ["GET", "transformation"]:
                return json_answer({"requests": [t.described(self.shown) for t in self.transforms.values()]})
            case [_, "transformation", request_id, *what]:
                return self._about(call, request_id, what)
            case ["GET", "datasets"]:
                return json_answer({"datasets": [self._dataset(t) for t in self.transforms.values()]})
            case ["GET" | "DELETE", "datasets", number]:
                return self._about_dataset(call, number)
            case _:
                return refused(404, "no such address")

    def forget(self) -> None:
        """Forget every request, as after a restart with a new database."""
        with self._lock:
            for transform in self.transforms.values():
                transform.ended.set()
            self.transforms.clear()

    def end(self) -> None:
        """Let transformations come to their end, and wait for those that write."""
        for transform in list(self.transforms.values()):
            transform.move("Canceled")
        for thread in self._running:
            thread.join(_END_S)

    def _info(self) -> dict[str, Any]:
        images = {name: f"simulated/{name}:1" for name in self.place.science}
        return {"app-version": "simulator", "code-gen-image": images, "capabilities": list(self.capabilities)}

    def _submit(self, body: dict[str, Any]) -> Answer:
        if bool(body.get("did")) == bool(body.get("file-list")):
            return refused(400, "Must provide did or file-list but not both")
        if body.get("result-format") not in FORMATS or body.get("result-destination") != "object-store":
            return refused(400, "Unknown result format or destination")
        if body.get("codegen") not in self.place.science:
            return refused(400, f"Invalid Codegen Image Passed in Request: {body.get('codegen')}")
        try:
            function = self.place.science[body["codegen"]](body["selection"])
        except Exception as error:  # noqa: BLE001 - a code generator raises what it likes, and the server lives on
            return refused(500, f"Failed to generate translation code: {error}")
        with self._lock:
            transform = Transform(str(uuid4()), len(self.transforms) + 1, body)
            self.transforms[transform.request_id] = transform
        thread = threading.Thread(target=run_transform, args=(transform, function, self.place), daemon=True)
        self._running.append(thread)
        thread.start()
        return json_answer({"request_id": transform.request_id})

    def _about(self, call: Call, request_id: str, what: list[str]) -> Answer:
        transform = self.transforms.get(request_id)
        if transform is None or transform.forgotten_after == 0:
            return refused(404, f"Transformation request not found with id: '{request_id}'")
        match [call.method, *what]:
            case ["GET"]:
                transform.forgotten_after -= transform.forgotten_after > 0
                return json_answer(transform.described(self.shown))
            case ["GET", "results"]:
                return json_answer({"results": _results(transform, call.query.get("later_than") or _LONG_AGO)})
            case ["GET", "cancel"]:
                if not transform.move("Canceled"):
                    return refused(400, f"Transform request with id {request_id} is not in progress.")
                return json_answer({"message": f"Canceled transformation request {request_id}"})
            case ["DELETE"]:
                transform.move("Canceled")
                self.transforms.pop(request_id, None)
                return json_answer({"message": f"Deleted transformation request {request_id}"})
            case _:
                return refused(404, "no such address")

    def _about_dataset(self, call: Call, number: str) -> Answer:
        found = next((t for t in list(self.transforms.values()) if str(t.number) == number), None)
        if found is None:
            return refused(404, f"Dataset with id {number} not found")
        return json_answer(self._dataset(found) if call.method == "GET" else {"dataset-id": found.number, "stale": True})

    def _dataset(self, transform: Transform) -> dict[str, Any]:
        names, when = transform.names, transform.latest.isoformat()
        files = [{"id": i, "adler32": None, "file_size": 0, "file_events": 0, "paths": name} for i, name in enumerate(names)]
        counts = {"n_files": len(names), "size": 0, "events": 0, "files": files}
        finder = transform.dataset.partition("://")[0] if transform.body.get("did") else "user"
        about = {"id": transform.number, "name": transform.dataset, "did_finder": finder, "lookup_status": transform.lookup}
        return {**about, **counts, "last_used": when, "last_updated": when, "is_stale": False}


def _results(transform: Transform, later_than: str) -> list[dict[str, Any]]:
    from datetime import datetime

    bound = datetime.fromisoformat(later_than)
    with transform.lock:
        results = tuple(transform.results)
    return [
        {"s3-object-name": r.name, "total-bytes": r.size, "created_at": r.created_at, "transform_status": "success"}
        for r in results
        if datetime.fromisoformat(r.created_at) > bound
    ]
