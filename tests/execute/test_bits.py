"""Sums and fills have the same bits whatever the machine: workers, memory, slices, files, and what was stored before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading

import hist
import numpy as np
import pytest
import uproot

from hep_flows import Histogram, make_local, servicex_table, tree_table
from hep_flows.execute.machine import Room
from hep_flows.settings import environment_with

N, RANGE = 600_000, 200_000
MACHINES = [
    {"WORKERS": "1"},
    {"WORKERS": "2"},
    {"WORKERS": "8"},
    {"WORKERS": "2", "MEMORY": "1MB"},
    {"WORKERS": "3", "MEMORY": "450MB"},
    {"WORKERS": "1", "CHUNK_EVENTS": "1234"},
    {"WORKERS": "4", "CHUNK_EVENTS": "77777"},
]


def numbers():
    rng = np.random.default_rng(7)
    return {"x": rng.exponential(40, N).astype("f4"), "w": rng.normal(1, 0.5, N), "k": rng.integers(0, 5, N).astype("i4")}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One file of three clusters, and the same in three files."""
    folder, data = tmp_path_factory.mktemp("bits"), numbers()
    paths = [folder / "all.root", *[folder / f"part{i}.root" for i in range(3)]]
    for path, parts in zip(paths, [(0, 1, 2), (0,), (1,), (2,)], strict=True):
        with uproot.recreate(path, compression=None) as file:
            tree = file.mktree("t", {name: values.dtype for name, values in data.items()})
            for i in parts:
                tree.extend({name: values[i * RANGE : (i + 1) * RANGE] for name, values in data.items()})
    return str(paths[0]), [str(p) for p in paths[1:]]


def through_servicex(path, tree):
    return servicex_table(path, kind="tree", tree=tree)


def asked(df):
    few = df[df.k > 0]
    reg = Histogram.new.Reg(20, 0, 200, name="x")
    return {
        "sum": df.x.Sum(),
        "sum of few": few.w.Sum(),
        "mean": df.w.Mean(),
        "double": reg.Double().fill(x=few.x, weight=few.w),
        "chain": reg.Weight().fill(x=df.x, weight=df.w).fill(x=few.x / 2, weight=few.w).fill(x=df.w * 10),
        "growing": Histogram.new.IntCat([], growth=True, name="k").Weight().fill(k=df.k, weight=df.w),
        "numpy": np.histogram(df.x, bins=20, range=(0, 200), weights=df.w),
        "numpy edges": np.histogram(few.x, bins=[0, 1, 10, 100], weights=few.w),
    }


def bits(values):
    found = {}
    for name, value in values.items():
        if isinstance(value, hist.Hist):
            found[name] = (value.view(flow=True).tobytes(), tuple(value.axes[0]) if name == "growing" else ())
        elif isinstance(value, tuple):
            found[name] = tuple([v.tobytes() for v in value])
        else:
            found[name] = value.hex()
    return found


def on(machine, path, table=tree_table):
    settings = {"CACHE": "off", "ENGINE": "inline", **machine}
    with environment_with({f"HEP_FLOWS_{name}": value for name, value in settings.items()}):
        return bits(make_local(asked(table(path, tree="t"))))


@pytest.fixture(scope="module")
def wanted(written):
    return on(MACHINES[0], written[0])


def in_ranges(values):
    """Add up strictly in order inside of each range, and the ranges in order."""
    total = 0.0
    for start in range(0, N, RANGE):
        part = 0.0
        for value in values[start : start + RANGE]:
            part += value
        total += part
    return total


def test_totals_are_loops_over_ranges(wanted):
    data = numbers()
    few = np.where(data["k"] > 0, data["w"], 0.0)  # adding zero changes no sum
    assert wanted["sum"] == in_ranges(data["x"].astype("f8").tolist()).hex()
    assert wanted["sum of few"] == in_ranges(few.tolist()).hex()
    assert wanted["mean"] == (in_ranges(data["w"].tolist()) / N).hex()


def test_bins_are_loops_over_ranges(wanted):
    data = numbers()
    places = np.searchsorted(np.linspace(0, 200, 21), data["x"].astype("f8"), side="right") - 1
    bins = [in_ranges(np.where(places == b, data["w"], 0.0).tolist()) for b in range(3)]
    assert np.frombuffer(wanted["numpy"][0], dtype="f8")[:3].tolist() == bins
    kept = [in_ranges(np.where((places == b) & (data["k"] > 0), data["w"], 0.0).tolist()) for b in range(3)]
    assert np.frombuffer(wanted["double"][0], dtype="f8")[1:4].tolist() == kept


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: " ".join(m.values()))
def test_bits_do_not_depend_on_the_machine(machine, written, wanted):
    assert on(machine, written[0]) == wanted


