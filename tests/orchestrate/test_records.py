"""Prefect's records are hints: what somebody wrote into them runs no code, and never decides what a result is."""

from __future__ import annotations

import base64
import json
import pickle  # noqa: TID251 - what must not happen is tried
import shutil

import pytest
from jet_files import bits, fill, inline, n_computed, new_process
from prefect_view import latest

from hep_flows import nanoaod_table, run
from hep_flows.store.index import sidecars
from hep_flows.store.store import Store


class Payload:
    """Leaves a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


class World:
    """A cache folder whose run is over; its last result is gone, so that the records are looked at."""

    def __init__(self, files, cache):
        self.files, self.cache = files, cache
        self.asked = [fill(nanoaod_table(files)), nanoaod_table(files).MET.pt.Sum()]
        self.first = run(self.asked, engine="embedded", on_error="raise")
        self.records = sorted((cache / "prefect" / "records").iterdir())
        self.marker = cache.parent / "somebody-was-here"

    def extend(self):
        """Ask for more: a bin more, so that a flow has to run and looks at the records of columns."""
        self.asked = [fill(nanoaod_table(self.files), bins=21), nanoaod_table(self.files).MET.pt.Sum(), self.asked[0]]

    def again(self):
        new_process()
        self.extend()
        done = run(self.asked, engine="embedded", on_error="raise")
        assert bits(done.values) == bits(inline(self.asked))
        assert not self.marker.exists(), "a record ran code"
        return done


@pytest.fixture
def world(files, served, cache_folder):
    return World(files, cache_folder)


def record_of_columns(world):
    """Give the record of the task that the next run looks up: the columns that the histogram is filled from."""
    key = next(r.key for r in world.first.report.tasks if r.plugin == "awkward" and "Jet" in r.label)
    return world.cache / "prefect" / "records" / f"hf-{key}"


def text_of(payload):
    return base64.encodebytes(pickle.dumps(payload)).decode()


def test_one_record_for_each_unit_and_nothing_of_this_machine_in_it(world):
    assert all(p.name.startswith("hf-") for p in world.records)
    assert record_of_columns(world) in world.records
    text = "".join([p.read_text() for p in world.records])
    assert str(world.cache) not in text
    assert "pickle" not in text


def test_a_good_record_is_a_hit(world, served):
    assert n_computed(world.again()) == 3, "the three batches of the other histogram"
    assert latest(served).states == {"Completed": 1, "Cached": 3}


def test_without_records_nothing_is_computed_again(world, served):
    shutil.rmtree(world.cache / "prefect" / "records")
    assert n_computed(world.again()) == 3
    assert set(latest(served).states) == {"Completed"}


def test_records_that_were_cut_off_are_misses(world):
    for record in world.records:
        record.write_bytes(record.read_bytes()[: record.stat().st_size // 2])
    assert n_computed(world.again()) == 3


def tampered(how, record, payload):  # noqa: C901, PLR0912 - a table of ways
    """Give the content of a record that wants to run code, or tells something else than it should."""
    good = json.loads(record.read_text())
    reference = json.loads(good["result"])
    pickled = {"type": "pickle", "picklelib": "cloudpickle"}
    match how:
        case "pickle in the metadata":
            good["metadata"]["serializer"] = pickled
            good["result"] = text_of(payload)
        case "another way to read it at the top":
            good["serializer"] = pickled
            good["result"] = text_of(payload)
        case "the old form":
            good = {"serializer": pickled, "data": text_of(payload), "prefect_version": "2.0.0"}
        case "the old form beside the new one":
            good |= {"serializer": pickled, "data": text_of(payload)}
        case "a name twice":
            evil = json.dumps({**good["metadata"], "serializer": pickled})
            return f'{{"metadata": {json.dumps(good["metadata"])}, "metadata": {evil}, "result": {json.dumps(text_of(payload))}}}'
        case "compressed":
            good["metadata"]["serializer"] = {"type": "compressed", "serializer": pickled, "compressionlib": "bz2"}
            good["result"] = text_of(payload)
        case "another block":
            good["metadata"]["storage_block_id"] = "c7d3b5a0-6f3b-4b8f-9c0e-0d5f3e2a1b4c"
        case "another cache folder in it":
            good["metadata"]["serializer"] = {"type": "hep-flows-reference", "root": str(record.parent), "layers": []}
        case "a path for a name":
            good["result"] = json.dumps({**reference, "objects": ["../../../etc/passwd"]})
        case "a reference that is a list":
            good["result"] = json.dumps([reference])
        case "no text for a result":
            good["result"] = reference
        case "an expiration that is none":
            good["metadata"]["expiration"] = {"a": 1}
        case "numbers that are none":
            good["result"] = json.dumps({**reference, "rows": [{"key": reference["key"], "state": "computed"}]})
        case "rows of another kind":
            good["result"] = json.dumps({**reference, "rows": [{**r, "seconds": "long"} for r in reference["rows"]]})
        case "no rows":
            good["result"] = json.dumps({k: reference[k] for k in ("key", "objects")})
        case "no JSON":
            return "\x80\x04"
        case "a nest":
            return "[0, " * 100_000
    return json.dumps(good)


@pytest.mark.parametrize(
    "how",
    [
        "pickle in the metadata",
        "another way to read it at the top",
        "the old form",
        "the old form beside the new one",
        "a name twice",
        "compressed",
        "another block",
        "another cache folder in it",
        "a path for a name",
        "a reference that is a list",
        "no text for a result",
        "an expiration that is none",
        "numbers that are none",
        "rows of another kind",
        "no rows",
        "no JSON",
        "a nest",
    ],
)
def test_a_record_that_was_tampered_with_is_a_miss_and_runs_nothing(world, how, served):
    for record in world.records:
        record.write_text(tampered(how, record, Payload(world.marker)))
    assert n_computed(world.again()) == 3
    assert set(latest(served).states) == {"Completed"}


def test_the_payload_would_have_left_its_mark(tmp_path):
    pickle.loads(base64.decodebytes(text_of(Payload(tmp_path / "mark")).encode())).close()
    assert (tmp_path / "mark").exists()


def test_the_record_of_another_task_in_the_place_of_this_one_is_a_miss(world, served):
    record = record_of_columns(world)
    other = next(p for p in world.records if p != record)
    shutil.copy(other, record)
    assert n_computed(world.again()) == 3
    assert latest(served).states == {"Completed": 2, "Cached": 2}


def test_a_record_that_names_other_results_changes_no_value(world):
    """What a record names only says whether its task has to run: values are looked up by the keys of the plan."""
    names = [name for name, _ in sidecars(Store(world.cache).folder)]
    for record in world.records:
        good = json.loads(record.read_text())
        good["result"] = json.dumps({**json.loads(good["result"]), "objects": names[:1]})
        record.write_text(json.dumps(good))
    assert n_computed(world.again()) == 3


def test_a_record_whose_results_are_gone_is_a_miss(world, served):
    record = record_of_columns(world)
    for name in json.loads(json.loads(record.read_text())["result"])["objects"]:
        Store(world.cache).remove(name)
    assert n_computed(world.again()) == 6
    assert latest(served).states == {"Completed": 2, "Cached": 2}


def test_a_record_with_no_names_at_all_does_not_make_results_appear(world):
    record = record_of_columns(world)
    good = json.loads(record.read_text())
    reference = json.loads(good["result"])
    for name in reference["objects"]:
        Store(world.cache).remove(name)
    good["result"] = json.dumps({**reference, "objects": []})
    record.write_text(json.dumps(good))
    assert n_computed(world.again()) == 6


def test_a_cache_folder_that_moved_keeps_its_records(world, served, environment, tmp_path):
    moved = tmp_path / "moved"
    world.cache.rename(moved)
    environment(HEP_FLOWS_CACHE=moved)
    assert n_computed(world.again()) == 3
    assert latest(served).states == {"Completed": 1, "Cached": 3}
    assert not world.cache.exists()
