"""The simulator speaks the protocol of ServiceX: to the client as it is, and call by call."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import awkward as ak
import numpy as np
import pytest
import uproot

from plugins.servicex.bare_client import bare_client
from plugins.servicex.remote_runs import DATASET, QASTLE, TOKEN, object_of
from servicex_sim.faults import ALWAYS, FileFault, HttpFault, RequestFault
from servicex_sim.work import datasets_of_folder

FORM = {"title": "test", "selection": QASTLE, "codegen": "uproot", "result-destination": "object-store", "result-format": "parquet"}


@pytest.fixture
def config(tmp_path):
    def written(simulator) -> Path:
        file = tmp_path / "servicex.yaml"
        file.write_text(simulator.config(tmp_path / "client-cache"))
        return file

    return written


@pytest.fixture
def call(sim):
    """Call the simulator, and give status and JSON."""
    access = sim.tokens.issue(f"Bearer {TOKEN}")

    def called(method, path, body=None, **headers):
        data = None if body is None else json.dumps(body).encode()
        request = Request(sim.url + path, data, {"Authorization": f"Bearer {access}", **headers}, method=method)
        try:
            with urlopen(request, timeout=300) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            with error:
                return error.code, error.read()

    return called


@pytest.fixture
def complete(call):
    """Submit a request, and give its id when it has come to its end."""

    def completed(**body) -> str:
        status, answer = call("POST", "/servicex/transformation", {**FORM, **body})
        assert status == 200
        end = time.monotonic() + 300
        while call("GET", f"/servicex/transformation/{answer['request_id']}")[1]["status"] not in {"Complete", "Bad Dataset"}:
            assert time.monotonic() < end
            time.sleep(0.05)
        return answer["request_id"]

    return completed


@pytest.mark.parametrize("capabilities", [("poll_local_transformation_results",), ()], ids=["results", "bucket"])
def test_the_client_gets_a_list_of_files_with_both_ways_to_look_for_results(start, config, jets, names, capabilities):
    sim = start(capabilities=capabilities)
    files = bare_client(config(sim), names[:3])
    assert [len(ak.from_parquet(f)) for f in files] == [len(jets[n][1]) for n in names[:3]]
    assert all(ak.array_equal(ak.from_parquet(f)["pt"], jets[n][1]) for f, n in zip(files, names, strict=False))
    assert len(sim.submits()) == 1


def test_the_client_gets_a_dataset_as_root_files(start, config, jets, names):
    files = bare_client(config(start()), DATASET.removeprefix("rucio://"), result_format="root-file")
    assert [Path(f).name for f in files] == [n.replace("/", "_").replace(":", "_") for n in names]
    for file, name in zip(files, names, strict=True):
        with uproot.open(file) as opened:
            assert ak.array_equal(opened["servicex"]["pt"].array(), jets[name][1])


def test_the_client_gets_a_large_object_in_parts(start, config, names):
    numbers = np.random.default_rng(1).integers(0, 2**62, 3_000_000)
    sim = start(science={"large": lambda _selection: lambda _path: ak.Array({"x": numbers})})
    (file,) = bare_client(config(sim), names[:1], codegen="large")
    assert np.array_equal(ak.to_numpy(ak.from_parquet(file)["x"]), numbers)
    assert len([c for c, status in sim.calls("GET", ".parquet") if status == 206]) > 1


def test_the_client_itself_takes_a_part_of_the_files_as_all(start, config, names):
    sim = start()
    sim.fail(FileFault("fails", names[1], times=ALWAYS))
    assert len(bare_client(config(sim), names[:3])) == 2


def test_a_call_without_a_token_is_refused(call):
    assert call("GET", "/servicex", Authorization="Bearer wrong")[0] == 401
    assert call("POST", "/token/refresh", {})[0] == 401
    assert call("POST", "/token/refresh", {}, Authorization=f"Bearer {TOKEN}")[0] == 200


@pytest.mark.parametrize(
    "changes",
    [{}, {"did": DATASET, "file-list": ["x"]}, {"did": DATASET, "codegen": "none"}, {"did": DATASET, "result-format": "csv"}],
    ids=["neither", "both", "generator", "format"],
)
def test_a_submission_that_makes_no_sense_is_refused(call, changes):
    assert call("POST", "/servicex/transformation", {**FORM, **changes})[0] == 400


def test_a_selection_that_is_no_query_is_refused_by_the_code_generator(call):
    status, text = call("POST", "/servicex/transformation", {**FORM, "did": DATASET, "selection": "(call"})
    assert status == 500
    assert b"Failed to generate translation code" in text


def test_results_are_announced_in_order_and_later_ones_can_be_asked_for(call, complete, names):
    path = f"/servicex/transformation/{complete(did=DATASET)}/results"
    results = call("GET", path)[1]["results"]
    times = [r["created_at"] for r in results]
    assert sorted([r["s3-object-name"] for r in results]) == sorted(map(object_of, names))
    assert times == sorted(set(times))
    later = call("GET", f"{path}?later_than={times[2].replace('+', '%2B')}")[1]["results"]
    assert later == results[3:]
    assert all(datetime.fromisoformat(t).utcoffset() is not None for t in times)


def test_the_first_files_of_a_dataset_can_be_asked_for(call, complete):
    status = call("GET", f"/servicex/transformation/{complete(did=f'{DATASET}?files=2')}")[1]
    assert (status["files"], status["files-completed"], status["files-remaining"]) == (2, 2, 0)


def test_a_dataset_tells_its_files_and_how_the_look_up_went(call, complete, names):
    good, bad = [call("GET", f"/servicex/transformation/{complete(did=d)}")[1] for d in (DATASET, "rucio://no:thing")]
    known = call("GET", f"/servicex/datasets/{good['did_id']}")[1]
    assert [f["paths"] for f in known["files"]] == names
    assert call("GET", f"/servicex/datasets/{bad['did_id']}")[1]["lookup_status"] == "does_not_exist"
    assert len(call("GET", "/servicex/datasets")[1]["datasets"]) == 2
    assert call("GET", "/servicex/datasets/99")[0] == 404


def test_a_request_can_be_cancelled_once_and_deleted(sim, call):
    sim.fail(RequestFault("hangs"))
    request_id = call("POST", "/servicex/transformation", {**FORM, "did": DATASET})[1]["request_id"]
    path = f"/servicex/transformation/{request_id}"
    assert [call("GET", f"{path}/cancel")[0] for _ in range(2)] == [200, 400]
    assert call("GET", path)[1]["status"] == "Canceled"
    assert len(call("GET", "/servicex/transformation")[1]["requests"]) == 1
    assert [call("DELETE", path)[0] for _ in range(2)] == [200, 404]


def test_objects_need_the_key_and_tell_what_is_wrong(sim, call, complete, names):
    bucket, key = complete(did=DATASET), sim.object_keys[0]
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/x"}
    path = f"/{bucket}/{object_of(names[0])}"
    assert call("GET", path)[0] == 403
    assert b"NoSuchKey" in call("GET", f"/{bucket}/nothing", **signed)[1]
    assert b"NoSuchBucket" in call("GET", "/nothing/nothing", **signed)[1]
    assert call("GET", path, Range="bytes=99999999-", **signed)[0] == 416


def test_faults_happen_as_often_as_they_say(sim, call):
    sim.fail(HttpFault("GET", "/servicex", 503, times=2, after=1, retry_after_s=7))
    assert [call("GET", "/servicex")[0] for _ in range(5)] == [200, 503, 503, 200, 200]
    assert [s for _, s in sim.calls("GET", "/servicex")] == [200, 503, 503, 200, 200]


def test_a_folder_is_all_that_can_be_read(tmp_path, data):
    (tmp_path / "ttbar").mkdir()
    for name in ("ttbar/one.root", "ttbar/two.root", "three.root"):
        (tmp_path / name).write_bytes(b"")
    found = datasets_of_folder(tmp_path)
    assert found.names("rucio://local:ttbar") == (str(tmp_path / "ttbar/one.root"), str(tmp_path / "ttbar/two.root"))
    assert len(found.names("rucio://local:all")) == 3
    assert found.names("rucio://local:three") == (str(tmp_path / "three.root"),)
    assert found.path("two.root") == str(tmp_path / "ttbar/two.root")
    assert found.path(data("uproot-Zmumu.root")) is None
    assert found.names("rucio://local:four") is None
