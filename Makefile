# Recipes of the repository. CI runs the same ones (.ci/run).
#
#   make demo            create .venv, call a service over every protocol, make two from nothing
#   make demo CHECK=1    the same, then exit by itself; non-zero if anything was wrong
#   make test            the tests on every Python from 3.11 to 3.14 that is found
#   make help            everything else

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The interpreter of .venv; `make PYTHON=/path/to/python` says otherwise.
PYTHON ?= $(shell scripts/pythons --default)
# Processes that share the tests of one run, which wait for servers most of the time; 0 is the
# test process itself.
WORKERS ?= 3
PYTEST_ARGS ?=
BENCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
NODE := tests/foreign/node

export CHECK
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start hundreds of programs; each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo dev test test-default coverage test-others lint format typecheck layers docs-check bench bench-peers pins node clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1|/' | while IFS='|' read -r name text; \
		do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.demo ## two services from nothing, and every protocol (CHECK=1: check and exit)
	@echo "==> running examples/user/demo.py: one service, every protocol on one port"
	@CHECK=1 $(BIN)/python examples/user/demo.py
	@echo "==> running examples/shop/demo.py: new, build, publish, add, run, call"
	@$(BIN)/python examples/shop/demo.py

dev: $(VENV)/.dev ## create .venv with everything development needs

test: test-default test-others ## run the tests on every Python found

test-default: $(VENV)/.dev node ## run the tests on the Python of .venv
	@echo "==> testing on $$($(BIN)/python --version)"
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

coverage: ## the same, and tell which lines and branches they run
	@$(MAKE) test-default PYTEST_ARGS="--cov --cov-report=term $(PYTEST_ARGS)"

test-others: node
	@scripts/pythons --report
	@for python in $$(scripts/pythons --others); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		$(MAKE) .venv-$$version/.dev VENV=.venv-$$version PYTHON=$$python; \
		echo "==> testing on Python $$version"; \
		.venv-$$version/bin/python -m pytest -n $(WORKERS) -m "not once" $(PYTEST_ARGS); \
	done

lint: $(VENV)/.dev ## check style and formatting
	@echo "==> ruff check"
	@$(BIN)/ruff check
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check

format: $(VENV)/.dev ## format the code and apply safe fixes
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

typecheck: $(VENV)/.dev ## check types (mypy --strict)
	@echo "==> mypy"
	@$(BIN)/mypy

layers: $(VENV)/.dev ## check that no layer imports a higher one
	@echo "==> lint-imports"
	@$(BIN)/lint-imports --no-cache

docs-check: $(VENV)/.dev ## run every code block of README.md and docs/
	@$(BIN)/python -m pytest tests/docs $(PYTEST_ARGS)

bench: $(VENV)/.bench ## measure against hand-written services (BENCH_ARGS="--cases get")
	@echo "==> benchmarks"
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-peers: $(VENV)/.bench ## the same, and against other frameworks
	@echo "==> benchmarks, with other frameworks"
	@$(BIN)/python -m benchmarks --peers $(BENCH_ARGS)

pins: $(VENV)/.dev ## write constraints.txt from what .venv has
	@scripts/pins $(BIN)/python > constraints.txt.new
	@mv constraints.txt.new constraints.txt
	@echo "==> wrote $$(grep -c == constraints.txt) pins to constraints.txt"

clean: ## remove environments, Node packages and caches
	@rm -rf .venv .venv-3.* .venv-peers $(NODE)/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.* htmlcov
	@echo "==> clean"

# -- environments ---------------------------------------------------------------------------

PROJECTS := pyproject.toml bali-core/pyproject.toml bali-cli/pyproject.toml constraints.txt
INSTALL = scripts/install $(VENV)

$(VENV)/.python:
	@test -n "$(PYTHON)" || { scripts/pythons --default; exit 1; }
	@echo "==> creating $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) pip
	@touch $@

$(VENV)/.demo: $(VENV)/.python $(PROJECTS)
	@echo "==> installing bali-core and bali-cli into $(VENV)"
	@$(INSTALL) --group build
	@$(INSTALL) --group demo --no-build-isolation --editable ./bali-core --editable ./bali-cli
	@touch $@

$(VENV)/.dev: $(VENV)/.demo $(PROJECTS)
	@echo "==> installing the tools of development into $(VENV)"
	@$(INSTALL) --group dev
	@touch $@

$(VENV)/.bench: $(VENV)/.dev $(PROJECTS)
	@echo "==> installing what draws the plot into $(VENV)"
	@$(INSTALL) --group bench
	@touch $@

# -- Node packages, for the tests with clients nobody here wrote -------------------------------

node:
	@if [ ! -f $(NODE)/package-lock.json ]; then :; \
	elif command -v npm > /dev/null; then $(MAKE) $(NODE)/node_modules/.installed; \
	elif [ "$${CI:-}" = true ]; then echo "error: CI needs npm for the tests in $(NODE)" >&2; exit 1; \
	else echo "==> no npm found: the tests with Node clients will be skipped"; fi

$(NODE)/node_modules/.installed: $(NODE)/package-lock.json $(NODE)/package.json
	@echo "==> installing Node packages into $(NODE)"
	@cd $(NODE) && npm ci --silent --no-audit --no-fund
	@touch $@
