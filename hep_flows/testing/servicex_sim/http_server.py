"""HTTP on a port of this machine: every call becomes plain data, a function answers it, each connection has a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hep_flows.testing.servicex_sim.answers import Call

if TYPE_CHECKING:
    from collections.abc import Callable

    from hep_flows.testing.servicex_sim.answers import Answer


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

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815 - the names that the standard library calls

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
