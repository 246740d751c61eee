"""``hep-flows run`` and ``hep-flows plan``, as they are typed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import awkward as ak
import hist
import pytest
import uhi.io.json
import uproot

pytestmark = pytest.mark.data
ANALYSIS = """
from hep_flows import Histogram


def analysis(events):
    good = events.Jet[events.Jet.pt > 30]
    new = Histogram.new.Reg(40, 0, 200, name="pt").Weight()
    return {"pt": new.fill(pt=good.pt, weight=events.metadata["xsec"]), "jets": good.pt, "n": events.Count()}
"""
NAMES = {"dimuon": "nano_dimuon.root", "sm": "Run2012B_SingleMu_1000.root"}


@pytest.fixture
def folder(tmp_path, data):
    (tmp_path / "analysis.py").write_text(ANALYSIS)
    said = {n: {"files": {data(f): "Events"}, "metadata": {"xsec": i + 0.5}} for i, (n, f) in enumerate(NAMES.items())}
    (tmp_path / "fileset.json").write_text(json.dumps(said))
    return tmp_path


def call(folder, *words, code=0):
    command = Path(sys.executable).parent / "hep-flows"
    start = [str(command)] if command.exists() else [sys.executable, "-c", "from hep_flows.cli.main import main; main()"]
    done = subprocess.run(
        [*start, *words], cwd=folder, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_run_writes_everything_and_a_second_one_computes_nothing(folder, data):
    done = call(folder, "run", "analysis.py", "fileset.json", "--out", "out", "--workers", "2", "--engine", "inline")
    assert "8 tasks computed, 0 found in the cache" in done.stdout
    assert "dimuon: nanoaod (by the name of its tree, Events), 1 file" in done.stdout
    assert "dimuon: 40 events" in done.stderr
    found = json.loads((folder / "out" / "histograms.json").read_text(), object_hook=uhi.io.json.object_hook)
    for i, (name, file) in enumerate(NAMES.items()):
        with uproot.open({data(file): "Events"}) as tree:
            pt = tree["Jet_pt"].array()
        own = hist.Hist.new.Reg(40, 0, 200, name="pt").Weight()
        own.fill(ak.to_numpy(ak.flatten(pt[pt > 30])), weight=i + 0.5)
        assert hist.Hist(found[f"{name}/pt"]) == own
    again = call(folder, "run", "analysis.py", "fileset.json", "--out", "out")
    assert "0 tasks computed, 6 found in the cache" in again.stdout.splitlines()[-2]
    assert json.loads((folder / "out" / "manifest.json").read_text())["complete"] is True


def test_a_run_that_is_not_complete_ends_with_3(folder):
    said = json.loads((folder / "fileset.json").read_text())
    said["gone"] = {"files": {"gone.root": "Events"}, "metadata": {"xsec": 1}}
    (folder / "fileset.json").write_text(json.dumps(said))
    done = call(folder, "run", "analysis.py", "fileset.json", "--out", "out", code=3)
    assert "NOT COMPLETE" in done.stdout
    assert f"failed: gone: {folder / 'gone.root'} does not exist" in done.stderr
    assert "sm" in json.loads((folder / "out" / "numbers.json").read_text())
    stopped = call(folder, "run", "analysis.py", "fileset.json", "--out", "out", "--on-error", "raise", code=1)
    assert stopped.stderr.startswith("SourceError: ")


def test_some_datasets_may_be_chosen(folder):
    call(folder, "run", "analysis.py", "fileset.json", "--only", "sm", "--out", "out")
    assert set(json.loads((folder / "out" / "numbers.json").read_text())) == {"sm"}
    wrong = call(folder, "run", "analysis.py", "fileset.json", "--only", "dimuons", code=1)
    assert "did you mean 'dimuon'" in wrong.stderr


def test_a_dry_run_prints_the_plan_and_writes_nothing(folder, cache_folder):
    done = call(folder, "run", "analysis.py", "fileset.json", "--out", "out", "--dry-run")
    assert "to compute" in done.stdout
    assert not (folder / "out").exists()
    assert not list(cache_folder.glob("objects-*/*/*"))
    assert done.stdout == call(folder, "plan", "analysis.py", "fileset.json").stdout


def test_a_plan_says_of_every_task_what_would_happen(folder):
    rows = json.loads(call(folder, "plan", "analysis.py", "fileset.json", "--json").stdout)
    assert {tuple(r) for r in rows} == {("key", "plugin", "label", "dataset", "state", "why", "columns", "bytes", "seconds")}
    assert {(r["dataset"], r["state"], r["seconds"]) for r in rows} == {(n, "miss", None) for n in NAMES}
    reading = [r for r in rows if r["columns"]]
    assert all("Jet_pt" in r["columns"] and r["bytes"] > 100 for r in reading if "Jet.pt" in r["label"])
    call(folder, "run", "analysis.py", "fileset.json", "--out", "out")
    rows = json.loads(call(folder, "plan", "analysis.py", "fileset.json", "--json").stdout)
    assert {(r["state"], r["bytes"]) for r in rows} == {("hit", 0)}
    assert "nothing to compute" in call(folder, "plan", "analysis.py", "fileset.json").stdout


def test_a_changed_cut_is_named_and_its_time_is_known(folder):
    call(folder, "run", "analysis.py", "fileset.json", "--out", "out")
    (folder / "analysis.py").write_text(ANALYSIS.replace("> 30", "> 35"))
    rows = json.loads(call(folder, "plan", "analysis.py", "fileset.json", "--json").stdout)
    missing = [r for r in rows if r["state"] == "miss"]
    assert {r["dataset"] for r in missing} == set(NAMES)
    assert all(r["seconds"] > 0 for r in missing)
    cut = "`events.Jet.pt > 30` became `events.Jet.pt > 35` at analysis.py:6"
    assert {r["why"] for r in missing if r["columns"]} == {cut}
    assert all(r["state"] == "hit" for r in rows if r["label"] == "events.Count()")


def test_a_changed_cross_section_multiplies_what_is_filled(folder):
    import hist

    call(folder, "run", "analysis.py", "fileset.json", "--out", "out")
    before = json.loads((folder / "out" / "histograms.json").read_text())
    said = json.loads((folder / "fileset.json").read_text())
    said["sm"]["metadata"]["xsec"] = 9.5
    (folder / "fileset.json").write_text(json.dumps(said))
    rows = json.loads(call(folder, "plan", "analysis.py", "fileset.json", "--json").stdout)
    assert {r["state"] for r in rows} == {"hit"}
    assert "0 tasks computed" in call(folder, "run", "analysis.py", "fileset.json", "--out", "out").stdout
    after = json.loads((folder / "out" / "histograms.json").read_text())
    changed = {name for name in before if hist.Hist(before[name]) != hist.Hist(after[name])}
    assert changed
    assert all(name.startswith("sm/") for name in changed)


def test_without_a_fileset_the_file_makes_its_table(folder, data):
    table = f"from hep_flows import nanoaod_table\nevents = nanoaod_table({data(NAMES['sm'])!r})\n"
    (folder / "own.py").write_text(table + ANALYSIS.replace('events.metadata["xsec"]', "1.0"))
    rows = json.loads(call(folder, "plan", "own.py", "--json").stdout)
    assert {r["dataset"] for r in rows} == {"events"}
    call(folder, "run", "own.py", "--out", "out")
    assert json.loads((folder / "out" / "numbers.json").read_text()) == {"events": {"n": 1000}}
    assert "makes no table of its own" in call(folder, "plan", "analysis.py", code=1).stderr


def test_mistakes_are_shown_with_the_line(folder):
    (folder / "wrong.py").write_text("def analysis(events):\n    return {'n': events.Jet.ptt}\n")
    said = call(folder, "run", "wrong.py", "fileset.json", code=1).stderr
    assert "wrong.py:2   return {'n': events.Jet.ptt}" in said
    assert "Traceback" not in said
    assert not (folder / "results").exists()
    assert "has no function 'analysis'" in call(folder, "run", "fileset.json", "fileset.json", code=1).stderr


def test_wrong_options_end_with_2(folder):
    call(folder, "run", "analysis.py", "fileset.json", "--on-error", "ignore", code=2)
    call(folder, "run", code=2)


def test_an_unknown_engine_is_an_error(folder):
    assert "engine" in call(folder, "run", "analysis.py", "fileset.json", "--engine", "spark", code=1).stderr


ENDS = {
    "import": "import sys\nsys.exit(0)",
    "recording": "import sys\n\n\ndef analysis(events):\n    sys.exit(0)",
}


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
def test_a_script_that_ends_itself_is_not_taken_for_a_run_that_is_complete(folder, text):
    (folder / "ends.py").write_text(text)
    done = call(folder, "run", "ends.py", "fileset.json", "--out", "out", code=1)
    assert "SystemExit: 0" in done.stderr
    assert "sys.exit(0)\n" in done.stderr
    assert not (folder / "out").exists()


FAILS = """
import sys

