"""A warm look-up loads no more than it needs."""

import subprocess
import sys

import awkward as ak
import hist
import pytest

from hep_flows.contract import Columns, HistogramResult, Scalar

RESULTS = {
    "n": Scalar(1),
    "h": HistogramResult(hist.Hist.new.Reg(50, 0, 1, name="x").StrCat(["a"], growth=True, name="c").Weight()),
    "big h": HistogramResult(hist.Hist.new.Reg(300, 0, 1, name="x").Reg(300, 0, 1, name="y").Double()),
    "a": Columns(ak.Array([[1, 2], []])),
}
UNLOADED = {
    "has": {"numpy", "pyarrow", "awkward", "hist", "pandas", "diskcache", "sqlite3"},
    "n": {"numpy", "pyarrow", "awkward", "hist", "pandas", "diskcache", "sqlite3"},
    "h": {"pyarrow", "awkward", "pandas", "diskcache", "sqlite3"},
    "big h": {"pyarrow.dataset", "awkward", "pandas", "diskcache"},
    "a": {"pyarrow.dataset", "hist", "pandas", "diskcache"},
}
CODE = """
import sys
from hep_flows.store.store import Store
store = Store(sys.argv[1])
if sys.argv[2] == "has":
    assert len(store.has(sys.argv[3:])) == 4
else:
    assert store.get(sys.argv[2]) is not None
print(*sys.modules)
"""


@pytest.mark.parametrize("what", UNLOADED)
def test_a_look_up_in_a_new_process_loads_little(store, key, what):
    for word, result in RESULTS.items():
        store.put(key(word), result)
    names = [key(w).hex() for w in RESULTS]
    arguments = ["has", *names] if what == "has" else [key(what).hex()]
    done = subprocess.run([sys.executable, "-c", CODE, store.folder.root, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()).isdisjoint(UNLOADED[what])


def test_storing_does_not_load_pandas(tmp_path):
    code = """
import sys, awkward as ak
from hep_flows.contract import Columns, Scalar
from hep_flows.store.store import Store
Store(sys.argv[1]).put(bytes(32), Columns(ak.Array({"x": [[1.5], []], "s": ["a", None]})))
Store(sys.argv[1]).put(bytes(32), Scalar("a"))
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pandas" not in done.stdout.split()
