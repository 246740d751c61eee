"""What plans say about tables that only a server reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from grid.servers import NO_TYPED_PACKAGES, analysis
from grid.store_files import DATASET
from hep_flows import nanoaod_table, plan, servicex_table, xaod_table
from hep_flows.demo import listings
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.expr.nodes import Dataset, Map
from hep_flows.expr.walk import postorder

BY_NAME = "known by name only: servicex_table(..., refresh=True) asks the server anew"


def notes_of(shown: str) -> list[str]:
    _, _, rest = shown.partition("\nnotes\n")
    return [line.strip() for line in rest.partition("\n\n")[0].splitlines()]


def test_a_plan_says_which_tables_are_known_by_name_only(grid):
    assert notes_of(str(plan(analysis(grid.table(DATASET))))) == [f"jets is {BY_NAME}"]
    assert notes_of(str(plan(analysis(grid.table())))) == [f"part0.root: 6 files are {BY_NAME}"]
    local = nanoaod_table(list(grid.store.paths.values()))
    assert "by name only" not in str(plan(analysis(local)))
    # Where a server is named for files that can be looked into, their content counts.
    assert "by name only" not in str(plan(grid.table(list(grid.store.paths.values()), like=None, endpoint="simulator").MET.pt))
    assert not grid.sim.calls()


def test_a_plan_shows_the_server_and_the_query(grid):
    shown = str(plan(grid.table(DATASET).MET.pt))
    assert "sends to servicex simulator" in shown
    assert "MET_pt" in shown


@pytest.mark.parametrize("release", ["", "25"])
def test_a_plan_names_the_leaves_that_are_taken_for_methods(grid, modules, release):
    if release:
        pytest.importorskip("func_adl_servicex_xaodr25")
    else:
        modules(**NO_TYPED_PACKAGES)
    jets = xaod_table(DATASET).Jets("AnalysisJets")
    (*rest, last) = notes_of(str(plan((jets.pt, jets.width if not release else jets.eta))))
    assert rest == ([] if release else [f"jets is {BY_NAME}"])
    assert last == (
        f"jets is {BY_NAME}" if release else "taken for methods that give a double, since no schema names them: AnalysisJets.width"
    )
    assert Path("servicex.yaml").exists()


def test_loops_of_two_plug_ins_may_share_a_body_and_only_the_one_that_reads_the_table_reads_it(tmp_path):
    """The second listing matches by a loop that is sent for its counts, and stays here for its first element."""
    files = sample_files(tmp_path, Recipe(events=50))
    recorded = listings.listing_2_nanoaod(str(files.nanoaod), table=partial(servicex_table, kind="nanoaod"))
    made = plan({"values": recorded.values, **recorded.yields}).raw
    reads = {t.plugin for t in made.tasks if any(isinstance(n, Dataset) for n in postorder(t.expr))}
    assert reads == {"servicex"}
    assert any(t.plugin == "awkward" and any(isinstance(n, Map) for n in postorder(t.expr)) for t in made.tasks)
