# make setup   the virtual environment, with everything
# make demo    a live journey funnel on this machine, from nothing but Python
# make test    every check and every test, integration tests on real servers included
# make long    the tests that take minutes each: erasure to the last byte, a replay from ClickHouse, an alert end to end
# make prove NAME=chunked   a long proof; figures go to docs/evidence/
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: help setup demo check test long prove
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

# Unit tests two at a time; those with servers one after the other: two whole lines on two cores make each other wait.
test: check
	$(BIN)/pytest tests/unit --numprocesses 2 --dist loadfile
	$(BIN)/pytest tests/integration

long: $(STAMP)
	$(BIN)/pytest -m long

prove: $(STAMP)
	$(BIN)/python -m tests.prove.$(NAME) $(ARGS)
