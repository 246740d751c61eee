"""A ServiceX server on this machine: the real protocol, real transformations of local files, and faults on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import secrets
import socket
import tempfile
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape

from servicex_sim.faults import Faults
from servicex_sim.work import Datasets, Transform, UprootScience, Workplace, run_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from servicex_sim.faults import Fault
    from servicex_sim.work import Result

# Calls and answers of the simulator, as plain data -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it came: ``path`` without the query, ``query`` its first values, ``headers`` with names in lower case."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; status 0 closes the connection without one."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200) -> Answer:
    """Give an answer in JSON."""
    return Answer(status, json.dumps(value).encode())


def refused(status: int, message: str) -> Answer:
    """Give an error as the server words it."""
    return json_answer({"message": message}, status)


# The REST interface of the server: one function from a call to its answer --------------------------------------------------------

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


# HTTP on a port of this machine: every call becomes plain data, a function answers it, each connection has a thread --------------


class HttpServer:
    """A server for one function.

    Parameters
    ----------
    answer : callable
        Gives the answer to a call.
    port : int
        0 takes a free one.
    """

    def __init__(self, answer: Callable[[Call], Answer], port: int) -> None:
        self._open: set[socket.socket] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(answer, self._open))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen, in a thread."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Stop to listen, and close what is open."""
        self._server.shutdown()
        self._server.server_close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _handler_of(answer: Callable[[Call], Answer], opened: set[socket.socket]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            opened.add(self.connection)

        def finish(self) -> None:
            opened.discard(self.connection)
            with contextlib.suppress(OSError):
                super().finish()

        def _serve(self) -> None:
            _send(self, answer(_call(self)))

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = _serve

        def log_message(self, *_: Any) -> None:
            """Keep quiet: who answers keeps a log."""

    return Handler


def _call(handler: BaseHTTPRequestHandler) -> Call:
    parts = urlsplit(handler.path)
    body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    headers = {k.lower(): v for k, v in handler.headers.items()}
    return Call(handler.command, unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)


def _send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    if not answer.status:
        handler.close_connection = True
        return
    with contextlib.suppress(OSError):  # the caller went away
        handler.send_response(answer.status)
        for name, value in {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)


# The object store: what the client needs of S3, path style; a bucket is a request ------------------------------------------------

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


# Bearer tokens: a refresh token gives access tokens that end ---------------------------------------------------------------------


class Tokens:
    """Who may call.

    Parameters
    ----------
    refresh : str
        The token of ``servicex.yaml``; everybody may call where it is empty.
    lifetime_s : float
        How long an access token is good for.
    """

    def __init__(self, refresh: str, lifetime_s: float = 3600.0) -> None:
        self.refresh = refresh
        self.lifetime_s = lifetime_s
        self.refreshes = True
        self._lock = threading.Lock()
        self._good: dict[str, float] = {}

    def allows(self, authorization: str) -> bool:
        """Say whether a call with this header may go on."""
        if not self.refresh:
            return True
        token = authorization.removeprefix("Bearer ")
        with self._lock:
            return self._good.get(token, 0.0) > time.time()

    def issue(self, authorization: str) -> str | None:
        """Give an access token for the refresh token of this header; None for any other."""
        if authorization != f"Bearer {self.refresh}" or not self.refreshes:
            return None
        end = time.time() + self.lifetime_s
        parts = [{"alg": "none", "typ": "JWT"}, {"exp": int(end), "iat": int(time.time()), "jti": secrets.token_hex(8)}]
        body = ".".join([_encoded(json.dumps(p).encode()) for p in parts])
        token = f"{body}.{_encoded(secrets.token_bytes(16))}"
        with self._lock:
            self._good[token] = end
        return token

    def revoke(self) -> None:
        """End every access token at once, as a server does that was given a new key."""
        with self._lock:
            self._good.clear()

    def issued(self) -> tuple[str, ...]:
        """Give the access tokens that are good."""
        with self._lock:
            return tuple(self._good)


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


LOCAL_POLLING = "poll_local_transformation_results"


class Simulator:
    """The server; it listens on this machine only, from `start` to `stop`, or as long as its ``with`` block lasts.

    Parameters
    ----------
    datasets : Datasets, optional
        Which files there are; every local path is one by default.
    token : str
        The refresh token that callers need; none when empty.
    capabilities : tuple of str
        Without ``poll_local_transformation_results`` clients list the bucket instead.
    science : mapping, optional
        Code generators by name; ``uproot`` by default, the real one.
    port : int
        0 takes a free one.
    """

    def __init__(
        self,
        datasets: Datasets | None = None,
        *,
        token: str = "",
        capabilities: tuple[str, ...] = (LOCAL_POLLING,),
        science: Mapping[str, Callable[[str], Callable[[str], Any]]] | None = None,
        port: int = 0,
    ) -> None:
        self.tokens = Tokens(token)
        self.faults = Faults()
        self.object_keys = (f"key-{secrets.token_hex(8)}", f"secret-{secrets.token_hex(16)}")
        self._calls: list[tuple[Call, int]] = []
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="servicex-simulator-")
        place = Workplace(
            datasets or Datasets({}, {}), self.faults, science or {"uproot": UprootScience()}, Path(self._folder.name)
        )
        self._server = HttpServer(self.answer, port)
        self.address = self._server.address
        self.url = f"http://{self.address}"
        self._rest = Rest(place, capabilities, self._shown())

    def _shown(self) -> dict[str, Any]:
        key, secret = self.object_keys
        store = {"minio-endpoint": self.address, "minio-secured": False, "minio-access-key": key, "minio-secret-key": secret}
        return {**store, "log-url": f"{self.url}/logs"}

    def start(self) -> Self:
        """Start to listen."""
        self._server.start()
        return self

    def __enter__(self) -> Self:
        """Start to listen."""
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and remove every object."""
        self.stop()

    def stop(self) -> None:
        """Stop to listen, close what is open, and remove every object."""
        self._server.stop()
        self._rest.end()
        self._folder.cleanup()

    def fail(self, *faults: Fault) -> None:
        """Let these go wrong from now on, each as often as it says."""
        self.faults.add(*faults)

    def let_go(self, file: str = "*") -> None:
        """Let files that are held go on."""
        self.faults.let_go(file)

    def restart(self) -> None:
        """Forget every request."""
        self._rest.forget()

    def config(self, cache_path: str | Path, name: str = "simulator") -> str:
        """Give the text of a ``servicex.yaml`` for this server."""
        token = f"    token: {self.tokens.refresh}\n" if self.tokens.refresh else ""
        return f"api_endpoints:\n  - name: {name}\n    endpoint: {self.url}\n{token}default_endpoint: {name}\ncache_path: {cache_path}\n"

    def calls(self, method: str = "", path: str = "") -> tuple[tuple[Call, int], ...]:
        """Give the calls so far with the status of each answer: those of a method and with a part in the path, where given."""
        with self._lock:
            return tuple([(c, s) for c, s in self._calls if method in {"", c.method} and path in c.path])

    def submits(self) -> tuple[Call, ...]:
        """Give the submissions that were accepted."""
        return tuple([c for c, status in self.calls("POST", "/servicex/transformation") if status == 200])

    def cancelled(self) -> tuple[str, ...]:
        """Give the ids of the requests that a client cancelled."""
        return tuple([c.path.split("/")[-2] for c, _ in self.calls("GET", "/cancel")])

    def statuses(self) -> dict[str, str]:
        """Give the status of every request by its id."""
        return {t.request_id: t.status for t in list(self._rest.transforms.values())}

    def answer(self, call: Call) -> Answer:
        """Answer one call, and keep it in the log."""
        fault = self.faults.of_call(call.method, call.path)
        if fault is not None and fault.delay_s:
            time.sleep(fault.delay_s)
        if fault is None or fault.status == 200:
            answer = self._usual(call)
        else:
            retry = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else {}
            quoted = f" for {call.headers.get('authorization')}" if fault.quotes else ""
            answer = Answer(fault.status, json.dumps({"message": f"told to fail{quoted}"}).encode(), headers=retry)
        with self._lock:
            self._calls.append((call, answer.status))
        return answer

    def _usual(self, call: Call) -> Answer:
        authorization = call.headers.get("authorization", "")
        if call.path == "/token/refresh":
            token = self.tokens.issue(authorization)
            return refused(401, "Token has expired") if token is None else json_answer({"access_token": token})
        if call.path != "/servicex" and not call.path.startswith("/servicex/"):
            return answer_object_call(call, self._rest.transforms, self.object_keys[0])
        if not self.tokens.allows(authorization):
            return refused(401, "Missing or invalid token")
        return self._rest.answer(call)
