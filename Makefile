# make demo   installs what a user needs and runs the whole chain on a simulated crater
# make test   installs everything else and runs the linters, the type checker and the tests
# make test-kill      kills runs at random moments, 100 times with each signal
# make test-clients   opens products of the demo's stacks with MintPy, bowser and QGIS, in environments of their own
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install demo test test-kill test-clients browser lint lock benchmarks clean

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

test: lint browser
	$(BIN)/python -m pytest -n 2

# Where it cannot be had, the tests in the browser are left out, and say so; with CI set they fail.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null \
	|| { test "$$(id -u)" = 0 && test -e /etc/debian_version \
	     && apt-get -qq update >/dev/null 2>&1 \
	     && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null 2>&1; } \
	|| echo "no Chromium: the tests in the browser are left out (apt-get install chromium)"

test-kill: .venv/.dev
	MOSART_KILLS=100 $(BIN)/python -m pytest tests/workflow/test_killed.py

test-clients: demo
	$(BIN)/mosart run --stack demo/crater.h5 --out demo/dates --areas demo/crater.geojson --despeckle none --quiet
	$(BIN)/mosart run --stack demo/ascending.h5 --stack demo/descending.h5 --out demo/looks \
	  --reference 20200101..20200120 --epoch 20200125..20200213 --quiet
	CLIENTS=$(CURDIR)/.clients PYTHON=$(PYTHON) sh clients/run.sh demo/products demo/dates demo/looks

benchmarks: .venv/.dev
	$(BIN)/python benchmarks/against_original.py

# Needs uv; run it after a change of the dependencies in pyproject.toml.
lock:
	uv pip compile pyproject.toml --all-extras --group dev $(LOCK) -o requirements/dev.txt
	uv pip compile pyproject.toml --extra report --group build --constraint requirements/dev.txt $(LOCK) -o requirements/base.txt
LOCK := --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-strip-extras --quiet

clean:
	rm -rf .venv .clients demo build dist
