# make run     the main job: own virtual environment, pinned packages, neuronull run
# make test    the same for the tests (default tier)
# make docs    the pages of docs/ as a site, in build/docs
#
# make run ARGS="--model docs-pythia"        options go through
# make run TORCH_INDEX=https://...           another package index for PyTorch's builds (README)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-for-development
DOCS_STAMP := $(VENV)/.installed-for-docs
TORCH_INDEX ?=
ARGS ?=
TESTS ?= tests
WORKERS ?= auto

.PHONY: help run test test-slow lint docs bench check-gpu clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6

run: $(STAMP)
	@$(BIN)/neuronull run $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest $(TESTS) -n $(WORKERS) --dist loadfile $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest $(TESTS) -m slow $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy --strict -p neuronull

docs: $(STAMP) $(DOCS_STAMP)
	$(BIN)/python -m sphinx -E -a -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

# Threads that wait for each other sleep: spinning, they take the cores from whatever else runs and from one another.
bench: $(STAMP)
	OMP_WAIT_POLICY=passive $(BIN)/python -m tests.benchmarks $(ARGS)
	OMP_WAIT_POLICY=passive $(BIN)/python -m tests.benchmarks.costs

check-gpu: $(STAMP)
	$(BIN)/python -m tests.benchmarks.check_gpu $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once, and again when what is to be installed changes.  The stamp comes last, so a broken installation is redone.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "error: Python %d.%d is too old (PYTHON); give 3.11 or newer: make PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e ".[dev]"
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e ".[docs]"
	@touch $@
