# make demo   installs what a user needs and runs the whole chain on a simulated crater
# make test   installs everything else and runs the linters, the type checker and the tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install demo test lint lock benchmarks clean

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --require-hashes -r requirements/pip.txt

# The stamps hold what was installed: nothing is done again until a requirement changes.
.venv/.base: requirements/base.txt pyproject.toml | $(BIN)/python
	test -e .venv/.dev || $(PIP) install --quiet --require-hashes -r requirements/base.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch .venv/.base $@

install: .venv/.dev

demo: .venv/.base
	$(BIN)/mosart demo --out demo

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2

benchmarks: .venv/.dev
	$(BIN)/python benchmarks/against_original.py

# Needs uv; run it after a change of the dependencies in pyproject.toml.
lock:
	uv pip compile pyproject.toml --all-extras --group dev $(LOCK) -o requirements/dev.txt
	uv pip compile pyproject.toml --group build --constraint requirements/dev.txt $(LOCK) -o requirements/base.txt
LOCK := --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-strip-extras --quiet

clean:
	rm -rf .venv demo build dist
