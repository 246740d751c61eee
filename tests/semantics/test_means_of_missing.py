"""A mean is over the entries that are there: missing ones neither add nor count."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from hep_flows import make_local, nanoaod_table
from hep_flows.errors import LiteralError

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def df(data):
    return nanoaod_table(data("nano_dy.root"))


@pytest.mark.parametrize("mean", [np.mean, ak.mean, lambda x: x.Mean()], ids=["numpy", "awkward", "method"])
def test_a_mean_over_events_leaves_out_missing_values(mean, df):
    leading = df.Electron.pt.Max()
    values = make_local(leading)
    assert ak.any(ak.is_none(values)), "the file has events without electrons"
    expected = float(np.mean(ak.to_numpy(ak.drop_none(values)).astype(np.float64)))
    assert make_local(mean(leading)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("function", "identity"), [(ak.max, False), (ak.min, False), (ak.sum, True), (ak.any, True)])
def test_another_result_on_empty_lists_cannot_be_asked_for(function, identity, df):
    of = df.Jet.pt > 30 if function is ak.any else df.Jet.pt
    with pytest.raises(LiteralError, match="mask_identity"):
        function(of, axis=-1, mask_identity=identity)
    assert make_local(function(of, axis=-1, mask_identity=not identity)).ndim == 1
