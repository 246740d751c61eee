"""Certified luminosity sections: equal to coffea's LumiMask and to a loop over the ranges, and known by what is certified."""

from __future__ import annotations

import json

import numpy as np
import pytest
import uproot

from hep_flows import lumi_mask, make_local, nanoaod_table, plan, render, user_func
from hep_flows.errors import LiteralError, SourceError

GOLDEN = {"194711": [[1, 10], [12, 298], [300, 400]], "1": [[1, 99]], "2000000000": [[5, 4294967295]]}


def write(path, ranges):
    path.write_text(ranges if isinstance(ranges, str) else json.dumps(ranges))
    return str(path)


def certified(ranges, run, section):
    return [any(a <= s <= b for a, b in ranges.get(str(r), [])) for r, s in zip(run.tolist(), section.tolist(), strict=True)]


@pytest.fixture
def drawn():
    rng = np.random.default_rng(3)
    run = np.concatenate([rng.choice([1, 2, 194710, 194711, 2_000_000_000], 600), [194711] * 402]).astype(np.uint32)
    section = np.concatenate([rng.integers(0, 450, 600), np.arange(402)]).astype(np.uint32)
    return run, section


@pytest.fixture
def events(tmp_path, drawn):
    with uproot.recreate(tmp_path / "events.root") as file:
        file["Events"] = {"run": drawn[0], "luminosityBlock": drawn[1]}
    return nanoaod_table(str(tmp_path / "events.root"))


def test_it_equals_coffea_and_a_loop(events, drawn, tmp_path):
    from coffea.lumi_tools import LumiMask  # compiles functions when it is imported

    path = write(tmp_path / "golden.json", GOLDEN)
    got = np.asarray(make_local(lumi_mask(path)(events.run, events.luminosityBlock), chunk_events=100))
    assert got.dtype == np.bool_
    assert got.tolist() == np.asarray(LumiMask(path)(*drawn)).tolist() == certified(GOLDEN, *drawn)
    assert 0 < got.sum() < len(got)


def test_ranges_may_overlap_touch_and_stand_in_any_order(drawn, tmp_path):
    rng = np.random.default_rng(5)
    for _ in range(20):
        ranges = {
            str(r): [[int(a), int(a + w)] for a, w in zip(rng.integers(1, 400, 6), rng.integers(0, 60, 6), strict=True)]
            for r in (194711, 2, 1)
        }
        assert lumi_mask(write(tmp_path / "g.json", ranges))(*drawn).tolist() == certified(ranges, *drawn)


@pytest.mark.parametrize(
    ("run", "section", "is_good"),
    [
        (194711, 298, True),
        (194711, 299, False),
        (194711, 0, False),
        (7, 1, False),
        (-1, 5, False),
        (1 << 40, 1, False),
        (1, -1, False),
    ],
)
def test_called_with_numbers_it_computes(tmp_path, run, section, is_good):
    assert lumi_mask(write(tmp_path / "g.json", GOLDEN))(run, luminosityBlock=section) == is_good


def test_a_file_without_runs_certifies_nothing(drawn, tmp_path):
    assert not lumi_mask(write(tmp_path / "g.json", {}))(*drawn).any()


def test_the_key_is_that_of_the_sections_and_of_nothing_else(events, tmp_path):
    def key(name, ranges):
        return render(lumi_mask(write(tmp_path / name, ranges))(events.run, events.luminosityBlock)).key

    first = key("a.json", {"1": [[1, 10]], "2": [[3, 4]]})
    same = ['{\n "2": [[3, 4]], "1": [[1, 5], [6, 10]]}', {"1": [[2, 10], [1, 3]], "2": [[3, 4]], "3": []}]
    assert {key("b.json", s) for s in same} == {first}
    assert key("a.json", {"1": [[1, 11]], "2": [[3, 4]]}) != first


def test_a_changed_file_is_read_when_it_is_asked_for_again(events, drawn, tmp_path):
    path = tmp_path / "golden.json"
    mask = lumi_mask(write(path, GOLDEN))
    other = {"194711": [[299, 299]]}
    write(path, other)
    assert make_local(mask(events.run, events.luminosityBlock)).to_list() == certified(GOLDEN, *drawn)
    later = lumi_mask(path)(events.run, events.luminosityBlock)
    assert ["the certified sections of golden.json changed" in f"{s}" for s in plan(later).status.values()] == [True]
    assert make_local(later).to_list() == certified(other, *drawn)


def test_a_user_func_may_use_it_and_is_stored(events, drawn, tmp_path):
    mask = lumi_mask(write(tmp_path / "g.json", GOLDEN))

    @user_func
    def bad(run: int, section: int) -> bool:
        return ~mask(run, section)

    expr = bad(events.run, events.luminosityBlock)
    assert make_local(expr).to_list() == [not c for c in certified(GOLDEN, *drawn)]
    assert {s.state for s in plan(expr).status.values()} == {"hit"}


BROKEN = [
    "", "[]", "3", '{"run": [[1, 2]]}', '{"1": [[1]]}', '{"1": [1, 2]}', '{"1": [[2, 1]]}', '{"1": [[-1, 2]]}', '{"1": [["1", 2]]}',
    '{"1": [[1.5, 2]]}', '{"1": {}, "2": 4}', '{"1": [[1, 2]], "1": [[5, 6]]}', '{"5000000000": [[1, 2]]}', "\x00", "[" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_list_of_sections_is_an_error(tmp_path, text):
    with pytest.raises(SourceError, match="no list of certified luminosity sections"):
        lumi_mask(write(tmp_path / "g.json", text))


def test_wrong_calls_are_errors_when_they_are_recorded(events, tmp_path):
    mask = lumi_mask(write(tmp_path / "g.json", GOLDEN))
    with pytest.raises(LiteralError, match="takes run as int64, not float64"):
        mask(events.run * 1.0, events.luminosityBlock)
    with pytest.raises(LiteralError, match="called without luminosityBlock"):
        mask(events.run)
    with pytest.raises(SourceError, match="nowhere"):
        lumi_mask("nowhere.json")
