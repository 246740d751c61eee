"""Prefect's records of finished tasks: small references, read with suspicion, and good only while the store has what they name.

A record of Prefect names the code that turns it into an object again, so whoever can write records could run code in the next run.
Here a record is taken apart first: only its exact shape is accepted, and what Prefect gets is made anew from the accepted values. A
reference whose results are gone or damaged raises when it is read, which Prefect takes for a miss.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prefect.cache_policies import CachePolicy
from prefect.filesystems import LocalFileSystem
from prefect.serializers import Serializer

from hep_flows.orchestrate.reference import is_reference
from hep_flows.store.paths import is_key_name

PREFIX = "hf-"
SERIALIZER = "hep-flows-reference"
MOST_BYTES = 64 * 1024 * 1024
MOST_DEPTH = 16
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')


class RecordRefusedError(ValueError):
    """A record that this package did not write, or whose results are not there any more."""


@dataclass
class ContentKey(CachePolicy):
    """Prefect's cache key is the content key of the unit."""

    def compute_key(self, task_ctx: Any, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any) -> str:
        """Give the key; a call without one is an error, not a task that is never cached."""
        del task_ctx, flow_parameters, kwargs
        key = inputs["key"]
        if not isinstance(key, str) or not is_key_name(key):
            raise RecordRefusedError("a task without a content key")
        return PREFIX + key


class ReferenceSerializer(Serializer):
    """Writes references as JSON; reads one only if the store has everything that it names.

    Parameters
    ----------
    root : str
        The cache folder. It is not written into records, so that the folder can be moved.
    layers : tuple of str
        Folders below it.
    """

    type: Literal["hep-flows-reference"] = "hep-flows-reference"
    root: str = ""
    layers: tuple[str, ...] = ()

    def dumps(self, obj: Any) -> bytes:
        """Give the JSON of a reference. Of an error its text is kept, for people."""
        content = {"error": f"{type(obj).__name__}: {obj}"[:2000]} if isinstance(obj, BaseException) else obj
        return json.dumps(content, sort_keys=True).encode()

    def loads(self, blob: bytes) -> dict[str, Any]:
        """Give a reference whose results are all there and whole."""
        from hep_flows.execute.open_store import store_of

        reference = _strict(blob)
        if not is_reference(reference):
            raise RecordRefusedError("it is no reference")
        store = store_of(self.root, self.layers)
        if not all(store.is_intact(name) for name in reference["objects"]):
            raise RecordRefusedError("a result that it names is not in the store")
        return reference  # type: ignore[no-any-return]


class Records(LocalFileSystem):
    """The folder of records.

    Parameters
    ----------
    basepath : str
        The folder.
    root, layers
        Of the store that the references are of.
    """

    _block_type_slug = "hep-flows-records"
    root: str = ""
    layers: tuple[str, ...] = ()

    def read_path(self, path: str, _sync: bool | None = None) -> bytes:  # type: ignore[override]  # noqa: FBT001
        """Give a record as Prefect writes it, if it is exactly that.

        Raises
        ------
        RecordRefusedError
            For anything else: another shape, another way of reading it, or the record of another task.
        """
        file = Path(self._resolve_path(path))
        if file.stat().st_size > MOST_BYTES:
            raise RecordRefusedError("it is too big to be a reference")
        record = _strict(file.read_bytes())
        if not isinstance(record, dict) or set(record) != {"metadata", "result"} or not isinstance(record["result"], str):
            raise RecordRefusedError("it has another shape")
        reference, metadata = _strict(record["result"].encode()), record["metadata"]
        if not isinstance(reference, dict) or file.name != f"{PREFIX}{reference.get('key')}":
            raise RecordRefusedError("it is the record of another task")
        if not isinstance(metadata, dict) or metadata.get("serializer") != {"type": SERIALIZER} or metadata.get("storage_block_id"):
            raise RecordRefusedError("it wants to be read in another way")
        return self._made(metadata, record["result"], file)

    async def aread_path(self, path: str) -> bytes:
        """Do the same as `read_path`."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool | None = None) -> str:  # type: ignore[override]  # noqa: FBT001
        """Put a record in its place in one step. Those of failures, and of what could not be stored, are not kept."""
        file = Path(self._resolve_path(path))
        record = json.loads(content)
        if not file.name.startswith(PREFIX) or not is_reference(json.loads(record["result"])):
            return str(file)
        # Nothing of the folder's place is kept, so that it can be moved.
        record["metadata"] = {**record["metadata"], "serializer": {"type": SERIALIZER}, "storage_key": file.name}
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{uuid.uuid4().hex}")
        try:
            part.write_text(json.dumps(record, sort_keys=True), encoding="utf-8")
            os.replace(part, file)  # noqa: PTH105
        finally:
            with suppress(FileNotFoundError):
                part.unlink()
        return str(file)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Do the same as `write_path`."""
        return self.write_path(path, content)

    def _made(self, metadata: dict[str, Any], reference: str, file: Path) -> bytes:
        known = {k: metadata.get(k) for k in ("expiration", "prefect_version")}
        if not all(v is None or isinstance(v, str) for v in known.values()):
            raise RecordRefusedError("it has another shape")
        serializer = {"type": SERIALIZER, "root": self.root, "layers": list(self.layers)}
        made = known | {"storage_key": str(file), "serializer": serializer, "storage_block_id": None}
        return json.dumps({"metadata": made, "result": reference}).encode()


def _strict(text: bytes) -> Any:
    """Read JSON; a name that stands twice could be read in two ways, and a deep nest is made to break readers: both are refused."""
    if _is_deep(text):
        raise RecordRefusedError("it is nested deeply")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({k for k, _ in pairs}) != len(pairs):
            raise RecordRefusedError("a name stands twice in it")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=once)


def _is_deep(text: bytes) -> bool:
    depth = 0
    for sign in _TEXT.sub(b"", text):
        if sign in b"[{":
            depth += 1
            if depth > MOST_DEPTH:
                return True
        elif sign in b"]}":
            depth -= 1
    return False
