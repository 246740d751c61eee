"""The command, as a user starts it."""

import subprocess
import sys
from pathlib import Path

import pytest

from hep_flows import __version__

COMMAND = [str(Path(sys.executable).parent / "hep-flows")]


def _run(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    first, second = (_run("demo", "--events", 400, cwd=folder) for _ in range(2))
    assert first.returncode == 0, first.stderr + first.stdout
    assert second.returncode == 0, second.stderr + second.stdout
    return folder, first.stdout, second.stdout


def test_version():
    assert _run("--version").stdout == f"hep-flows {__version__}\n"


def test_without_a_command_the_help_is_shown():
    assert "demo" in _run().stdout + _run().stderr


def test_demo_writes_a_plot_and_a_plan_for_each_listing(demo_run):
    folder, _, _ = demo_run
    made = list((folder / "demo-output").iterdir())
    stems = [f"listing_{n}_{layout}" for n in (1, 2) for layout in ("physlite", "nanoaod")]
    assert {f.name for f in made} == {f"{stem}{end}" for stem in stems for end in (".png", "_plan.svg")}
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in made if f.suffix == ".png")


def test_demo_says_what_it_made_and_then_that_it_found_it(demo_run):
    _, first, second = demo_run
    assert "Made the sample" in first
    assert "Found the sample" in second
    assert "found in the cache" in first
    assert "nothing was computed" not in first
    assert second.count("nothing was computed") == 4


def test_demo_shows_plans_with_labels_yields_and_times(demo_run):
    _, first, _ = demo_run
    for word in ("Listing 1", "Listing 2", "awkward", "hist", "matched electrons", "where the time went", "execute"):
        assert word in first, word


def test_two_runs_give_the_same_yields(demo_run):
    _, first, second = demo_run
    yields = [[line for line in out.splitlines() if "electrons" in line and "│" in line] for out in (first, second)]
    assert yields[0] == yields[1] != []


def test_errors_print_their_text_without_a_traceback(tmp_path):
    (tmp_path / "other.root").write_bytes(b"not a file of ROOT's")
    done = _run("demo", "--data", tmp_path)
    assert done.returncode == 1
    assert "SourceError" in done.stderr
    assert "other.root" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    (tmp_path / "other.root").write_bytes(b"not a file of ROOT's")
    done = _run("demo", "--data", tmp_path, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_plugins_lists_those_of_this_package():
    done = _run("plugins")
    assert done.returncode == 0, done.stderr
    assert "awkward" in done.stdout
    assert "hist" in done.stdout


@pytest.mark.data
def test_demo_runs_over_real_files(data, tmp_path):
    folder = Path(data("PHYSLITE_example.root")).parent
    done = _run("demo", "--data", folder, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PHYSLITE_example.root" in done.stdout
    assert len(list(tmp_path.glob("*.png"))) == 4


def test_a_folder_without_files_is_refused_and_stays_empty(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        done = _run("demo", "--data", folder)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for option in ("--data", "--out"):
        done = _run("demo", option, tmp_path / "file")
        assert done.returncode == 2
        assert option in done.stderr
        assert "Traceback" not in done.stderr
