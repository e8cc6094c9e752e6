# Every target makes and fills .venv itself. The environment is brought up to date only when
# pyproject.toml or constraints.txt has changed since: a second call installs nothing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# scikit-learn-extra's wheel does not import under NumPy 2.
VENV1 := .venv-numpy1
STAMP1 := $(VENV1)/.installed
# The peers of benchmarks/peers.py, and the older scikit-learn that one of them needs.
VENV2 := .venv-bench
STAMP2 := $(VENV2)/.installed
# The ends of the ranges in pyproject.toml. PYTHON chooses the interpreter: each gets its own newest.
OLDEST := .venv-oldest
STAMP_OLDEST := $(OLDEST)/.installed
NEWEST := .venv-newest-$(notdir $(PYTHON))
# What installs the package and its test requirements; CI adds the index of torch's CPU builds.
PIP_FLAGS ?=

# In as many processes as there are cores; instead, for instance: make test PYTEST_FLAGS="-k selector"
PYTEST_FLAGS ?= -n auto --dist worksteal
SPHINX_FLAGS ?= -W --keep-going -q
# skorch's own tests, run with CRUSTClassifier in NeuralNetClassifier's place.
SKORCH_SUITE ?= $(BIN)/python -m pytest -p no:cacheprovider -q -W default tests/skorch_suite

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-numpy1 test-oldest test-newest release-check lint format docs bench tables skorch-suite clean distclean
.DELETE_ON_ERROR:

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (some minutes the first time) ..."
	@rm -f $@
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable ".[dev]"
	@touch $@

venv: $(STAMP) ## make .venv and install everything that the other targets need

demo: $(STAMP) ## train on digits with 40 % wrong labels: a table and a figure
	@$(BIN)/python examples/demo_digits.py

test: $(STAMP) ## tests and doctests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS)

$(STAMP1): pyproject.toml constraints.txt
	@rm -f $@
	@$(PYTHON) -m venv $(VENV1)
	@grep -v '^numpy==' constraints.txt > $(VENV1)/constraints.txt
	@$(VENV1)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(VENV1)/constraints.txt \
		"numpy<2" setuptools hypothesis pytest --editable ".[extra]"
	@touch $@

test-numpy1: $(STAMP1) ## the solvers of scikit-learn-extra, in an environment with NumPy 1
	@$(VENV1)/bin/python -m pytest tests/strategies/test_k_medoids.py

$(STAMP_OLDEST): pyproject.toml tools/oldest_versions.py
	@echo "Setting up $(OLDEST) (torch's oldest release brings some GB of CUDA from PyPI) ..."
	@rm -f $@
	@$(PYTHON) -m venv $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check packaging
	@$(OLDEST)/bin/python tools/oldest_versions.py test > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) \
		--constraint $(OLDEST)/constraints.txt --editable ".[test]"
	@touch $@

test-oldest: $(STAMP_OLDEST) ## tests with the oldest versions that pyproject.toml allows
	@OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest $(PYTEST_FLAGS)

test-newest: ## tests with the newest versions there are; PYTHON=python3.13 for that Python
	@$(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) \
		--upgrade --upgrade-strategy eager --editable ".[test]"
	@OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest $(PYTEST_FLAGS)

# A file for GitHub or for citing is checked by the schema of its kind, all of which come with the tool.
SCHEMA := $(BIN)/check-jsonschema --builtin-schema

lint: $(STAMP) ## ruff (lint and format), mypy, the schemas of workflows, forms and CITATION.cff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(SCHEMA) vendor.dependabot .github/dependabot.yml
	@$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/[0-9]*.yml
	@$(SCHEMA) vendor.citation-file-format CITATION.cff

release-check: $(STAMP) ## build sdist and wheel, try both in clean environments
	@$(BIN)/python tools/release_check.py

format: $(STAMP) ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(STAMP) ## build docs/_build/html, running the examples; then its doctests, links, pages
	@MPLBACKEND=Agg OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -b html -d docs/_build/doctrees $(SPHINX_FLAGS) docs docs/_build/html
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto -p no:cacheprovider --doctest-glob="*.rst" docs/*.rst docs/user_guide
	@$(BIN)/python docs/check_links.py docs/_build/html
	@$(BIN)/python docs/check_pages.py docs/_build/html
	@echo "docs/_build/html/index.html"

$(STAMP2): pyproject.toml constraints.txt benchmarks/requirements.txt
	@echo "Setting up $(VENV2) (some minutes the first time) ..."
	@rm -f $@
	@$(PYTHON) -m venv $(VENV2)
	@grep -v '^scikit-learn==' constraints.txt > $(VENV2)/constraints.txt
	@$(VENV2)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(VENV2)/constraints.txt --requirement benchmarks/requirements.txt --editable ".[plots]"
	@touch $@

bench: $(STAMP) $(STAMP2) ## the short form of the benchmarks
	@$(BIN)/python benchmarks/selection.py --short
	@$(BIN)/python benchmarks/overhead.py --short
	@$(BIN)/python benchmarks/label_quality.py --short
	@$(VENV2)/bin/python benchmarks/peers.py --short
	@$(BIN)/python benchmarks/growth.py --short
	@$(BIN)/python benchmarks/many_classes.py --short

tables: $(STAMP) ## the tables of the user guide, from benchmarks/results
	@$(BIN)/python benchmarks/tables.py

skorch-suite: $(STAMP) ## skorch's own tests on CRUSTClassifier
	@$(SKORCH_SUITE)

clean: ## remove builds and caches, keep .venv
	@rm -rf build dist docs/_build docs/auto_examples docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path './.venv*' -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	@rm -rf $(VENV) $(VENV1) $(VENV2) $(OLDEST) .venv-newest-*
