"""A ServiceX server on this machine: the real protocol, real transformations of local files, and faults on demand."""

from __future__ import annotations

import contextlib
import secrets
import socket
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from hep_flows.testing.servicex_sim.answers import Answer, Call, json_answer, refused
from hep_flows.testing.servicex_sim.datasets import Datasets
from hep_flows.testing.servicex_sim.faults import Faults
from hep_flows.testing.servicex_sim.objects import answer_object_call
from hep_flows.testing.servicex_sim.rest import Rest
from hep_flows.testing.servicex_sim.science import UprootScience
from hep_flows.testing.servicex_sim.tokens import Tokens
from hep_flows.testing.servicex_sim.work import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from hep_flows.testing.servicex_sim.faults import Fault

LOCAL_POLLING = "poll_local_transformation_results"


class Simulator:
    """The server; it listens on this machine only, from entering its ``with`` block to leaving it.

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
        self._open: set[socket.socket] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="servicex-simulator-")
        place = Workplace(datasets or Datasets({}, {}), self.faults, science or {"uproot": UprootScience()}, Path(self._folder.name))
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        self._rest = Rest(place, capabilities, self._shown())

    def _shown(self) -> dict[str, Any]:
        key, secret = self.object_keys
        store = {"minio-endpoint": self.address, "minio-secured": False, "minio-access-key": key, "minio-secret-key": secret}
        return {**store, "log-url": f"{self.url}/logs"}

    def __enter__(self) -> Self:
        """Start to listen."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and remove every object."""
        self.stop()

    def stop(self) -> None:
        """Stop to listen, close what is open, and remove every object."""
        self._server.shutdown()
        self._server.server_close()
        self._rest.end()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._folder.cleanup()

    def fail(self, *faults: Fault) -> None:
        """Let these go wrong from now on, each as often as it says."""
        self.faults.add(*faults)

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
            answer = Answer(fault.status, b'{"message": "told to fail"}', headers=retry)
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


def _handler_of(simulator: Simulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            simulator._open.add(self.connection)  # noqa: SLF001 - the simulator closes what its handlers hold

        def finish(self) -> None:
            simulator._open.discard(self.connection)  # noqa: SLF001
            with contextlib.suppress(OSError):
                super().finish()

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            path = unquote(parts.path) if parts.path.startswith("/servicex") else parts.path
            call = Call(self.command, path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)
            _send(self, simulator.answer(call))

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = _serve

        def log_message(self, *_: Any) -> None:
            """Keep quiet: the calls are in the log of the simulator."""

    return Handler


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
