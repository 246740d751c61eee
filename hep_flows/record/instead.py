"""What users of numpy, awkward, pandas and hist try, and how it is written here.

A function or a method that the language lacks is never answered by another one of a similar name: a name may be near, the meaning is
not. Every text below is executed by a test (``tests/rules/test_advice.py``), on an example of its own and against plain awkward.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hep_flows.expr.functions import row_called

if TYPE_CHECKING:
    from collections.abc import Mapping

# Each line: the names, and what to write. X is a collection or the table, x a leaf of it or any other expression of numbers.
_TEXTS: Mapping[str, str] = {
    # numbers of a list, or of everything
    "nanmedian nanquantile percentile nanpercentile": (
        "of each list: x.Median(), x.Quantile(0.9); of all values: np.median(ak.flatten(make_local(x), axis=None)), and so np.quantile; what has one value for each event needs no "
        "flatten: np.median(make_local(x))"
    ),
    "idxmax nanargmax": "X.MaxBy(lambda x: x.pt) is the element with the largest pt",
    "idxmin nanargmin": "X.MinBy(lambda x: x.pt) is the element with the smallest pt",
    "sort argsort sort_values order_by nlargest nsmallest lexsort partition argpartition msort": (
        "in order: X.OrderBy(lambda x: x.pt, descending=True); numbers alone: ak.sort(x, ascending=False)"
    ),
    "cumprod nancumsum diff ediff1d gradient trapezoid convolve rolling shift pct_change ptp roll flip rot90": (
        "what has to do with the order of a list is computed of values: array = make_local(x), then array[:, 1:] - array[:, :-1] are "
        "the differences of neighbours"
    ),
    "unique nunique value_counts unique_all unique_values bincount mode": (
        "x.Unique() are the distinct numbers of each list; np.unique(ak.flatten(make_local(x), axis=None), return_counts=True) gives the values and how often each occurs; counts of "
        "few values are a histogram: Histogram.new.IntCat([0, 1, 2])"
    ),
    "nansum nanmax nanmin nanmean nanprod nanstd nanvar": (
        "leave out what is not a number first: x[~np.isnan(x)].Sum(), and so .Max(), .Min(), .Mean(), .Prod(), .Std(), .Var()"
    ),
    "average": "with weights w: (x * w).Sum() / w.Sum() of each list; without: x.Mean()",
    "count": (
        "x.Count() counts the entries of each list, missing ones too; those that are there are (~ak.is_none(x, axis=-1)).Sum() in each list, and "
        "np.sum(~ak.is_none(x, axis=-1)) in all"
    ),
    "moment skew kurt kurtosis corr corrcoef cov linear_fit describe softmax": "it needs the values: call make_local(x) first",
    # numbers one by one
    "convert_dtypes to_numeric enforce_type": "x.astype('float64')",
    "fillna": "for missing values: ak.fill_none(x, 0.0); for those that are not a number: np.where(np.isnan(x), 0.0, x)",
    "nan_to_none interpolate": "np.where(np.isnan(x), 0.0, x) puts a number in the place of one that is none",
    "isna isnull": "missing values: ak.is_none(x, axis=-1); those that are not a number: np.isnan(x)",
    "notna notnull": "values that are there: ~ak.is_none(x, axis=-1); those that are numbers: ~np.isnan(x)",
    "dropna": "x[~ak.is_none(x, axis=-1)] leaves missing values out, x[~np.isnan(x)] those that are not a number",
    "cut qcut piecewise": (
        "np.digitize(x, [0, 20, 50]) is the number of the bin; how many fall into each says np.histogram(x, bins=[0, 20, 50])"
    ),
    "choose case_when": "several cases are one within the other: np.where(first, a, np.where(second, b, c))",
    "abs": "abs(x)",
    "apply_along_axis vectorize frompyfunc apply applymap transform pipe agg aggregate": (
        "numpy's functions take expressions: np.sqrt(x); for each element: X.map(lambda j: j.pt * 2)"
    ),
    "between": "(x > 20) & (x < 50)",
    # selections
    "query loc iloc at iat mask filter compress extract take xs where_": (
        "select by a mask: X[X.pt > 30]; by position in each list: X[0], X[:2]"
    ),
    "head": "df[:5] are the first events, X[:5] the first elements of each list",
    "tail": "df[-5:] are the last events, X[-5:] the last elements of each list",
    "sample shuffle permutation random_choice": "df[:1000] are the first events; a random choice is made of values: make_local(x)",
    "drop drop_duplicates pop remove_structure": "nothing is read that is not asked for: name what you want, X[['pt', 'eta']]",
    "assign insert setdefault with_column withColumn Define with_field": "add a column: X['pt_gev'] = X.pt / 1000",
    "rename": "a column of another name: X['momentum'] = X.pt",
    "Filter": "select by a mask: X[X.pt > 30]",
    "Select SelectMany foreach": "for each element: X.map(lambda j: j.pt * 2)",
    # lists and tables
    "concatenate stack hstack vstack dstack column_stack append concat block": (
        "the lists of each event are joined by ak.concatenate([x, y], axis=1), collections by Concatenate(X, Y)"
    ),
    "merge join merge_asof merge_union_of_records": "columns of one table need no join: x + y; of two tables, make both local",
    "groupby pivot pivot_table crosstab resample": (
        "groups are masks or the bins of a histogram: make_local([X[X.pt > 30].Count(), X[X.pt <= 30].Count()])"
    ),
    "flatten ravel unflatten explode melt": (
        "histograms take lists as they are; all values in one: ak.flatten(make_local(x), axis=None)"
    ),
    "argcombinations itertools_combinations combinations": "pairs within one collection: X.Combinations(2, fields=('a', 'b'))",
    "argcartesian nested_cartesian cartesian outer meshgrid kron": (
        "pairs of two collections: X.Cartesian(Y, fields=('x', 'y')); X.map(lambda x: Y) gives one list of Y for each X"
    ),
    "pad_zero rpad pad": "x.Pad(4) has four entries, missing ones where there are fewer",
    "arange": "X.Index() is the position of each element in its list",
    "to_regular": "ml_features(X, ['pt', 'eta'], pad=4) is rectangular; X.pt / df.MET.pt needs no help",
    "broadcast_arrays broadcast_to reshape expand_dims squeeze transpose swapaxes T atleast_1d atleast_2d": (
        "operands of different depth need no help: X.pt / df.MET.pt; the shape of an array is changed when it is local"
    ),
    "zeros_like ones_like full_like empty_like zeros ones full": "x * 0, x * 0 + 1: with the lists of x",
    "histogram2d histogramdd histogram_bin_edges": (
        "Histogram.new.Reg(50, 0, 200, name='a').Reg(50, -3, 3, name='b').Double().fill(a=x, b=y) is the histogram of two"
    ),
    "with_name with_parameter": "names of records are given when they are local: ak.with_name(make_local(X[['pt', 'eta']]), 'Jet')",
    # values
    "to_numpy to_list tolist to_pandas to_arrow values array arrays numpy compute collect persist result eval item get_values to_dict "
    "to_csv to_hdf to_json to_parquet to_feather to_root save savetxt savez tofile array2string array_repr array_str to_layout "
    "to_buffers to_dataframe toPandas AsNumpy show Display Take from_iter asarray asanyarray array_ copyto": (
        "make_local(x) gives the values as an awkward array: ak.to_numpy(make_local(x)), ak.to_list(make_local(x))"
    ),
    "plot hist scatter boxplot draw Draw Histo1D Hist": (
        "fill a histogram, make it local, then draw: make_local(Histogram.new.Reg(50, 0, 200).Double().fill(x)).plot()"
    ),
    # what there is
    "shape size ndim len length nbytes": "df.Count() is the number of events, X.Count() that of each list; print(x) shows the axes",
    "columns fields keys dtypes items iterrows itertuples info index attrs schema GetColumnNames branches": (
        "dir(X) lists the names, print(x) shows the kind and the axes"
    ),
    "dtype type typestr": "print(x) shows the kind and the axes",
    "copy view clone": "expressions never change, and need no copy: y = x",
}

INSTEAD: Mapping[str, str] = {name: text for names, text in _TEXTS.items() for name in names.split()}

VALUES = "it needs the values: call make_local(x) first"
# What a histogram is asked for that has no value yet, and the arithmetic on it.
LOCAL_HISTOGRAM = "make it local first: h = make_local(h) is a hist.Hist, with h.values(), h.plot(), h + h, h[0]"


def instead_of(name: str) -> str:
    """Give what to write instead of a function or a method; empty where nothing is known to mean the same."""
    short = name.rsplit(".", 1)[-1]
    row = row_called(short, "numpy") or row_called(short, "awkward")
    if row is not None and row.method:
        return f"x.{row.method}() is that of each list"
    if short in INSTEAD or row is None:
        return INSTEAD.get(short, "")
    return f"np.{short}(x)" if short in row.numpy else f"ak.{short}(x)"
