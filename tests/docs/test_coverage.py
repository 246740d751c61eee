"""The documentation is complete, and what it lists is really there."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest
from pages import DOCS, PAGES, ROOT, blocks_of, code_of, functions_not_documented

import hep_flows
from hep_flows import contract as plugin
from hep_flows import errors
from hep_flows.errors import HepFlowsError
from hep_flows.expr import nodes
from hep_flows.expr.functions import FUNCTIONS
from hep_flows.record.dataframe import Aggregates, DataFrame
from hep_flows.record.histogram import Histogram, NewHistogram, NewHistogramWithAxes
from hep_flows.settings import Settings
from hep_flows.show.plan import PlanView

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _page(name):
    return (DOCS / name).read_text()


def _names_in_code(name):
    return set(re.findall(r"\w+", code_of(_page(name))))


def _public(cls):
    return {n for n in vars(cls) if not n.startswith("_")}


def test_every_public_name_is_in_the_language_page():
    assert set(hep_flows.__all__) <= _names_in_code("language.md")


def test_every_function_of_the_table_is_in_the_language_page():
    names = _names_in_code("language.md")
    assert [n for n, row in FUNCTIONS.items() if n not in names and row.method not in names] == []


def test_every_operator_of_the_table_is_in_the_language_page():
    page = _page("language.md").replace("\\|", "|")
    assert [f.symbol for f in FUNCTIONS.values() if f.symbol and f"`{f.symbol}`" not in page and f"`{f.symbol}x`" not in page] == []


def test_every_method_is_in_the_language_page():
    methods = _public(Aggregates) | (_public(DataFrame) - {"Where", "map"}) | {"Where", "map"}
    assert methods <= _names_in_code("language.md")


def test_the_language_page_says_of_every_function_what_its_row_says():
    assert functions_not_documented(_page("language.md")) == []


def test_every_axis_and_storage_is_in_the_histogram_page():
    made = _public(NewHistogram) | _public(NewHistogramWithAxes) | _public(Histogram)
    assert made <= _names_in_code("histograms.md")


def test_everything_a_plan_offers_is_in_the_plans_page():
    assert _public(PlanView) - {"raw"} <= _names_in_code("plans.md")


def test_every_setting_is_somewhere():
    code = "\n".join([code_of(p.read_text()) for p in PAGES])
    assert [n for n in [f.name for f in fields(Settings)] if f"HEP_FLOWS_{n.upper()}" not in code] == []


def _error_classes():
    return [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, HepFlowsError)]


@pytest.mark.parametrize("error", _error_classes(), ids=lambda e: e.__name__)
def test_every_error_has_a_section_with_an_example_and_the_way_out(error):
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", _page("errors.md"), flags=re.MULTILINE | re.DOTALL))
    text = sections[error.__name__]
    shown = [b.output.text for b in blocks_of(text) if b.output is not None]
    assert any(s.startswith(f"{error.__name__}: ") for s in shown)
    assert text.rstrip().split("```")[-1].strip() or len(shown) > 1, "no word on what to do"


def test_the_tree_of_errors_is_complete():
    tree = next(b for b in blocks_of(_page("errors.md")) if b.language == "text")
    assert set(re.findall(r"\b\w+Error\b", tree.text)) == {e.__name__ for e in _error_classes()}


def test_the_plugin_page_has_the_whole_contract():
    said = _names_in_code("writing_plugins.md")
    contract = [c for c in vars(plugin).values() if inspect.isclass(c) and getattr(c, "_is_protocol", False)]
    methods = {n for c in contract if c.__module__ == plugin.__name__ for n in _public(c)}
    assert {"can_run", "run", "describe", "partitions"} <= methods
    assert methods <= said


def test_the_plugin_page_has_every_node():
    kinds = {c.__name__ for c in vars(nodes).values() if inspect.isclass(c) and issubclass(c, nodes.Node) and c is not nodes.Node}
    assert kinds <= _names_in_code("writing_plugins.md")


def _anchors(page):
    heads = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    broken = []
    for link in _LINK.findall(re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_map():
    linked = {link.partition("#")[0] for link in _LINK.findall(_page("index.md"))}
    assert {p.name for p in DOCS.glob("*.md")} - {"index.md"} <= linked


def test_every_picture_is_shown_and_small():
    shown = "\n".join([p.read_text() for p in PAGES])
    pictures = sorted((DOCS / "images").iterdir())
    assert [p.name for p in pictures if p.name not in shown] == []
    assert [p.name for p in pictures if p.stat().st_size > 100_000] == []


def test_the_readme_leads_to_the_documentation():
    assert "docs/index.md" in (ROOT / "README.md").read_text()


def test_every_class_among_the_words_of_the_design_page_is_where_it_says():
    section = _page("design.md").partition("## Words")[2].partition("\n## ")[0]
    rows = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| ") and not row.startswith("| word")]
    assert len(rows) > 15
    for word, _, where in rows:
        places = [ROOT / "hep_flows" / place for place in re.findall(r"`([^`]+)`", where)]
        code = "\n".join([f.read_text() for p in places for f in (p.rglob("*.py") if p.is_dir() else [p])])
        assert [c for c in re.findall(r"`([A-Z]\w+)`", word) if f"class {c}" not in code and f"\n{c} " not in code] == []
