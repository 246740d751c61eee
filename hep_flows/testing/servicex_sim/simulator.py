"""A ServiceX server on this machine: the real protocol, real transformations of local files, and faults on demand."""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hep_flows.testing.servicex_sim.answers import Answer, Call, json_answer, refused
from hep_flows.testing.servicex_sim.datasets import Datasets
from hep_flows.testing.servicex_sim.faults import Faults
from hep_flows.testing.servicex_sim.http_server import HttpServer
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
