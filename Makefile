# From a fresh clone: `make demo` or `make test`. Each first creates the environment it needs.
PYTHON ?= python3
# The environment: the activated one, else .venv here; any other with VENV=path.
VENV ?= $(or $(VIRTUAL_ENV),.venv)
# More for `pip install`, for instance PIP_ARGS="torch==2.13.0".
PIP_ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.lightning_ecinn-installed
# What builds and checks has an environment of its own: it needs no PyTorch, and its dependency rich
# would change what Lightning shows.
BUILDER := .venv-build/bin/python
TWINE := .venv-build/bin/twine

# $(call require_python,INTERPRETER) stops with one sentence where the interpreter will not do.
define require_python
@command -v "$(1)" >/dev/null || { \
	echo "error: no interpreter '$(1)': install Python 3.11, 3.12 or 3.13, or name one with PYTHON=path" >&2; exit 1; }
@"$(1)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	echo "error: '$(1)' is $$("$(1)" --version 2>&1); Python 3.11, 3.12 or 3.13 is needed: name one with PYTHON=path and an environment of its own with VENV=path" >&2; exit 1; }
endef

# $(call create_environment,FOLDER) makes one with PYTHON.
define create_environment
$(call require_python,$(PYTHON))
@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "error: '$(PYTHON)' cannot create environments: install its venv module (on Debian and Ubuntu the package python3-venv)" >&2; exit 1; }
"$(PYTHON)" -m venv "$(1)"
endef

.DEFAULT_GOAL := help
.PHONY: help venv install demo test test-lowest docs bench lint dist try-wheel clean

help:  ## show this list
	@echo "Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo "Settings: PYTHON=$(PYTHON)  VENV=$(VENV)  PIP_ARGS=$(PIP_ARGS)"

venv: $(INSTALLED)  ## create the environment and install the project into it, with its tools

install: venv  ## the same as venv

demo: $(INSTALLED)  ## train a small model and draw its counterfactuals, on any machine
	"$(BIN)/python" -m lightning_ecinn fit --config quickstart.yaml

test: $(INSTALLED)  ## run the tests and the examples in docstrings
	OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

docs: $(INSTALLED)  ## build the site from pages and docstrings: build/site/index.html
	"$(BIN)/python" -m sphinx -q -W --keep-going -c docs . build/site
	@echo "Open build/site/index.html"

test-lowest:  ## run the tests beside the lowest versions of everything, in .venv-lowest; Python 3.11
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "error: of these versions there are wheels for Python 3.11 only: name it with PYTHON=path" >&2; exit 1; }
	$(MAKE) test VENV=.venv-lowest PIP_ARGS="--constraint tests/constraints-lowest.txt"

bench: $(INSTALLED)  ## measure speed and memory beside peers and the machine's limits
	"$(BIN)/python" -m benchmarks

lint: $(INSTALLED)  ## check style, format and types
	"$(BIN)/python" -m ruff check .
	"$(BIN)/python" -m ruff format --check .
	"$(BIN)/python" tools/check_types.py

dist: $(TWINE)  ## build the sdist, and the wheel from it, into dist/; check both
	rm -rf dist
	"$(BUILDER)" -m build
	"$(TWINE)" check --strict dist/*

try-wheel: dist  ## install the wheel with PYTHON into a clean environment, train, explain
	"$(BUILDER)" tools/try_wheel.py --python "$(PYTHON)" dist/*.whl

clean:  ## delete caches and build products; runs/ and the environment stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find lightning_ecinn datamodules callbacks experiments benchmarks tests -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(INSTALLED): setup.cfg pyproject.toml | $(BIN)/python
	$(call require_python,$(BIN)/python)
	@echo "Installing lightning_ecinn and its dependencies into $(VENV): several minutes and about 6 GB the first time."
	@"$(BIN)/python" -m pip --version >/dev/null 2>&1 || "$(BIN)/python" -m ensurepip
	"$(BIN)/python" -m pip install --disable-pip-version-check --editable ".[dev]" $(PIP_ARGS)
	@touch "$@"

$(TWINE):
	$(call create_environment,.venv-build)
	"$(BUILDER)" -m pip install --disable-pip-version-check "build>=1.2.1" "twine>=6.1"

$(BIN)/python:
	$(call create_environment,$(VENV))
