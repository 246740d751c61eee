"""A folder of results has those of one run: after a run that was killed, and with two runs at once."""

import json
import signal
import subprocess
import sys
import textwrap

import pytest

from hep_flows import run_analysis

pytestmark = pytest.mark.data

KILLED_BEFORE = ["_histograms", "_numbers", "_report"]
PROGRAM = """
    import json, os, signal, sys
    from hep_flows import run_analysis
    from hep_flows.analysis.outputs import _Writing

    def analysis(events):
        return {"pt": events.Jet.pt, "n": events.Count()}

    fileset, out, dies_at = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
    if dies_at:
        setattr(_Writing, dies_at, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    run_analysis(analysis, fileset, out=out)
"""


def analysis(events):
    return {"pt": events.Jet.pt, "n": events.Count()}


@pytest.fixture
def started(tmp_path):
    """Give a function that starts a run in a process of its own; with the name of a step it is killed there."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))

    def start(fileset, out, dies_at=""):
        return subprocess.Popen([sys.executable, str(program), json.dumps(fileset), str(out), dies_at])

    return start


def files(out):
    return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}


def listed(out):
    return {"manifest.json", *json.loads((out / "manifest.json").read_text())["files"]}


@pytest.mark.parametrize("step", KILLED_BEFORE)
def test_what_a_killed_run_wrote_is_not_left_among_the_results_of_the_next(fileset, tmp_path, started, step):
    out = tmp_path / "out"
    run_analysis(analysis, {"tt": fileset["tt"]}, out=out)
    killed = started({"dimuon": fileset["dimuon"], "dy": fileset["dy"]}, out, step)
    assert killed.wait() == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    assert "skims/dimuon/pt/part-0000.parquet" in files(out)
    run_analysis(analysis, {"dy": fileset["dy"]}, out=out)
    assert files(out) == listed(out)
    assert not {f for f in files(out) if "tt" in f or "dimuon" in f}


def test_files_of_the_user_stay_after_a_killed_run(fileset, tmp_path, started):
    out = tmp_path / "out"
    started(fileset, out, "_report").wait()
    (out / "notes.txt").write_text("mine")
    (out / ".begun").write_text((out / ".begun").read_text() + '"../outside.txt"\n"half of a li')
    (tmp_path / "outside.txt").write_text("mine too")
    run_analysis(analysis, fileset, out=out)
    assert files(out) == {*listed(out), "notes.txt"}
    assert (tmp_path / "outside.txt").exists()


def test_of_two_runs_into_one_folder_the_last_has_it(fileset, tmp_path, started):
    out = tmp_path / "out"
    for _ in range(3):
        both = [started({name: fileset[name]}, out) for name in ("dy", "tt")]
        assert [p.wait() for p in both] == [0, 0]
        assert files(out) == listed(out)
        assert len(json.loads((out / "manifest.json").read_text())["results"]) == 1


def test_a_run_waits_for_one_that_writes(fileset, tmp_path, started):
    from hep_flows.store.commit import claimed

    out = tmp_path / "out"
    out.mkdir()
    with claimed(str(out / ".lock")):
        waits = started({"dy": fileset["dy"]}, out)
        with pytest.raises(subprocess.TimeoutExpired):
            waits.wait(6)
        assert files(out) == {".lock"}
    assert waits.wait() == 0
    assert files(out) == listed(out)
