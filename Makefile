# make setup   the virtual environment, with everything
# make demo    a live journey funnel on this machine, from nothing but Python
# make test    every check and every test, integration tests on real servers included
# make prove NAME=chunked   a long proof; figures go to docs/evidence/
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: help setup demo check test prove
help:
	@sed -n 's/^# make/make/p' Makefile

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/desireline demo

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest

prove: $(STAMP)
	$(BIN)/python -m tests.prove.$(NAME) $(ARGS)