from hep_flows import user_func


@user_func
def wrong(x: float) -> float:
    {body}


def analysis(events):
    return {{"wrong": wrong(events.MET.pt), "n": events.Count()}}
"""


@pytest.mark.parametrize(
    ("body", "said"), [("return x * missing", "NameError: name 'missing'"), ("sys.exit(0)\n    return x", "SystemExit: 0")]
)
def test_what_fails_while_it_runs_is_shown_once_with_the_users_line(folder, body, said):
    (folder / "fails.py").write_text(FAILS.format(body=body))
    done = call(folder, "run", "fails.py", "fileset.json", "--out", "out", "--engine", "inline", code=3)
    report = (folder / "out" / "report.txt").read_text()
    (error,) = json.loads((folder / "out" / "report.json").read_text())["errors"]
    for text in (done.stderr, report, error):
        assert said in text
        assert text.count('return {"wrong": wrong(events.MET.pt), "n": events.Count()}') == 1
        assert "Traceback" not in text


def test_why_a_file_cannot_be_opened_is_shown(folder):
    (folder / "gone.json").write_text('{"gone": {"files": {"http://127.0.0.1:9/x.root": "Events"}}}')
    done = call(folder, "run", "analysis.py", "gone.json", "--out", "out", code=3)
    assert "Cannot connect to host 127.0.0.1:9" in done.stderr


def test_results_are_drawn_again_scaled_and_in_a_style(folder):
    said = json.loads((folder / "fileset.json").read_text())
    said["dimuon"]["metadata"] |= {"is_data": True, "process": "data"}
    said["sm"]["metadata"] |= {"is_data": False, "sumw": 10.0}
    (folder / "fileset.json").write_text(json.dumps(said))
    (folder / "analysis.py").write_text(ANALYSIS.replace(', weight=events.metadata["xsec"]', ""))
    call(folder, "run", "analysis.py", "fileset.json", "--out", "out")
    assert [p.name for p in (folder / "out" / "plots").iterdir()] == ["pt.png"]
    words = ("plot", "out", "--lumi", "2", "--style", "CMS", "--com", "13", "--format", "svg", "--out", "pictures")
    assert call(folder, *words).stdout == "pictures/pt.svg\n"
    assert "<svg" in (folder / "pictures" / "pt.svg").read_text()
    assert "did you mean 'pt'?" in call(folder, "plot", "out", "ptt", code=1).stderr
    assert "no folder of results" in call(folder, "plot", ".", code=1).stderr
