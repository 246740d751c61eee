"""Filesets of real files, and what plain awkward reads from them."""

import awkward as ak
import pytest
import uproot

FILES = {"dy": "nano_dy.root", "dimuon": "nano_dimuon.root", "tt": "nano_tt_v12.root"}
KEPT = {"Jet": ["pt", "eta"], "Muon": ["pt"], "GenPart": ["pt"]}


def _slim(source, target):
    """Write a few branches of a file: to open one with fifteen hundred takes a second."""
    with uproot.open({source: "Events"}) as tree, uproot.recreate(target) as file:
        has = {c: [m for m in members if f"{c}_{m}" in tree] for c, members in KEPT.items()}
        found = {c: ak.zip({m: tree[f"{c}_{m}"].array() for m in members}) for c, members in has.items() if members}
        found |= {n: tree[n].array() for n in ("run", "MET_pt")}
        file.mktree("Events", {n: a.layout.form.type for n, a in found.items()})
        file["Events"].extend(found)


@pytest.fixture(scope="session")
def paths(data, tmp_path_factory):
    """Give the files by dataset: the first branches of real ones."""
    folder = tmp_path_factory.mktemp("nano")
    for name, file in FILES.items():
        _slim(data(file), folder / f"{name}.root")
    return {name: str(folder / f"{name}.root") for name in FILES}


@pytest.fixture
def fileset(paths):
    """Three datasets, the first two with metadata."""
    found = {name: {"files": {path: "Events"}} for name, path in paths.items()}
    found["dy"]["metadata"] = {"xsec": 6077.22, "is_mc": True}
    found["dimuon"]["metadata"] = {"is_mc": False}
    return found


@pytest.fixture(scope="session")
def read(data):
    """Give branches of a dataset as awkward reads them from the real file."""
    known = {}

    def branches(dataset, *names):
        if (dataset, names) not in known:
            with uproot.open({data(FILES[dataset]): "Events"}) as tree:
                known[dataset, names] = tree.arrays(list(names))
        return known[dataset, names]

    return branches


@pytest.fixture(scope="session")
def jets(read):
    """Give the pt of the jets of a dataset above a cut."""

    def above(dataset, cut=30):
        pt = read(dataset, "Jet_pt").Jet_pt
        return pt[pt > cut]

    return above
