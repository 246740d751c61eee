"""The object store: what the client needs of S3, path style; a bucket is a request."""

from __future__ import annotations

import hashlib
import re
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from hep_flows.testing.servicex_sim.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hep_flows.testing.servicex_sim.answers import Call
    from hep_flows.testing.servicex_sim.transform import Result, Transform

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def answer_object_call(call: Call, transforms: Mapping[str, Transform], key: str) -> Answer:
    """Answer a call to the object store; ``key`` is the access key that a signature must name."""
    bucket, _, name = call.path.lstrip("/").partition("/")
    transform = transforms.get(bucket)
    if f"Credential={key}/" not in call.headers.get("authorization", "") and call.query.get("AWSAccessKeyId") != key:
        return _error(403, "AccessDenied")
    if transform is None:
        return _error(404, "NoSuchBucket")
    with transform.lock:
        results = {r.name: r for r in transform.results}
    if not name:
        return _listing(bucket, results)
    found = results.get(name)
    return _error(404, "NoSuchKey") if found is None or not found.path else _object(call, Path(found.path))


def _object(call: Call, path: Path) -> Answer:
    content = path.read_bytes()
    headers = {
        "ETag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"',
        "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True),
        "Accept-Ranges": "bytes",
    }
    part = _RANGE.fullmatch(call.headers.get("range", ""))
    if part is None:
        return Answer(200, content, "application/octet-stream", headers)
    start, end = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
    if start > end:
        return _error(416, "InvalidRange")
    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
    return Answer(206, content[start : end + 1], "application/octet-stream", headers)


def _listing(bucket: str, results: Mapping[str, Result]) -> Answer:
    rows = [
        f"<Contents><Key>{escape(r.name)}</Key><Size>{r.size}</Size><LastModified>{r.created_at[:23]}Z</LastModified></Contents>"
        for r in results.values()
    ]
    head = f"<Name>{bucket}</Name><Prefix/><KeyCount>{len(rows)}</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
    text = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{head}{"".join(rows)}</ListBucketResult>'
    return Answer(200, text.encode(), "application/xml")


def _error(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode(), "application/xml")
