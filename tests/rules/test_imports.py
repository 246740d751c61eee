"""``import hep_flows`` is cheap: it loads nothing heavy, and gives every name when it is asked for."""

import inspect
import subprocess
import sys

import pytest

import hep_flows
from golden_files import assert_golden

HEAVY = (
    "awkward", "boost_histogram", "coffea", "correctionlib", "dask", "diskcache", "fsspec", "hist", "matplotlib", "mplhep", "numba",
    "numpy", "onnxruntime", "pandas", "prefect", "pyarrow", "pydantic", "pydantic_settings", "rich", "servicex", "typer", "uproot",
)  # fmt: skip
PUBLIC = {
    "Concatenate", "DataFrame", "Histogram", "HepFlowsError", "__version__", "alias_scope", "blind", "check_duplicates", "correction", "curry", "cut", "cutflow", "define_alias", "dumps", "envelope", "event_list", "exclusive_class", "explain",
    "lumi_mask", "make_local", "make_local_async", "ml_features", "events_table", "nanoaod_table", "onnx_model", "parquet_table", "pdf_hessian", "pdf_replicas", "plan", "quadratic_sum", "random_normal", "random_poisson", "random_uniform", "render", "reset_aliases", "run", "run_analysis",
    "servicex_table",
    "tree_table", "user_func", "vary", "xaod_table",
}  # fmt: skip


def _loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted(m.split('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_of_the_package_loads_nothing_heavy():
    assert _loaded_after("import hep_flows").isdisjoint(HEAVY)


def test_every_public_name_can_be_had():
    missing = []
    for name in sorted(PUBLIC - {"__version__"}):
        try:
            getattr(hep_flows, name)
        except ImportError as error:
            missing.append(f"{name}: {error}")
    assert not missing, "\n".join(missing)


def test_the_language_itself_loads_nothing_heavy():
    names = ", ".join(sorted(PUBLIC - {"__version__"}))
    assert _loaded_after(f"from hep_flows import {names}").isdisjoint(HEAVY)


def test_public_names_are_pinned():
    assert set(hep_flows.__all__) == PUBLIC
    assert len(hep_flows.__all__) == len(PUBLIC)
    assert dir(hep_flows) == sorted(PUBLIC)


def test_signatures_of_the_public_functions_are_pinned():
    functions = [(name, getattr(hep_flows, name)) for name in hep_flows.__all__]
    lines = [f"{name}{inspect.signature(f)}\n" for name, f in functions if inspect.isfunction(f)]
    assert_golden("public_functions.txt", "".join(lines))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = hep_flows.nothing_of_the_kind


def test_help_of_the_command_loads_no_array_library():
    loaded = _loaded_after("from hep_flows.cli import main")
    assert loaded.isdisjoint(set(HEAVY) - {"typer", "rich"})


def test_a_folder_does_not_hide_the_verb_of_its_name():
    _loaded_after("import hep_flows.contract, hep_flows.verbs\nfrom hep_flows import plan\nassert callable(plan), plan")
    _loaded_after("from hep_flows import plan\nimport hep_flows.contract\nassert callable(hep_flows.plan), hep_flows.plan")
