"""Array expressions on collision events: written down first, executed when a result is asked for.

The names here are what a physicist types. Each is imported when it is first used, so that ``import hep_flows`` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hep_flows.analysis.duplicates import check_duplicates as check_duplicates
    from hep_flows.analysis.outputs import read_results as read_results
    from hep_flows.analysis.run import run_analysis as run_analysis
    from hep_flows.analysis.theory import envelope as envelope
    from hep_flows.analysis.theory import pdf_hessian as pdf_hessian
    from hep_flows.analysis.theory import pdf_replicas as pdf_replicas
    from hep_flows.analysis.theory import quadratic_sum as quadratic_sum
    from hep_flows.errors import HepFlowsError as HepFlowsError
    from hep_flows.functions.correction import correction as correction
    from hep_flows.functions.lumi import lumi_mask as lumi_mask
    from hep_flows.functions.onnx import onnx_model as onnx_model
    from hep_flows.functions.random_numbers import random_normal as random_normal
    from hep_flows.functions.random_numbers import random_poisson as random_poisson
    from hep_flows.functions.random_numbers import random_uniform as random_uniform
    from hep_flows.functions.user import user_func as user_func
    from hep_flows.record.aliases import alias_scope as alias_scope
    from hep_flows.record.aliases import define_alias as define_alias
    from hep_flows.record.aliases import reset_aliases as reset_aliases
    from hep_flows.record.callables import curry as curry
    from hep_flows.record.cutflow import cut as cut
    from hep_flows.record.dataframe import DataFrame as DataFrame
    from hep_flows.record.dataframe import exclusive_class as exclusive_class
    from hep_flows.record.groups import Concatenate as Concatenate
    from hep_flows.record.groups import ml_features as ml_features
    from hep_flows.record.histogram import Histogram as Histogram
    from hep_flows.record.variations import blind as blind
    from hep_flows.record.variations import vary as vary
    from hep_flows.tables import events_table as events_table
    from hep_flows.tables import nanoaod_table as nanoaod_table
    from hep_flows.tables import parquet_table as parquet_table
    from hep_flows.tables import servicex_table as servicex_table
    from hep_flows.tables import tree_table as tree_table
    from hep_flows.tables import xaod_table as xaod_table
    from hep_flows.verbs import cutflow as cutflow
    from hep_flows.verbs import dumps as dumps
    from hep_flows.verbs import event_list as event_list
    from hep_flows.verbs import explain as explain
    from hep_flows.verbs import make_local as make_local
    from hep_flows.verbs import make_local_async as make_local_async
    from hep_flows.verbs import plan as plan
    from hep_flows.verbs import render as render
    from hep_flows.verbs import run as run

__version__ = "0.1.0"

_HOMES = {
    "DataFrame": "hep_flows.record.dataframe",
    "HepFlowsError": "hep_flows.errors",
    "Histogram": "hep_flows.record.histogram",
    "alias_scope": "hep_flows.record.aliases",
    "blind": "hep_flows.record.variations",
    "check_duplicates": "hep_flows.analysis.duplicates",
    "correction": "hep_flows.functions.correction",
    "Concatenate": "hep_flows.record.groups",
    "curry": "hep_flows.record.callables",
    "cut": "hep_flows.record.cutflow",
    "cutflow": "hep_flows.verbs",
    "define_alias": "hep_flows.record.aliases",
    "dumps": "hep_flows.verbs",
    "exclusive_class": "hep_flows.record.dataframe",
    "lumi_mask": "hep_flows.functions.lumi",
    "make_local": "hep_flows.verbs",
    "make_local_async": "hep_flows.verbs",
    "envelope": "hep_flows.analysis.theory",
    "event_list": "hep_flows.verbs",
    "events_table": "hep_flows.tables",
    "explain": "hep_flows.verbs",
    "ml_features": "hep_flows.record.groups",
    "nanoaod_table": "hep_flows.tables",
    "onnx_model": "hep_flows.functions.onnx",
    "parquet_table": "hep_flows.tables",
    "pdf_hessian": "hep_flows.analysis.theory",
    "pdf_replicas": "hep_flows.analysis.theory",
    "plan": "hep_flows.verbs",
    "quadratic_sum": "hep_flows.analysis.theory",
    "random_normal": "hep_flows.functions.random_numbers",
    "random_poisson": "hep_flows.functions.random_numbers",
    "random_uniform": "hep_flows.functions.random_numbers",
    "read_results": "hep_flows.analysis.outputs",
    "render": "hep_flows.verbs",
    "reset_aliases": "hep_flows.record.aliases",
    "run": "hep_flows.verbs",
    "run_analysis": "hep_flows.analysis.run",
    "servicex_table": "hep_flows.tables",
    "tree_table": "hep_flows.tables",
    "user_func": "hep_flows.functions.user",
    "vary": "hep_flows.record.variations",
    "xaod_table": "hep_flows.tables",
}

__all__ = [  # noqa: RUF022 - in the order in which one meets them
    "xaod_table",
    "nanoaod_table",
    "tree_table",
    "parquet_table",
    "events_table",
    "servicex_table",
    "DataFrame",
    "Histogram",
    "Concatenate",
    "vary",
    "cut",
    "cutflow",
    "explain",
    "event_list",
    "blind",
    "user_func",
    "correction",
    "lumi_mask",
    "onnx_model",
    "ml_features",
    "random_normal",
    "random_uniform",
    "random_poisson",
    "curry",
    "define_alias",
    "alias_scope",
    "reset_aliases",
    "exclusive_class",
    "make_local",
    "make_local_async",
    "run",
    "run_analysis",
    "check_duplicates",
    "pdf_replicas",
    "pdf_hessian",
    "envelope",
    "quadratic_sum",
    "plan",
    "dumps",
    "render",
    "HepFlowsError",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hep_flows' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
