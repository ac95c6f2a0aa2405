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

# Two at a time, each with servers of its own; a file stays whole, for its tests share what is dear to start. In the order of the
# files, so that the short ones come last and both are busy to the end.
test: check
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

long: $(STAMP)
	$(BIN)/pytest -m long

prove: $(STAMP)
	$(BIN)/python -m tests.prove.$(NAME) $(ARGS)
