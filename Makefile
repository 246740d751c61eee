# Needs Python >= 3.11 and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup.stamp
EXTRAS := dev,fused,coffea,fit

.DEFAULT_GOAL := help
.PHONY: help setup fix check test torture run demo docs docs-site golden bench bench-adl release clean

help:
	@echo "make run     the demo: the paper's two listings on a generated sample, with plans, yields and plots"
	@echo "make test    the tests"
	@echo "make torture the cache under every change and 100 kills, with a table"
	@echo "make check   style, types, import contracts, dependencies"
	@echo "make fix     format, and mend what can be mended"
	@echo "make docs    the pictures of the documentation"
	@echo "make docs-site  the documentation as a site, with the reference of the API, in site/"
	@echo "make golden  write the golden files anew"
	@echo "make bench   the benchmarks"
	@echo "make bench-adl  the ADL queries beside awkward, coffea and RDataFrame, into docs/performance.md (FILE=nano.root)"
	@echo "make release tag a version, from a clean main"
	@echo "make clean   remove what was made here, the environment excepted"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(f"Python >= 3.11 is needed, this is {sys.version}" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS)]"
	@touch $@

setup: $(STAMP)

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

# On as many processors as there are, up to four: each brings a Prefect server of its own up. Properties go first and apart: Hypothesis
# watches the random numbers of its process, and the threads that Prefect leaves behind in one draw some at any time.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test: setup
	$(PYTEST) -m hypothesis
	$(PYTEST) -m "not hypothesis"

torture: setup
	HEP_FLOWS_KILLS=100 HEP_FLOWS_TORTURE_TABLE=1 $(BIN)/python -m pytest -q tests/torture tests/sources/test_baskets.py

run demo: setup
	$(BIN)/hep-flows demo

docs: setup
	$(BIN)/hep-flows demo
	cp demo-output/listing_1_physlite_plan.svg docs/images/plan.svg
	cp demo-output/listing_2_physlite.png docs/images/resolution.png

docs-site: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	$(BIN)/mkdocs build --strict --quiet

release:
	bash .ci/release

golden: setup
	HEP_FLOWS_GOLDEN=1 $(BIN)/python -m pytest -q tests/expr tests/record tests/rules tests/show tests/docs

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench,fused]"
	for benchmark in benchmarks/*.py; do echo "$$benchmark" && $(BIN)/python "$$benchmark" || exit 1; done

bench-adl: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	$(BIN)/python -W ignore benchmarks/adl.py --docs $(if $(FILE),--file $(FILE))

clean:
	rm -rf demo-data demo-output build dist .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find hep_flows tests benchmarks flows -name __pycache__ -type d -prune -exec rm -rf {} +
