"""From what a user holds to values, plans and text, on real files."""

from __future__ import annotations

import asyncio
import time
from collections import namedtuple

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from hep_flows import (
    Histogram,
    dumps,
    make_local,
    make_local_async,
    nanoaod_table,
    plan,
    render,
    tree_table,
    user_func,
)
from hep_flows.errors import LiteralError, NoPluginError, PlanError, PluginError, TaskError
from hep_flows.expr.nodes import Node
from hep_flows.plugins import find

pytestmark = pytest.mark.data
SM = "Run2012B_SingleMu_1000.root"


@pytest.fixture
def df(data):
    return nanoaod_table(data(SM))


@pytest.fixture(scope="module")
def sm(data):
    with uproot.open(data(SM)) as file:
        return file["Events"].arrays(["Jet_pt", "Jet_eta", "MET_pt", "Muon_pt", "nJet"])


class TestMakeLocal:
    def test_containers_come_back_as_they_were(self, df, sm):
        Pair = namedtuple("Pair", "n pt")  # noqa: PYI024
        got = make_local({"a": [df.Count(), (df.MET.pt.Max(),)], "b": Pair(df.Count(), df.Jet.pt), "c": []})
        assert type(got) is dict
        assert got["a"] == [1000, (ak.max(sm.MET_pt),)]
        assert type(got["b"]) is Pair
        assert got["b"].pt.tolist() == sm.Jet_pt.tolist()
        assert got["c"] == []

    @pytest.mark.parametrize("empty", [[], (), {}, [[], {}]])
    def test_empty_containers_are_their_own_value(self, empty):
        assert make_local(empty) == empty

    def test_several_tables_in_one_call(self, df, data):
        flat = tree_table(data("uproot-Zmumu.root"), tree="events")
        assert make_local((df.Count(), flat.Count())) == (1000, 2304)

    @pytest.mark.parametrize(
        ("thing", "says"),
        [
            (3, "an int is no expression"),
            ("x", "a str"),
            (None, "did a function forget its return"),
            ({"a": [object()]}, "an object"),
            (np.arange(3), "an ndarray"),
            (Histogram.new.Reg(5, 0, 1), "end the histogram with a storage"),
            (abs, "call it"),
        ],
    )
    def test_other_things_are_refused_with_the_line(self, thing, says):
        for verb in (make_local, plan, render, dumps):
            with pytest.raises(LiteralError) as caught:
                verb(thing)
            assert says in str(caught.value)
            assert caught.value.where.file.endswith("test_verbs.py")

    def test_a_list_that_holds_itself_is_refused(self):
        loop = []
        loop.append(loop)
        with pytest.raises(LiteralError, match="hold themselves"):
            make_local(loop)

    @pytest.mark.parametrize("workers", [1, 3])
    @pytest.mark.parametrize("chunk_events", [64, 317, 100_000])
    def test_partitions_and_threads_do_not_matter(self, df, sm, workers, chunk_events):
        hard = df.Jet[df.Jet.pt > 30]
        h = Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=hard.pt)
        asked = (
            hard.pt,
            hard.Count().Sum(),
            df[hard.Count() > 1].MET.pt / df.MET.pt.Max(),
            h,
            np.histogram(df.Jet.pt),
            df[500:510].MET.pt,
        )
        got = make_local(asked, workers=workers, chunk_events=chunk_events)
        cut = sm.Jet_pt > 30
        assert got[0].tolist() == sm.Jet_pt[cut].tolist()
        assert got[1] == ak.sum(cut)
        assert got[2].tolist() == (sm.MET_pt[ak.sum(cut, axis=1) > 1] / ak.max(sm.MET_pt)).tolist()
        flat = ak.to_numpy(ak.flatten(sm.Jet_pt[cut]))
        assert got[3] == hist.Hist.new.Reg(20, 0, 200, name="pt").Double().fill(pt=flat)
        for a, b in zip(got[4], np.histogram(ak.to_numpy(ak.flatten(sm.Jet_pt))), strict=True):
            np.testing.assert_array_equal(a, b)
        assert got[5].tolist() == sm.MET_pt[500:510].tolist()

    def test_a_histogram_skips_missing_first_objects(self, df, sm):
        got = make_local(Histogram.new.Reg(20, 0, 200, name="pt").Weight().fill(pt=df.Muon.First().pt, weight=df.MET.pt))
        first = ak.firsts(sm.Muon_pt)
        there = ~ak.is_none(first)
        want = hist.Hist.new.Reg(20, 0, 200, name="pt").Weight()
        want.fill(pt=ak.to_numpy(ak.drop_none(first)), weight=ak.to_numpy(sm.MET_pt[there]))
        np.testing.assert_allclose(got.view(flow=True).value, want.view(flow=True).value, rtol=1e-12)

    def test_pairs_fill_one_entry_each_with_weights_of_events_and_objects(self, df, sm):
        mass = df.Jet.map(lambda j: df.Muon.pt + j.pt)
        h = Histogram.new.Reg(20, 0, 400, name="sum").Reg(5, 0, 100, name="pt").Weight()
        got = make_local(h.fill(sum=mass, pt=df.Jet.pt, weight=df.MET.pt), chunk_events=300)
        pairs = ak.cartesian([sm.Jet_pt, sm.Muon_pt], nested=True)
        total = ak.to_numpy(ak.flatten(pairs["0"] + pairs["1"], axis=None))
        pt = ak.to_numpy(ak.flatten(pairs["0"], axis=None))
        weight = ak.to_numpy(ak.flatten(ak.broadcast_arrays(sm.MET_pt, pairs["0"])[0], axis=None))
        want = hist.Hist.new.Reg(20, 0, 400, name="sum").Reg(5, 0, 100, name="pt").Weight().fill(total, pt, weight=weight)
        np.testing.assert_allclose(got.view(flow=True).value, want.view(flow=True).value, rtol=1e-12)

    def test_a_file_without_events_gives_typed_empty_results(self, tmp_path):
        with uproot.recreate(tmp_path / "empty.root") as file:
            file.mktree("t", {"x": "float32", "n": "var * int64"})
        df = tree_table(str(tmp_path / "empty.root"), tree="t")
        got = make_local(
            [df.x, df.x.Sum(), df.Count(), df.x.Max(), Histogram.new.Reg(3, 0, 1).Weight().fill(df.x), np.histogram(df.x)]
        )
        assert str(got[0].type) == "0 * float32"
        assert got[1:4] == [0, 0, None]
        assert got[4].sum(flow=True).value == 0
        assert got[5][1].tolist() == np.linspace(0, 1, 11, dtype=np.float32).tolist()

    def test_an_error_in_a_users_function_shows_his_line(self, df):
        @user_func
        def bad(x: float) -> float:
            return x + int("seven")

        with pytest.raises(TaskError) as caught:
            make_local(bad(df.MET.pt))
        assert caught.value.where.file.endswith("test_verbs.py")

    def test_a_function_without_a_body_is_named_before_anything_runs(self, df):
        @user_func
        def mystery(x: float) -> float: ...

        with pytest.raises(NoPluginError, match="mystery"):
            make_local(mystery(df.MET.pt))

    def test_plugins_can_be_restricted_from_outside(self, df, environment):
        environment(HEP_FLOWS_PLUGINS="hist")
        with pytest.raises(PlanError, match="no plug-in can run"):
            make_local(df.MET.pt)
        environment(HEP_FLOWS_PLUGINS="hist,nobody")
        with pytest.raises(PluginError, match="no plug-in 'nobody'"):
            make_local(df.MET.pt)


