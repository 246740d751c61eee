"""From expressions to tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hep_flows import Histogram, render, user_func
from hep_flows.errors import AxisError, NoPluginError, PlanError
from hep_flows.expr import build
from hep_flows.expr.nodes import Dataset, Input
from hep_flows.expr.walk import postorder
from hep_flows.planning.plan import make_plan
from hep_flows.planning.spread import spread
from hep_flows.plugins.hist.plugin import HistPlugin
from tiny_plugin import TinyPlugin, tiny_table


def tiny(**more):
    return TinyPlugin({}, **more)


def planned(*frames, plugins=None, **more):
    return make_plan([render(f) for f in frames], plugins or [tiny(), HistPlugin()], **more)


def inputs_of(expr):
    return [n.task for n in postorder(expr) if isinstance(n, Input)]


def test_one_expression_of_one_plugin_is_one_task():
    df = tiny_table()
    plan = planned((df.Jet.pt / 1000)[df.Jet.eta > 0])
    (task,) = plan.tasks
    assert (task.plugin, task.output, task.spread, task.inputs) == ("tiny", "columns", "partitions", ())
    assert task.dataset is not None
    assert plan.targets == (task.key,)
    assert set(task.columns) == {"Jet", "pt", "eta"}


def test_equal_expressions_share_a_task():
    df = tiny_table()
    plan = planned(df.x + 1, df.x + 1, df.x)
    assert len(plan.tasks) == 2
    assert plan.targets[0] == plan.targets[1] != plan.targets[2]


def test_a_task_does_not_depend_on_what_else_is_asked_for():
    df = tiny_table()
    alone = planned(df.x + 1).targets[0]
    beside = planned(df.x, df.x + 1, df.x.Sum()).targets[1]
    assert alone == beside


def test_a_reduction_over_events_is_one_number_made_by_partitions():
    df = tiny_table()
    (task,) = planned(df.Jet.pt.Sum().Sum()).tasks
    assert (task.output, task.spread) == ("scalar", "partitions")


def test_a_reduction_over_events_inside_an_expression_is_a_task_of_its_own():
    df = tiny_table()
    total, ratio = planned(df.x / df.x.Sum()).tasks
    assert (total.output, total.spread) == ("scalar", "partitions")
    assert (ratio.output, ratio.spread, ratio.inputs) == ("columns", "partitions", (total.key,))
    assert inputs_of(ratio.expr) == [total.key]
    assert ratio.expr.type == render(df.x / df.x.Sum()).type


def test_arithmetic_of_merged_numbers_is_done_once():
    df = tiny_table()
    plan = planned(df.x.Sum() / df.Count() + 1)
    *parts, last = plan.tasks
    assert [t.spread for t in parts] == ["partitions", "partitions"]
    assert (last.spread, last.output, last.dataset) == ("whole", "scalar", None)
    assert set(last.inputs) == {t.key for t in parts}


def test_events_by_position_need_all_events():
    df = tiny_table()
    plan = planned(df[:10].x * 2)
    assert plan.tasks[-1].spread == "whole"
    assert all(t.spread == "partitions" and t.output == "columns" for t in plan.tasks[:-1])
    assert not [n for n in postorder(plan.tasks[-1].expr) if isinstance(n, Dataset)]


def test_a_number_from_whole_events_enters_partitions_as_an_input():
    df = tiny_table()
    first = df.x[0]
    plan = planned(df.x - first)
    columns, one, difference = plan.tasks
    assert [t.spread for t in plan.tasks] == ["partitions", "whole", "partitions"]
    assert one.inputs == (columns.key,)
    assert difference.inputs == (one.key,)


def test_constants_have_no_reach_of_their_own():
    df = tiny_table()
    reach = spread([render(df.x + 1)])
    assert sorted(reach.values()) == ["anywhere", "partitions", "partitions", "partitions"]


def test_a_change_of_label_is_a_border():
    df = tiny_table()
    roots = tiny(name="roots", only=frozenset({"sqrt"}))
    plan = planned(np.sqrt(df.x + 1) * 2, plugins=[tiny(), roots])
    assert [t.plugin for t in plan.tasks] == ["tiny"]
    plan = planned(np.sqrt(df.x + 1) * 2, plugins=[tiny(), roots], pins={render(np.sqrt(df.x + 1)).key: "roots"})
    assert [t.plugin for t in plan.tasks] == ["tiny", "roots", "tiny"]
    assert [t.inputs for t in plan.tasks] == [(), (plan.tasks[0].key,), (plan.tasks[1].key,)]


def test_a_leaf_goes_to_the_cheapest_and_ties_go_by_name():
    df = tiny_table()
    assert planned(df.x, plugins=[tiny(name="b", cost=2), tiny(name="c"), tiny(name="a")]).tasks[0].plugin == "a"


def test_the_plugin_of_the_inputs_goes_on_even_when_another_is_cheaper():
    df = tiny_table()
    sqrt = tiny(name="cheap", only=frozenset({"sqrt"}), cost=0.1)
    plan = planned(np.sqrt(df.x), plugins=[tiny(), sqrt])
    assert [t.plugin for t in plan.tasks] == ["tiny"]
    assert plan.refusals[render(df.x).key] == {"cheap": "cheap runs only sqrt"}


def test_a_histogram_takes_one_record_of_its_arguments():
    df = tiny_table()
    h = Histogram.new.Reg(10, 0, 1, name="pt").StrCat(["a"], name="c").Weight().fill(pt=df.Jet.pt, c="a", weight=df.x)
    record, fill = planned(h).tasks
    assert (record.plugin, record.output) == ("tiny", "columns")
    assert (fill.plugin, fill.output, fill.spread, fill.inputs) == ("hist", "histogram", "partitions", (record.key,))


def test_fills_of_one_histogram_are_one_task():
    df = tiny_table()
    h = Histogram.new.Reg(10, 0, 1, name="pt").Double()
    plan = planned(h.fill(pt=df.Jet.pt).fill(pt=df.x).fill(pt=df.Jet.eta))
    assert [t.plugin for t in plan.tasks] == ["tiny"] * 3 + ["hist"]


def test_a_constant_fill_on_top_of_partitions_waits_for_the_sum():
    df = tiny_table()
    h = Histogram.new.Reg(10, 0, 1, name="pt").Double().fill(pt=df.x).fill(pt=0.5)
    plan = planned(h)
    assert [(t.plugin, t.spread) for t in plan.tasks] == [("tiny", "partitions"), ("hist", "partitions"), ("hist", "whole")]


def test_partitions_on_top_of_a_constant_fill_take_it_as_an_input():
    df = tiny_table()
    h = Histogram.new.Reg(10, 0, 1, name="pt").Double().fill(pt=0.5).fill(pt=df.x)
    plan = planned(h)
    assert {(t.plugin, t.spread) for t in plan.tasks} == {("hist", "whole"), ("tiny", "partitions"), ("hist", "partitions")}
    assert set(plan.tasks[-1].inputs) == {t.key for t in plan.tasks[:-1]}


def test_numpys_automatic_range_is_two_numbers_first():
    df = tiny_table()
    plan = planned(np.histogram(df.Jet.pt))
    assert [t.output for t in plan.tasks].count("scalar") == 2
    assert plan.tasks[-1].output == "histogram"


def test_extra_cuts_make_tasks_and_keep_types():
    df = tiny_table()
    inner = df.x + 1
    plan = planned(np.sqrt(inner), extra_cuts={render(inner).key})
    assert [t.output for t in plan.tasks] == ["columns", "columns"]
    assert plan.tasks[1].expr.type == render(np.sqrt(inner)).type


def test_a_filter_whose_mask_is_another_task_keeps_its_axis():
    df = tiny_table()
    mask = df.x > df.x.Sum()
    frame = df.k[mask] + df.k[mask]
    plan = planned(frame, extra_cuts={render(mask).key, render(df.k[mask]).key})
    assert plan.tasks[-1].expr.type.axes == render(frame).type.axes


def test_task_keys_depend_on_plugin_version_and_data():
    keys = {
        planned(df.x, plugins=[plugin]).targets[0]
        for df in (tiny_table("a"), tiny_table("b"))
        for plugin in (tiny(), tiny(result_version="2"), tiny(name="other"))
    }
    assert len(keys) == 6


@dataclass
class Member(TinyPlugin):
    """A plug-in that promises the bits of a numerics family."""

    of: str = "tiny family"

    def family(self, kind):
        del kind
        return self.of


def spelled(df):
    """Give an expression with filters, an aggregate over all events that enters again, and nodes to cut at."""
    root = np.sqrt(df.x * df.x)
    return (root[df.good] / root.Max() + 1)[df.k[df.good] > 1], root


def member(name, **more):
    return Member({}, name=name, **more)


@pytest.mark.parametrize(
    ("plugins", "pins", "extra"),
    [
        ([member("other")], {}, ()),
        ([member("cheap", only=frozenset({"sqrt", "multiply"}), cost=0.1), member("m")], {}, ()),
        ([member("m"), member("other")], {"root": "other"}, ()),
        ([member("m"), TinyPlugin({}, name="nobody", cost=9.0)], {}, ()),
        ([member("m")], {}, ("root",)),
        ([member("m", cost=3.0, result_version="1"), member("dear", cost=9.0)], {}, ()),
    ],
    ids=["another plug-in", "two plug-ins", "pinned", "one that does nothing", "another cut", "other costs"],
)
def test_keys_name_meanings(plugins, pins, extra):
    expr, root = spelled(tiny_table())
    usual = planned(expr, plugins=[member("m")])
    named = {"root": render(root).key}
    plan = planned(expr, plugins=plugins, pins={named[n]: p for n, p in pins.items()}, extra_cuts={named[n] for n in extra})
    assert plan.targets == usual.targets
    assert plan.forms[plan.targets[0]] == usual.forms[usual.targets[0]]
    shared = {t.meaning: t.key for t in usual.tasks}
    assert all(t.key == shared[t.meaning] for t in plan.tasks if t.meaning in shared)


def test_a_part_by_another_family_is_another_meaning():
    expr, root = spelled(tiny_table())
    pins = {render(root).key: "own"}
    plans = [planned(expr, plugins=[member("m")])]
    for version in "12":
        for of in ("own family", "another"):
            own = member("own", of=of, result_version=version)
            plans.append(planned(expr, plugins=[member("m"), own], pins=pins))
    assert len({p.targets[0] for p in plans}) == len(plans)
    assert len({p.forms[p.targets[0]] for p in plans}) == len(plans)
    # The part itself has the key of its own family, whoever takes it.
    part = planned(root, plugins=[own]).targets[0]
    pins = {n.key: "own" for n in postorder(render(root))}
    taken = planned(root * 2, plugins=[member("m"), own], pins=pins | {render(root * 2).key: "m"})
    assert [t.key for t in taken.tasks] == [part, taken.targets[0]]
    assert inputs_of(taken.tasks[1].meaning) == [part]


def test_task_keys_do_not_depend_on_lines_or_paths():
    one = planned(tiny_table().x + 1).targets
    two = planned(tiny_table().x + 1).targets
    assert one == two


def test_every_line_of_an_expression_that_is_written_twice_is_known():
    df = tiny_table()
    a = df.x * 7
    b = df.x * 7
    plan = planned(np.sqrt(a), np.exp(b))
    assert len(plan.lines[render(a).key]) == 2


def test_an_element_outside_of_its_lambda_is_an_error_with_the_line():
    df = tiny_table()
    kept = []
    df.Jet.map(lambda j: kept.append(j) or j.pt)
    with pytest.raises(PlanError, match="an element of a lambda was used outside of it") as caught:
        planned(kept[0].pt + 1)
    assert caught.value.where is not None


def test_two_tables_in_one_expression_are_named():
    a, b = tiny_table("first"), tiny_table("second")
    expr = build.call("add", (render(a.x.Sum()), render(b.x.Sum())))
    with pytest.raises(AxisError, match=r"'first'.*'second'"):
        make_plan([expr], [tiny()])


def test_two_tables_in_one_request_are_fine():
    a, b = tiny_table("first"), tiny_table("second")
    plan = planned(a.x, b.x)
    assert {t.dataset.name for t in plan.tasks} == {"first", "second"}


def test_no_plugin_lists_every_refusal_and_the_line():
    df = tiny_table()
    with pytest.raises(NoPluginError, match="no plug-in can run") as caught:
        planned(df.x + 1, plugins=[tiny(only=frozenset({"sqrt"})), HistPlugin()])
    assert "tiny runs only sqrt" in caught.value.why
    assert "hist: it fills histograms" in caught.value.why
    assert caught.value.where is not None


def test_a_function_without_a_body_is_named():
    @user_func
    def mystery(x: float) -> float: ...

    df = tiny_table()
    with pytest.raises(NoPluginError, match="'mystery' has no body"):
        planned(mystery(df.x))


def test_a_pin_to_a_plugin_that_cannot_is_an_error():
    df = tiny_table()
    with pytest.raises(PlanError, match="pinned to the plug-in 'hist'") as caught:
        planned(df.x, pins={render(df.x).key: "hist"})
    assert "fills histograms" in caught.value.why


def test_saved_labels_pin_a_plan():
    df = tiny_table()
    first = planned(df.x + 1, plugins=[tiny(name="b")])
    again = planned(df.x + 1, plugins=[tiny(name="a"), tiny(name="b")], pins=first.labels)
    assert again.targets == first.targets


def test_a_deep_expression_plans_without_recursion():
    df = tiny_table()
    x = df.x
    for _ in range(3000):
        x = x + 1
    assert len(planned(x).tasks) == 1
