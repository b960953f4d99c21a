# Needs: Python 3.11 or newer with venv, and make. Everything else comes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: install demo test check format bench bench-large soak accuracy docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "GridWarden needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# In a process group of its own, so that Ctrl-C at the terminal reaches the demo, which then ends with 0, and not make.
demo: install
	@if [ -t 0 ]; then set -m; $(BIN)/gridwarden demo; else exec $(BIN)/gridwarden demo; fi

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install
	$(BIN)/python -m tests.bench.main

# A million meters: about ten minutes, 13 GB of memory and 10 GB of disk.
bench-large: install
	$(BIN)/python -m tests.bench.main --only capacity --meters 1000000

soak: install
	GRIDWARDEN_SOAK=1 $(BIN)/python -m pytest -m soak --timeout 14400

accuracy: install
	$(BIN)/python -m tests.bench.accuracy --seeds 20 $(if $(wildcard ../shared/data),--real ../shared/data)
	$(BIN)/python -m tests.bench.consumption --seeds 3 $(if $(wildcard ../shared/data),--real ../shared/data)

docs: install
	$(BIN)/python -m monitor.reference.docs docs/reference

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