class TestAsync:
    def test_several_at_once_inside_a_loop(self, df, sm):
        async def work():
            ticks = 0
            both = asyncio.gather(make_local_async(df.MET.pt), make_local_async(df.Jet.pt))
            while not both.done():
                ticks += 1
                await asyncio.sleep(0)
            return await both, ticks

        (met, pt), ticks = asyncio.run(work())
        assert met.tolist() == sm.MET_pt.tolist()
        assert pt.tolist() == sm.Jet_pt.tolist()
        assert ticks > 0

    def test_make_local_works_inside_a_running_loop(self, df):
        async def work():
            return make_local(df.Count())

        assert asyncio.run(work()) == 1000

    def test_a_cancelled_task_stops_its_threads(self, df):
        seen = []

        @user_func
        def slow(x: float) -> float:
            seen.append(1)
            time.sleep(0.02)
            return x

        async def work():
            task = asyncio.create_task(make_local_async(slow(df.MET.pt), workers=1, chunk_events=100))
            while not seen:  # noqa: ASYNC110 - the thread knows nothing of the loop
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(work())
        n = len(seen)
        time.sleep(0.1)  # on a slow machine this sees less, and fails no sooner
        assert len(seen) == n
        assert n < 300

    def test_errors_come_out_with_the_line(self):
        with pytest.raises(LiteralError) as caught:
            asyncio.run(make_local_async(3))
        assert caught.value.what == "an int is no expression"


class TestText:
    def test_render_gives_equal_nodes_for_equal_expressions(self, df):
        assert render(df.Jet["pt"]) == render(df.Jet.pt)
        assert isinstance(render(df.Jet.pt), Node)
        assert set(render({"a": df.Jet.pt})) == {"a"}

    def test_dumps_writes_a_repeated_part_once(self, df):
        x = df.Jet.pt * 12.5
        assert dumps(x + x).count("12.5") == 1
        assert "sqrt" in dumps(np.sqrt(df.Jet.eta))
        assert len(dumps([df.Jet.pt, df.Jet.eta]).split("\n\n")) == 2


class TestPlan:
    def test_it_shows_plugins_and_the_used_columns_only(self, df):
        made = plan(Histogram.new.Reg(5, 0, 1).Double().fill(df.Jet[df.Jet.pt > 30].eta))
        assert made.columns == ("Jet_eta", "Jet_pt")
        text = str(made)
        assert "awkward" in text
        assert "hist" in text
        assert "Jet_phi" not in text

    def test_it_saves_itself(self, df, tmp_path):
        made = plan(df.Jet.pt)
        for ending in ("svg", "html", "txt"):
            made.save(tmp_path / f"plan.{ending}")
            assert (tmp_path / f"plan.{ending}").stat().st_size > 50
        with pytest.raises(LiteralError, match=r"\.svg, \.html or \.txt"):
            made.save(tmp_path / "plan.png")

    def test_it_prints_and_shows_itself(self, df, capsys):
        made = plan(df.Jet.pt)
        made.show()
        assert capsys.readouterr().out.strip() == str(made).strip() == repr(made).strip()
        assert "<" in made._repr_html_()
        assert len(made.tasks) == len(made.raw.tasks) == 1

    def test_bytes_are_told_by_the_plugin_that_reads(self, df):
        plugin = find("awkward")
        got = plan(df.Jet.pt / df.MET.pt.Max()).bytes
        assert got == plugin.column_bytes(render(df), ("Jet_pt", "MET_pt")) > 0

    def test_a_plan_that_reads_nothing_has_no_bytes(self):
        assert plan(Histogram.new.Reg(5, 0, 1).Double().fill(0.5)).bytes == 0
