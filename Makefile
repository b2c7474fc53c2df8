# Everything runs from .venv, which `make` itself creates; nothing else on the machine is changed.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
SECONDS ?= 60
N ?= 200
MINUTES ?= 60
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PIP_VERSION := 26.3
PINNED := --constraint constraints.txt --build-constraint constraints.txt

.PHONY: demo test check docs bench faults soak completions clean help

help:  ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## set up a toy forecast system in ./demo and show it at work
	@scripts/demo

test: check docs  ## everything that the project checks, from nothing
	$(BIN)/pytest -n 2 tests/unit
	# These wait more than they compute: three at once end in half the time on two cores.
	$(BIN)/pytest -n 3 --dist loadfile tests/integration tests/faults tests/e2e tests/smoke

check: $(VENV)/.tools  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.tools  ## build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -E -q -b html docs docs/_build/html

bench: $(VENV)/.tools  ## measure this machine: round trips, hops, fan-out (SECONDS=60 for each case)
	$(BIN)/python tests/benchmarks/run.py $(SECONDS)

faults: $(VENV)/.tools  ## try faults on real systems (N=200, FULL=1, REPORT=1; SEED=plain:417 repeats one)
	@PYTHONPATH=.:tests:tests/faults $(BIN)/python -m lab --faults $(N) $(addprefix --seed ,$(SEED)) \
		$(if $(FULL),--full) $(if $(REPORT),--report docs/reliability.md) \
		$(addprefix --faults-a-system ,$(FAULTS_A_SYSTEM))

soak: $(VENV)/.tools  ## keep a busy system under faults, and see whether anything grows (MINUTES=60)
	@PYTHONPATH=.:tests:tests/faults $(BIN)/python -m lab.soak --minutes $(MINUTES)

completions: $(VENV)/.installed  ## write completions/ and the command reference anew
	$(BIN)/python scripts/write_completions.py
	$(BIN)/python scripts/write_cli_reference.py

clean:  ## remove .venv, caches and what was built (not ./demo)
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer was not found" >&2; \
		echo "hint: install it, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "hint: on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PIP) install 'pip==$(PIP_VERSION)'
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(PIP) install $(PINNED) --editable .
	@touch $@

$(VENV)/.tools: $(VENV)/.installed
	$(PIP) install $(PINNED) --group test --group check --group docs
	@touch $@
