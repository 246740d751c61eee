"""A histogram becomes a picture in the format of its name."""

import hist
import pytest

from hep_flows.show.histogram import save_histogram_plot


def _filled(values):
    return hist.Hist.new.Reg(10, 0, 10, name="x", label="x [GeV]").Double().fill(values)


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_ending_decides_the_format(tmp_path, ending, start):
    path = save_histogram_plot(_filled([1, 2, 2.5, 30]), tmp_path / "new" / f"plot.{ending}", "Title")
    assert path.read_bytes().startswith(start)


def test_an_empty_histogram_is_drawn(tmp_path):
    assert save_histogram_plot(_filled([]), tmp_path / "empty.png").stat().st_size > 1000


def test_a_weighted_histogram_and_an_axis_of_unequal_bins_are_drawn(tmp_path):
    h = hist.Hist.new.Var([0, 1, 5, 10], name="x").Weight().fill([0.5, 3, 7], weight=[1, 2, 0.5])
    assert save_histogram_plot(h, tmp_path / "weighted.png").is_file()
