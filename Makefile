# Everything this project needs done has a target here; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

# The first Python that runs and is new enough; `make PYTHON=/path/to/python3.12 ...` chooses another.
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c '$(SUPPORTED)' >/dev/null 2>&1 && { command -v "$$name"; break; }; done; true)
VENV ?= .venv
BIN := $(VENV)/bin
LISTEN ?= 127.0.0.1:1883
WORKERS ?= 4
PYTEST := -m pytest -q -n $(WORKERS) --dist loadgroup

STAMPS := $(VENV)/.stamps
SOURCES := $(shell find src -name '*.py' -o -name '*.pxd' -o -name py.typed 2>/dev/null)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run build test test-interpreted test-compiled test-other-pythons lint types format \
	conformance bench bench-brokers bench-clients scale soak system-packages wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

run: $(STAMPS)/compiled ## build the compiled package and start the broker on 127.0.0.1:1883 (LISTEN=host:port)
	@exec $(BIN)/linnet serve --listen $(LISTEN)

build: $(STAMPS)/compiled ## make .venv and install the compiled package into it
	@$(BIN)/linnet --version

test: lint types test-interpreted test-compiled ## lint, types, the whole suite interpreted and compiled

test-interpreted: system-packages $(STAMPS)/tools ## the suite on the sources as they are
	PYTHONPATH=src TESTED_FORM=interpreted $(BIN)/python $(PYTEST) --ignore=tests/packaging $(ARGS)

test-compiled: system-packages $(STAMPS)/tools $(STAMPS)/compiled ## the suite on the compiled package in .venv
	env -u PYTHONPATH TESTED_FORM=compiled $(BIN)/python $(PYTEST) $(ARGS)

test-other-pythons: ## the fast part of the compiled suite on every other supported CPython found here
	@.ci/other-pythons "$(PYTHON)"

lint: $(STAMPS)/tools ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMPS)/tools ## mypy --strict
	$(BIN)/mypy

format: $(STAMPS)/tools ## let ruff format and repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

conformance: $(STAMPS)/tools ## which normative statements have a test, and which have none
	PYTHONPATH=src $(BIN)/python -m tests.conformance.report

bench: bench-brokers bench-clients ## both of these

bench-brokers: $(STAMPS)/compiled ## CPU time per message and latency, side by side with other brokers (ARGS=...)
	env -u PYTHONPATH $(BIN)/python benchmarks/run.py $(ARGS)

bench-clients: $(STAMPS)/tools $(STAMPS)/compiled ## CPU time per message of the client, side by side with other clients (ARGS=...)
	env -u PYTHONPATH $(BIN)/python benchmarks/clients.py $(ARGS)

scale: $(STAMPS)/compiled ## 10,000 connections, a million subscriptions, fan-outs: what they cost, and bars (ARGS=...)
	env -u PYTHONPATH $(BIN)/python benchmarks/scale.py $(ARGS)

soak: $(STAMPS)/compiled ## clients, sessions and messages that come and go: everything is back where it began (ARGS=...)
	env -u PYTHONPATH $(BIN)/python benchmarks/soak.py $(ARGS)

wheel: $(STAMPS)/tools ## a wheel and an sdist in dist/
	$(BIN)/python -m build --no-isolation --sdist --wheel

system-packages: ## other people's brokers and clients, for the interop tests
	@.ci/system-packages test

clean: ## delete .venv and everything that was built
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { \
		echo "linnet needs CPython 3.11 or newer: none found. Install one, or say make PYTHON=/path/to/python3"; exit 1; }
	@.ci/system-packages build "$(PYTHON)"
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

# Everything but linnet itself: what pyproject.toml names for building and running it ...
$(STAMPS)/ready: $(STAMPS)/venv pyproject.toml .ci/requirements.py
	@$(BIN)/python .ci/requirements.py pyproject.toml > $(STAMPS)/ready.txt
	$(BIN)/pip install -q -r $(STAMPS)/ready.txt
	@touch $@

# ... and for testing it.
$(STAMPS)/tools: $(STAMPS)/ready
	@$(BIN)/python .ci/requirements.py pyproject.toml dev > $(STAMPS)/tools.txt
	$(BIN)/pip install -q -r $(STAMPS)/tools.txt
	@touch $@

# Installed as a wheel, never in place: src stays free of binaries, so it is the interpreted form.
# Without a C compiler the result is interpreted too: `linnet --version` says what it became.
$(STAMPS)/compiled: $(STAMPS)/ready setup.py $(SOURCES)
	$(BIN)/pip install -q --no-build-isolation --no-deps --force-reinstall .
	@$(BIN)/linnet --version
	@touch $@
