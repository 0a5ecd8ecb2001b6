# Set up, run, test. `make help` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
FAKE_PORT ?= 9010
LOCK := --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock'
VENV := .venv
BIN := $(VENV)/bin
export PORT

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test check format lock bench crisis-report fake-twilio clean python

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

python:
	@command -v $(PYTHON) >/dev/null || { echo "Nudges needs Python 3.11 or newer. Debian, Ubuntu: apt install python3 python3-venv. macOS: brew install python@3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Nudges needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another one: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing. Debian, Ubuntu: apt install python3-venv"; exit 1; }

$(BIN)/python: | python
	@echo "Making a virtualenv in $(VENV)…"
	@if command -v uv >/dev/null; then uv venv --quiet --seed --python $(PYTHON) $(VENV); else $(PYTHON) -m venv $(VENV); fi

# uv installs in seconds what takes pip half a minute. Where there is none, pip fetches the pinned one; where that cannot
# be had either, pip does the rest itself. Both show what they download.
define install_pinned
	@echo "Installing $(1): $$(grep -c '==' $(1)) packages, each checked against its hash…"
	@$(BIN)/python -c 'import uv' 2>/dev/null || command -v uv >/dev/null || { \
		awk '/^[a-z]/ {mine = /^uv==/} mine' requirements-dev.txt > $(VENV)/uv.txt && \
		$(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt; } || true
	@if $(BIN)/python -c 'import uv' 2>/dev/null; then \
		$(BIN)/python -m uv pip install --python $(BIN)/python --require-hashes -r $(1); \
	elif command -v uv >/dev/null; then \
		uv pip install --python $(BIN)/python --require-hashes -r $(1); \
	else \
		$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --require-hashes -r $(1); \
	fi
endef

# The stamps hold a copy of what was installed, so that a second call takes no time.
$(VENV)/runtime.stamp: requirements.txt | $(BIN)/python
	$(call install_pinned,requirements.txt)
	@cp requirements.txt $@

$(VENV)/dev.stamp: requirements-dev.txt | $(BIN)/python
	$(call install_pinned,requirements-dev.txt)
	@cp requirements-dev.txt $@

setup: $(VENV)/runtime.stamp ## the virtualenv in .venv, with pinned requirements

setup-dev: $(VENV)/dev.stamp browser ## the same, with what tests and checks need

.PHONY: browser
browser: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.support.chromium

run: setup ## serve http://127.0.0.1:8000 with demo families and simulated phones
	@$(BIN)/python -m nudges serve --with-demo

test: setup-dev ## all tests, on SQLite and PostgreSQL and in Chromium
	@$(BIN)/python -m pytest -n auto --dist loadgroup

check: $(VENV)/dev.stamp ## format, lint, types, import contracts, migrations both ways
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m nudges lint
	@$(BIN)/python -m pytest tests/rules

format: $(VENV)/dev.stamp ## put every file into the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(VENV)/dev.stamp ## compile what pyproject.toml declares into pinned requirements
	@$(BIN)/python -m uv pip compile -q $(LOCK) pyproject.toml -o requirements.txt
	@$(BIN)/python -m uv pip compile -q $(LOCK) pyproject.toml --group dev -o requirements-dev.txt

bench: $(VENV)/dev.stamp ## benchmarks, one JSON line each
	@$(BIN)/python -m bench

crisis-report: $(VENV)/dev.stamp ## what the crisis screen finds and misses
	@$(BIN)/python bench/crisis_report.py

fake-twilio: $(VENV)/dev.stamp ## a Twilio of our own on port 9010, to rehearse without an account
	@$(BIN)/python -m tests.support.fake_twilio --port $(FAKE_PORT) --app http://127.0.0.1:$(PORT)

clean: ## forget the virtualenv and the demo database
	@rm -rf $(VENV) var
