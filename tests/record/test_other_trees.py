"""Other trees of the same files, and the sums of weights in them, against uproot."""

import awkward as ak
import numpy as np
import pytest
import uproot

from hep_flows import make_local, nanoaod_table, parquet_table, run_analysis, servicex_table, tree_table, xaod_table
from hep_flows.errors import AxisError, FieldError, LiteralError, SourceError, TaskError


def write(path, events, *, weight=True, runs=None):
    """Write a skim: some events, and what was generated for it."""
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", {"genWeight" if weight else "x": "f4"})
        if events:
            tree.extend({"genWeight" if weight else "x": np.ones(events, "f4")})
        if runs is not None:
            file.mktree("Runs", {"genEventSumw": "f8", "genEventCount_": "i8"}).extend(
                {"genEventSumw": np.array(runs), "genEventCount_": np.array([2 * int(r) for r in runs])}
            )
    return str(path)


@pytest.fixture
def skim(tmp_path):
    given = (("s1", 3, [60.0, 40.0]), ("s2", 0, [50.0]), ("s3", 2, [50.0]))
    return [write(tmp_path / f"{name}.root", n, runs=runs) for name, n, runs in given]


def analysis(events):
    return {"yield": (events.genWeight * (events.metadata["xsec"] / events.sumw)).Sum(), "generated": events.n_generated}


def test_a_skim_is_normalised_by_all_that_was_generated_files_without_events_too(skim):
    done = run_analysis(analysis, {"ttbar": {"files": dict.fromkeys(skim, "Events"), "metadata": {"xsec": 10.0}}})
    assert done.values["ttbar"]["yield"] == pytest.approx(5 * 10.0 / 200.0, rel=1e-12)
    assert done.values["ttbar"]["generated"] == 400


def test_each_dataset_has_the_sums_of_its_own_files_in_one_recording(skim, tmp_path):
    other = write(tmp_path / "other.root", 4, runs=[8.0])
    fileset = {
        "ttbar": {"files": dict.fromkeys(skim, "Events"), "metadata": {"xsec": 10.0}},
        "other": {"files": {other: "Events"}, "metadata": {"xsec": 10.0}},
        "less": {"files": dict.fromkeys(skim[:1], "Events"), "metadata": {"xsec": 10.0}},
    }
    done = run_analysis(analysis, fileset)
    assert done.recordings == 1
    assert [v["generated"] for v in done.values.values()] == [400, 16, 200]
    assert [v["yield"] for v in done.values.values()] == pytest.approx([0.25, 5.0, 0.3])


def test_names_have_or_lack_their_last_underscore(skim):
    runs = nanoaod_table(skim).tree("Runs")
    assert make_local([runs.genEventCount.Sum(), runs.genEventCount_.Sum(), runs.genEventSumw_.Sum(), runs.Count()]) == [
        400,
        400,
        200.0,
        4,
    ]


def test_a_number_of_another_tree_stands_in_any_expression_and_its_entries_in_none(skim):
    df = nanoaod_table(skim)
    runs = df.tree("Runs")
    assert make_local((df.genWeight / runs.genEventSumw.Max()).Sum()) == pytest.approx(5 / 60)
    assert make_local(df[df.genWeight > runs.genEventSumw.Min() / 100].Count()) == 5
    assert make_local(df.sumw / df.n_generated) == 0.5
    with pytest.raises(AxisError, match="two tables"):
        df.genWeight * runs.genEventSumw
    with pytest.raises(AxisError, match="two tables") as caught:
        df.genWeight * tree_table(skim, "Runs").genEventSumw.Sum()
    assert caught.value.do.endswith('df.tree("Runs")')


def test_a_selection_changes_no_sum(skim):
    df = nanoaod_table(skim)
    none = df[df.genWeight > 5]
    assert make_local([none.Count(), df.sumw]) == [0, 200.0]


def test_data_and_files_that_say_nothing(tmp_path):
    data = write(tmp_path / "data.root", 7, weight=False)
    assert make_local(nanoaod_table(data).n_generated) == 7
    with pytest.raises(FieldError, match=r"nothing in the files of data\.root says the sum of weights"):
        nanoaod_table(data).sumw  # noqa: B018 - it raises
    simulated = write(tmp_path / "simulated.root", 7)
    for name in ("sumw", "n_generated"):
        with pytest.raises(FieldError, match="nothing in the files") as caught:
            getattr(nanoaod_table(simulated), name)
        assert caught.value.where.file == __file__


def test_files_of_which_some_have_sums_are_an_error(skim, tmp_path):
    mixed = [*skim, write(tmp_path / "without.root", 1)]
    with pytest.raises(SourceError, match=r"without\.root has no tree 'Runs'"):
        nanoaod_table(mixed).sumw  # noqa: B018 - it raises


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda df: df.tree("Rnus"), SourceError, "has no tree 'Rnus'"),
        (lambda df: df.tree(3), LiteralError, "named by a text"),
        (lambda df: df[df.genWeight > 0].tree("Runs"), LiteralError, "one of the files of a table"),
        (lambda df: df.tree("Runs").genEventSumW, FieldError, "did you mean 'genEventSumw'"),
    ],
)
def test_what_is_no_other_tree(wrong, error, says, skim):
    with pytest.raises(error, match=says) as caught:
        wrong(nanoaod_table(skim))
    assert caught.value.where.file == __file__


