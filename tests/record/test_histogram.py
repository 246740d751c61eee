"""Histograms, as they are written down."""

from __future__ import annotations

import copy
import itertools
import json

import boost_histogram as bh
import hist
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hep_flows import Histogram, render
from hep_flows.errors import AxisError, ControlFlowError, LiteralError, RecordError
from hep_flows.plugins.hist.fill import template

NEW = Histogram.new


def spec(h):
    return json.loads(render(h).type.item.spec)


def key(h):
    return render(h).key


class TestConstruction:
    def test_it_is_written_like_hist(self):
        h = NEW.Reg(50, 0, 200, name="pt", label="Jet pt").StrCat([], name="region", growth=True).Weight()
        assert (
            template(render(h).type.item.spec)
            == hist.Hist.new.Reg(50, 0, 200, name="pt", label="Jet pt").StrCat([], name="region", growth=True).Weight()
        )

    @pytest.mark.parametrize(
        ("short", "long", "args"),
        [
            ("Reg", "Regular", (3, 0, 1)),
            ("Var", "Variable", ([0, 1, 3],)),
            ("Int", "Integer", (0, 3)),
            ("IntCat", "IntCategory", ([1, 2],)),
            ("StrCat", "StrCategory", (["a"],)),
            ("Bool", "Boolean", ()),
        ],
    )
    def test_short_and_long_names_are_one(self, short, long, args):
        assert key(getattr(NEW, short)(*args, name="x").Double()) == key(getattr(NEW, long)(*args, name="x").Double())

    def test_builders_never_change(self):
        one = NEW.Reg(10, 0, 1, name="a")
        two = one.Reg(10, 0, 1, name="b")
        assert len(spec(one.Double())["axes"]) == 1
        assert len(spec(two.Double())["axes"]) == 2

    def test_numbers_of_numpy_are_the_same_numbers(self):
        ours = NEW.Reg(np.int64(10), np.float32(0), np.float64(1)).Var(np.array([0, 1, 2]), name="v").Double()
        assert key(ours) == key(NEW.Reg(10, 0, 1).Var([0.0, 1.0, 2.0], name="v").Double())

    @pytest.mark.parametrize("name", ["Double", "Int64", "AtomicInt64", "Unlimited", "Weight", "Mean", "WeightedMean"])
    def test_every_storage(self, name):
        h = getattr(NEW.Reg(10, 0, 1), name)()
        assert template(render(h).type.item.spec).storage_type is getattr(hist.storage, name)

    def test_all_of_hists_quick_names_are_there(self):
        there = {n for n in dir(hist.quick_construct.ConstructProxy) if n[0].isupper()}
        assert there <= set(dir(NEW.Reg(1, 0, 1)))

    def test_a_storage_needs_an_axis(self):
        assert not hasattr(NEW, "Double")

    @pytest.mark.parametrize(
        ("make", "says"),
        [
            (lambda: NEW.Reg(10, 0, 1, nmae="x"), "did you mean 'name'"),
            (lambda: NEW.Reg(10, 0), "missing a required argument: 'stop'"),
            (lambda: NEW.Reg(10, 0, 1, "x"), "too many positional arguments"),
            (lambda: NEW.Reg(0, 0, 1), "at least one bin"),
            (lambda: NEW.Reg(1.5, 0, 1), "bins must be an integer"),
            (lambda: NEW.Reg(True, 0, 1), "bins must be an integer"),
            (lambda: NEW.Reg(5, 1, 1), "1 is not below 1"),
            (lambda: NEW.Reg(5, 2, 1), "2 is not below 1"),
            (lambda: NEW.Reg(5, float("nan"), 1), "start must be a finite number"),
            (lambda: NEW.Reg(5, 0, float("inf")), "stop must be a finite number"),
            (lambda: NEW.Reg(5, "0", 1), "start must be a finite number"),
            (lambda: NEW.Var([1]), "at least two edges"),
            (lambda: NEW.Var([1, 1]), "1 is not below 1"),
            (lambda: NEW.Var(5), "edges must be a list"),
            (lambda: NEW.Var([0, float("nan")]), "an edge must be a number"),
            (lambda: NEW.Int(3, 3), "3 is not below 3"),
            (lambda: NEW.Int(0, 2**40), "32 bits"),
            (lambda: NEW.IntCat([1, 1]), "the category 1 is given twice"),
            (lambda: NEW.IntCat([1.5]), "a category must be an integer"),
            (lambda: NEW.StrCat([1]), "is text, not 1"),
            (lambda: NEW.StrCat("abc"), "categories must be a list"),
            (lambda: NEW.StrCat(["a", "a"]), "'a' is given twice"),
            (lambda: NEW.Log(5, 0, 1), "start above 0"),
            (lambda: NEW.Sqrt(5, -1, 1), "start of 0 or more"),
            (lambda: NEW.Pow(5, 0, 1, power=0), "cannot be 0"),
            (lambda: NEW.Pow(5, 0, 1), "missing a required argument: 'power'"),
            (lambda: NEW.Func(5, 0, 1, forward=abs, inverse=abs), "Python function"),
            (lambda: NEW.Reg(5, 0, 1, name="weight"), "cannot be called 'weight'"),
            (lambda: NEW.Reg(5, 0, 1, name=3), "name must be text"),
            (lambda: NEW.Reg(5, 0, 1, growth=1), "growth must be True or False"),
            (lambda: NEW.Reg(5, 0, 1, name="a").Bool("a"), "two axes are called 'a'"),
            (lambda: NEW.Reg(5, 0, 1, metadata=object()), "metadata must be plain data"),
            (lambda: NEW.Reg(5, 0, 1).Double(nmae="x"), "did you mean 'name'"),
            (lambda: NEW.Reg(5, 0, 1).MultiCell(1.5), "number of cells"),
        ],
    )
    def test_wrong_arguments_are_refused_with_the_line(self, make, says):
        with pytest.raises(LiteralError) as caught:
            make()
        assert says in str(caught.value)
        assert caught.value.where is not None
        assert caught.value.where.file.endswith("test_histogram.py")

    @pytest.mark.parametrize("kind", ["Reg", "Var", "Int"])
    @pytest.mark.parametrize(
        "flags", list(itertools.product([None, False, True], [None, False, True], [False, True], [False, True], [False, True]))
    )
    def test_flow_options_are_those_of_hist(self, kind, flags):
        options = dict(zip(("underflow", "overflow", "growth", "circular", "flow"), flags, strict=True))
        args = {"Reg": (5, 0, 1), "Var": ([0, 1, 2],), "Int": (0, 5)}[kind]
        try:
            want = getattr(hist.Hist.new, kind)(*args, **options).Double()
        except KeyError:
            with pytest.raises(LiteralError):
                getattr(NEW, kind)(*args, **options)
        else:
            made = getattr(NEW, kind)(*args, **options).Double()
            assert template(render(made).type.item.spec).axes[0].traits == want.axes[0].traits