@pytest.mark.parametrize("machine", [*MACHINES[1:6:2], MACHINES[-1]], ids=lambda m: " ".join(m.values()))
def test_bits_do_not_depend_on_who_reads_the_file(machine, written, wanted):
    assert on(machine, written[0], through_servicex) == wanted


def test_bits_do_not_depend_on_how_ranges_are_divided_among_files(written, wanted):
    assert on({"WORKERS": "2"}, written[1]) == wanted


@pytest.mark.parametrize("first", [tree_table, through_servicex])
@pytest.mark.parametrize("then", [tree_table, through_servicex])
def test_what_is_made_of_stored_columns_has_the_same_bits(first, then, written, tmp_path, environment):
    environment(HEP_FLOWS_ENGINE="inline")

    def filled(table, bins):
        df = table(written[0], tree="t")
        few = df[(df.k > 1) & (df.x > 10)]
        return Histogram.new.Reg(bins, 0, 200, name="x").Weight().fill(x=few.x * 2, weight=few.w)

    environment(HEP_FLOWS_CACHE="off")
    cold = make_local(filled(tree_table, 7))
    environment(HEP_FLOWS_CACHE=tmp_path / "one")
    make_local(filled(first, 50))
    shutil.copytree(tmp_path / "one", tmp_path / "two")  # of which nothing is in memory
    for folder in ("one", "two"):
        environment(HEP_FLOWS_CACHE=tmp_path / folder)
        assert make_local(filled(then, 7)).view(flow=True).tobytes() == cold.view(flow=True).tobytes()


def test_memory_is_lent_to_as_many_as_it_is_enough_for():
    room, inside, most = Room(100), [], []
    lock, both = threading.Lock(), threading.Barrier(2)

    def use(nbytes, meet):
        with room.taken(nbytes):
            with lock:
                inside.append(nbytes)
                most.append(sum(inside))
            if meet:
                both.wait()
            with lock:
                inside.remove(nbytes)

    threads = [threading.Thread(target=use, args=(50, True)) for _ in range(2)]
    threads += [threading.Thread(target=use, args=(n, False)) for n in (60, 60, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [m for m in most if m > 100 and m != 1000]


PEAK = """
import json, resource, sys
from hep_flows import Histogram, make_local, nanoaod_table, plan

df = nanoaod_table(sys.argv[1])
pairs = df.Jet.map(lambda j: df.GenPart.DeltaR(j))
near = Histogram.new.Reg(20, 0, 5, name="dr").Double().fill(dr=pairs)
event, said = list(plan(near).event_bytes.values()), "kB of memory while it is worked on" in str(plan(near))
n = make_local(near).sum(flow=True)
print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "event": event, "entries": n, "said": said}))
"""


def test_pairs_take_no_more_memory_for_more_events(tmp_path):
    import awkward as ak

    rng, found = np.random.default_rng(0), {}
    for size in (4_000, 40_000):
        path = tmp_path / f"{size}.root"
        parts = {}
        for name, mean in (("GenPart", 100), ("Jet", 5)):
            counts = rng.poisson(mean, size)
            parts[name] = ak.zip({k: ak.unflatten(rng.normal(0, 1.5, counts.sum()).astype("f4"), counts) for k in ("eta", "phi")})
        with uproot.recreate(path, compression=None) as file:
            file.mktree("Events", {k: v.type.content for k, v in parts.items()}, counter_name=lambda c: "n" + c).extend(parts)
        place = {"HEP_FLOWS_CACHE": "off", "HEP_FLOWS_ENGINE": "inline", "HEP_FLOWS_MEMORY": "600MB", "HEP_FLOWS_WORKERS": "2"}
        done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, check=True, env=os.environ | place)
        found[size] = json.loads(done.stdout)
        assert found[size]["entries"] == ak.sum(ak.num(parts["Jet"]) * ak.num(parts["GenPart"]))
    (event,) = found[40_000]["event"]
    assert 20_000 < event < 100_000
    assert found[40_000]["said"]
    # All at once, 36 000 events more take about 1000 MB more.
    assert found[40_000]["peak"] - found[4_000]["peak"] < 300e6