def test_parquet_has_no_other_trees(tmp_path):
    ak.to_parquet(ak.Array({"x": [1.0]}), str(tmp_path / "a.parquet"))
    with pytest.raises(SourceError, match="has no other trees"):
        parquet_table(tmp_path / "a.parquet").tree("Runs")


# Book-keepers of PHYSLITE: one entry for a file, lists of jobs in it ---------------------------------------------------------------

JOBS = (
    ("AllExecutedEvents", "StreamAOD", 1, 40, 4.0),
    ("AllExecutedEvents", "StreamAOD", 0, 1000, 123.5),
    ("AllExecutedEvents", "StreamEVNT", 0, 9999, 9999.0),
    ("PHYSLITEKernel", "StreamAOD", 0, 17, 1.5),
)


def write_physlite(path, events, *files_of_jobs, leaf="TruthElectronsAuxDyn:pt"):
    """Write a file of some events, and an entry of book-keepers for each file that was merged into it."""
    with uproot.recreate(path) as file:
        pt = ak.values_astype(ak.Array([[1.0, 2.0]] * events or [[0.0]])[:events], np.float32)
        file.mkrntuple("CollectionTree", {leaf: pt, "EventInfoAuxDyn:eventNumber": np.arange(events, dtype=np.uint64)})
        if files_of_jobs:
            names = ("name", "inputStream", "cycle", "nAcceptedEvents", "sumOfEventWeights")
            columns = [ak.Array([[job[i] for job in jobs] for jobs in files_of_jobs]) for i in range(5)]
            columns[3] = ak.values_astype(columns[3], np.uint64)
            file.mkrntuple("MetaData", {f"CutBookkeepersAux:{n}": c for n, c in zip(names, columns, strict=True)})
    return str(path)


def sums_by_uproot(files):
    """Give the number of events and the sum of weights by hand."""
    totals = np.zeros(2)
    for file in files:
        tree = uproot.open(file)["MetaData"]
        every = tree.arrays(filter_name="CutBookkeepersAux*")
        for entry in every.to_list():
            jobs = [dict(zip(entry, job, strict=True)) for job in zip(*entry.values(), strict=True)]
            jobs = [{k.partition(":")[2]: v for k, v in j.items()} for j in jobs]
            jobs = [j for j in jobs if j["name"] == "AllExecutedEvents" and j["inputStream"] == "StreamAOD"]
            first = min(jobs, key=lambda j: j["cycle"])
            totals += [first["nAcceptedEvents"], first["sumOfEventWeights"]]
    return totals.tolist()


def test_bookkeepers_of_the_first_job_say_what_was_generated_in_files_without_events_too(tmp_path):
    files = [
        write_physlite(tmp_path / "a.root", 3, JOBS),
        write_physlite(tmp_path / "b.root", 0, JOBS[1:2], JOBS[:3]),
        write_physlite(tmp_path / "c.root", 2, (("AllExecutedEvents", "StreamAOD", 2, 7, -0.5),)),
    ]
    df = xaod_table(files)
    found = make_local([df.n_generated, df.sumw, df[df.EventInfo.eventNumber > 1].Count()])
    assert found == [*sums_by_uproot(files), 1]
    assert found[:2] == [3007, 370.0]
    fileset = {"z": {"files": dict.fromkeys(files, "CollectionTree"), "metadata": {"xsec": 2.0, "kind": "xaod"}}}
    done = run_analysis(lambda events: {"n": events.Count(), "per": events.Count() / events.sumw}, fileset)
    assert done.values["z"] == {"n": 5, "per": 5 / 370.0}
    assert done.samples["z"].is_data is False


def test_files_whose_bookkeepers_say_nothing_are_an_error(tmp_path):
    plain = write_physlite(tmp_path / "plain.root", 2)
    good = write_physlite(tmp_path / "good.root", 2, JOBS)
    other = write_physlite(tmp_path / "other.root", 2, JOBS[2:])
    with pytest.raises(FieldError, match=r"PHYSLITE in CutBookkeepers of MetaData"):
        xaod_table(plain).sumw  # noqa: B018 - it raises
    with pytest.raises(SourceError, match=r"plain\.root has no tree 'MetaData'"):
        xaod_table([good, plain]).sumw  # noqa: B018 - it raises
    for name in ("sumw", "n_generated"):
        with pytest.raises(TaskError, match="no single book-keeper AllExecutedEvents of StreamAOD"):
            make_local(getattr(xaod_table([good, other]), name))


def test_recorded_data_has_events_and_no_sum_of_weights(tmp_path):
    data = xaod_table(write_physlite(tmp_path / "data.root", 4, JOBS, leaf="AnalysisElectronsAuxDyn:pt"))
    assert make_local(data.n_generated) == 4
    with pytest.raises(FieldError, match="says the sum of weights"):
        data.sumw  # noqa: B018 - it raises


def test_what_a_server_reads_has_no_other_trees_and_says_what_to_do(skim, tmp_path):
    df = servicex_table(skim[0], kind="nanoaod")
    for wrong in (lambda: df.tree("Runs"), lambda: df.sumw, lambda: df.n_generated):
        with pytest.raises(SourceError, match="which has no other trees") as caught:
            wrong()
        assert 'servicex_table(files, kind="tree", tree="Runs")' in caught.value.do
        assert caught.value.where.file == __file__
    runs = servicex_table(skim[0], kind="tree", tree="Runs")  # what the advice says
    assert make_local(runs.genEventSumw.Sum()) == 100.0
    data = servicex_table(write(tmp_path / "data.root", 7, weight=False), kind="nanoaod")
    assert make_local(data.n_generated) == 7