class TestKeys:
    def test_the_key_depends_on_axes_storage_labels_and_metadata(self):
        made = [
            NEW.Reg(5, 0, 1).Double(),
            NEW.Reg(6, 0, 1).Double(),
            NEW.Reg(5, 0, 2).Double(),
            NEW.Reg(5, 0, 1).Weight(),
            NEW.Reg(5, 0, 1, name="a").Double(),
            NEW.Reg(5, 0, 1, label="a").Double(),
            NEW.Reg(5, 0, 1, metadata=1).Double(),
            NEW.Reg(5, 0, 1).Double(name="a"),
            NEW.Reg(5, 0, 1, overflow=False).Double(),
            NEW.Int(0, 5).Double(),
        ]
        assert len({key(h) for h in made}) == len(made)

    def test_the_key_does_not_depend_on_how_it_is_written(self):
        assert key(NEW.Reg(5, 0, 1, name="a").Double()) == key(NEW.Regular(5, 0.0, 1.0, name="a", label="", flow=True).Double())

    def test_the_key_of_a_fill_depends_on_every_argument(self, df):
        h = NEW.Reg(5, 0, 1, name="a").Weight()
        made = [
            h,
            h.fill(df.Jet.pt),
            h.fill(df.Jet.eta),
            h.fill(df.Jet.pt, weight=df.MET.pt),
            h.fill(df.Jet.pt, weight=2.0),
            h.fill(df.Jet.pt, weight=2),
            h.fill(df.Jet.pt).fill(df.Jet.pt),
            h.fill(1),
        ]
        assert len({key(x) for x in made}) == len(made)

    def test_by_name_and_by_place_are_one(self, df):
        h = NEW.Reg(5, 0, 1, name="a").Reg(5, 0, 1, name="b").Double()
        assert h.fill(df.Jet.pt, df.MET.pt) == h.fill(b=df.MET.pt, a=df.Jet.pt) == h.fill(df.Jet.pt, b=df.MET.pt)


AXES = [
    hist.axis.Regular(50, 0, 200, name="pt", label="x"),
    hist.axis.Regular(7, 0.1, 0.3),
    hist.axis.Regular(5, 1, 10, transform=hist.axis.transform.log),
    hist.axis.Regular(5, 0.3, 11.7, transform=hist.axis.transform.sqrt),
    hist.axis.Regular(5, 0.3, 11.7, transform=hist.axis.transform.Pow(2.5), name="p"),
    hist.axis.Regular(5, 0, 1, overflow=False),
    hist.axis.Regular(5, 0, 1, circular=True, metadata={"k": [1]}),
    hist.axis.Regular(5, 0, 1, growth=True),
    hist.axis.Variable([0, 0.1, 5, np.inf], name="v"),
    hist.axis.Integer(-3, 4, underflow=False, name="i"),
    hist.axis.IntCategory([4, 1], name="c"),
    hist.axis.IntCategory([], growth=True),
    hist.axis.StrCategory(["b", "a"], name="s", label="S"),
    hist.axis.StrCategory([], growth=True, name="s"),
    hist.axis.StrCategory(["b", "a"], overflow=False),
    hist.axis.Boolean(name="b"),
]


class TestTemplates:
    @pytest.mark.parametrize("axis", AXES, ids=str)
    @pytest.mark.parametrize("storage", [hist.storage.Weight(), hist.storage.Mean(), hist.storage.MultiCell(2)], ids=str)
    def test_a_template_comes_back_as_it_was(self, axis, storage):
        h = hist.Hist(axis, storage=storage, name="n", label="l", metadata=[1])
        back = template(render(Histogram(h)).type.item.spec)
        assert back == h
        assert back.axes[0].traits == h.axes[0].traits
        assert (back.axes[0].name, back.axes[0].label, back.axes[0].metadata) == (
            h.axes[0].name,
            h.axes[0].label,
            h.axes[0].metadata,
        )
        assert (back.name, back.label, back.metadata) == ("n", "l", [1])

    @given(st.integers(1, 300), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
    def test_edges_come_back_to_the_bit(self, bins, start, width):
        h = hist.Hist.new.Reg(bins, start, start + width).Double()
        back = template(render(Histogram(h)).type.item.spec)
        assert (back.axes[0].edges == h.axes[0].edges).all()

    def test_a_template_and_the_same_construction_are_one_key(self):
        h = hist.Hist.new.Log(50, 1, 1000, name="pt").StrCat([], name="region", growth=True).Reg(5, 0, 1).Weight()
        assert key(Histogram(h)) == key(
            NEW.Log(50, 1, 1000, name="pt").StrCat([], name="region", growth=True).Reg(5, 0, 1).Weight()
        )

    def test_boost_histograms_are_templates_too(self):
        h = bh.Histogram(bh.axis.Regular(5, 0, 1), bh.axis.StrCategory(["a"]), storage=bh.storage.Weight())
        made = template(render(Histogram(h)).type.item.spec)
        assert [list(a) for a in made.axes] == [list(a) for a in h.axes]
        assert made.storage_type is bh.storage.Weight

    @pytest.mark.parametrize("storage", ["Double", "Weight", "Mean"])
    def test_a_filled_template_is_refused(self, storage):
        h = getattr(hist.Hist.new.Reg(5, 0, 1), storage)()
        h.fill([7.0], **({"sample": [1.0]} if storage == "Mean" else {}))
        with pytest.raises(LiteralError, match="must be empty"):
            Histogram(h)

    @pytest.mark.parametrize("thing", [3, None, NEW.Reg(5, 0, 1), [1, 2]])
    def test_other_things_are_refused(self, thing):
        with pytest.raises(LiteralError, match="made from an empty"):
            Histogram(thing)


class TestFill:
    H = NEW.Reg(5, 0, 1, name="pt").StrCat(["a"], name="region").Weight()

    def test_it_gives_a_new_object(self, df):
        before = key(self.H)
        filled = self.H.fill(pt=df.Jet.pt, region="a")
        assert filled is not self.H
        assert key(self.H) == before != key(filled)
        assert isinstance(filled, Histogram)

    @pytest.mark.parametrize(
        ("fill", "error", "says"),
        [
            (lambda h, df: h.fill(pt=df.Jet.pt), LiteralError, "needs a value for the axis 'region'"),
            (lambda h, df: h.fill(ptt=df.Jet.pt, region="a"), LiteralError, "did you mean 'pt'"),
            (lambda h, df: h.fill(df.Jet.pt, "a", 3), LiteralError, "has 2 axes, and 3 values"),
            (lambda h, df: h.fill(df.Jet.pt, pt=df.Jet.pt, region="a"), LiteralError, "'pt' is given twice"),
            (lambda h, df: h.fill(pt="x", region="a"), LiteralError, "takes numbers, not string"),
            (lambda h, df: h.fill(pt=df.Type, region="a"), LiteralError, "takes numbers, not string"),
            (lambda h, df: h.fill(pt=df.Jet, region="a"), LiteralError, "takes numbers, not record Jet"),
            (lambda h, df: h.fill(pt=df.Jet.pt, region=3), LiteralError, "takes text, not int64"),
            (lambda h, df: h.fill(pt=df.Jet.pt, region=None), LiteralError, "NoneType"),
            (lambda h, df: h.fill(pt=[1, 2], region="a"), LiteralError, "not a list"),
            (lambda h, df: h.fill(pt=np.arange(3), region="a"), LiteralError, "ndarray"),
            (lambda h, df: h.fill(pt=df.Jet.pt, region="a", weight="w"), LiteralError, "weight must be a number"),
            (lambda h, df: h.fill(pt=df.Jet.pt, region="a", sample=df.Jet.pt), LiteralError, "takes no sample"),
            (lambda h, df: h.fill(pt=df.Jet.pt, region="a", weight=df.Muon.pt), AxisError, "does not align"),
            (lambda h, df: h.fill(pt=df.Jet[df.Jet.pt > 3].pt, region="a", weight=df.Jet.pt), AxisError, "does not align"),
            (lambda h, df: h.fill(pt=df.Jet.pt, region="a", threads=2), LiteralError, "no axis 'threads'"),
            (lambda h, df: df.Jet.map(lambda j: h.fill(pt=j.pt, region="a")), AxisError, "element of a lambda"),
        ],
    )
    def test_wrong_arguments_are_refused_with_the_line(self, df, fill, error, says):
        with pytest.raises(error) as caught:
            fill(self.H, df)
        assert says in str(caught.value)
        assert caught.value.where is not None
        assert caught.value.where.file.endswith("test_histogram.py")

    @pytest.mark.parametrize("axis", [NEW.Int(0, 3), NEW.IntCat([1]), NEW.Bool()])
    def test_axes_of_integers_take_no_floats(self, df, axis):
        with pytest.raises(LiteralError, match="takes integers, not float32"):
            axis.Double().fill(df.Jet.pt)

    def test_storages_of_integers_take_no_float_weights(self, df):
        with pytest.raises(LiteralError, match="counts in whole numbers"):
            NEW.Reg(5, 0, 1).Int64().fill(df.Jet.pt, weight=df.MET.pt)

    def test_means_need_a_sample(self, df):
        with pytest.raises(LiteralError, match="needs sample="):
            NEW.Reg(5, 0, 1).Mean().fill(df.Jet.pt)

    @pytest.mark.parametrize("weight", [None, 2.0, (1.0,), (1.0, 2.0, 3.0)])
    def test_cells_need_as_many_weights(self, df, weight):
        with pytest.raises(LiteralError, match="a tuple of 2"):
            NEW.Reg(5, 0, 1).MultiCell(2).fill(df.Jet.pt, weight=weight)

    def test_two_tables_are_refused(self, df, other):
        h = NEW.Reg(5, 0, 1, name="a").Reg(5, 0, 1, name="b").Double()
        with pytest.raises(AxisError, match="two tables"):
            h.fill(df.Jet.pt, other.Jet.pt)
        with pytest.raises(AxisError, match="two tables"):
            h.fill(df.Jet.pt, df.MET.pt).fill(other.Jet.pt, 1.0)
        with pytest.raises(AxisError, match="two tables"):
            h.fill(df.Jet.pt, df.MET.pt, weight=other.MET.pt)

    def test_axes_without_names_are_filled_by_place(self, df):
        h = NEW.Reg(5, 0, 1).Reg(5, 0, 1).Double()
        h.fill(df.Jet.pt, df.MET.pt)
        with pytest.raises(LiteralError, match="needs a value for the axis number 1"):
            h.fill(df.Jet.pt)

    def test_constants_are_not_repeated_in_the_record(self, df):
        filled = self.H.fill(pt=df.Jet.pt, region="a", weight=2)
        record = render(filled).args[0].args[1]
        assert record.option("names") == ("axis 0",)


class TestRequest:
    def test_it_has_no_operators_and_never_changes(self, df):
        h = NEW.Reg(5, 0, 1).Double().fill(df.Jet.pt)
        with pytest.raises(ControlFlowError, match="make it local first"):
            h + 1
        with pytest.raises(RecordError):
            h.x = 3
        assert copy.deepcopy(h) is h
        assert hash(h) == hash(NEW.Reg(5, 0, 1).Double().fill(df.Jet.pt))

    def test_it_cannot_be_unpacked_before_it_is_local(self, df):
        with pytest.raises(ControlFlowError, match="make_local"):
            _counts, _edges = np.histogram(df.Jet.pt)

    def test_it_shows_what_it_asks_for(self, df):
        assert "Jet.pt" in repr(NEW.Reg(5, 0, 1, name="a").Double().fill(df.Jet.pt))


class TestNumpyHistogram:
    @pytest.mark.parametrize(
        ("make", "error", "says"),
        [
            (lambda df: np.histogram(df.Jet.pt, bins="auto"), LiteralError, "the rule 'auto'"),
            (lambda df: np.histogram(df.Jet.pt, bins=0), LiteralError, "at least one bin"),
            (lambda df: np.histogram(df.Jet.pt, bins=2.5), LiteralError, "a number of bins or a list of edges"),
            (lambda df: np.histogram(df.Jet.pt, bins=[1]), LiteralError, "at least two edges"),
            (lambda df: np.histogram(df.Jet.pt, bins=[2, 1]), LiteralError, "must increase"),
            (lambda df: np.histogram(df.Jet.pt, bins=[[1, 2], [3, 4]]), LiteralError, "must be a number"),
            (lambda df: np.histogram(df.Jet.pt, bins=np.ones((2, 2))), LiteralError, "list of edges"),
            (lambda df: np.histogram(df.Jet.pt, bins=[0, float("nan")]), LiteralError, "must increase"),
            (lambda df: np.histogram(df.Jet.pt, range=(1, 0)), LiteralError, "1 is above 0"),
            (lambda df: np.histogram(df.Jet.pt, range=(0, float("inf"))), LiteralError, "not finite"),
            (lambda df: np.histogram(df.Jet.pt, range=3), LiteralError, "two numbers"),
            (lambda df: np.histogram(df.Jet.pt, range=(0, df.Jet.pt.Max().Max())), LiteralError, "made local first"),
            (lambda df: np.histogram(df.Jet), LiteralError, "name the leaf"),
            (lambda df: np.histogram(df.Type), LiteralError, "needs numbers, not string"),
            (lambda df: np.histogram(df.Count()), AxisError, "one value for each event"),
            (lambda df: np.histogram(df.Jet.pt, weights=df.Muon.pt), AxisError, "does not align"),
            (lambda df: np.histogram(df.MET.pt, weights=df.Jet.pt), AxisError, "deeper"),
            (lambda df: np.histogram(df.MET.pt, weights=3.0), AxisError, "one value for each event"),
            (lambda df: np.histogram(df.MET.pt, bogus=3.0), TypeError, "bogus"),
        ],
    )
    def test_wrong_arguments_are_refused_with_the_line(self, df, make, error, says):
        with pytest.raises(error) as caught:
            make(df)
        assert says in str(caught.value)
        if error is not TypeError:
            assert caught.value.where.file.endswith("test_histogram.py")

    def test_two_tables_are_refused(self, df, other):
        with pytest.raises(AxisError, match="two tables"):
            np.histogram(df.MET.pt, weights=other.MET.pt)

    def test_the_kind_of_edges_is_part_of_the_key(self, df):
        made = [np.histogram(df.MET.pt, bins=b) for b in ([0, 1], [0.0, 1.0], np.array([0, 1], np.float32), 10)]
        assert len({key(h) for h in made}) == 4
