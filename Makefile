# The only commands a person needs. Each says what it does: `make help`.
PY := .venv/bin/python
HEARTWOOD := .venv/bin/heartwood
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo up doctor test test-browser test-oracles test-faults check fix docs sbom bench clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/ready ## make the virtual environment from the lock (the other targets do it by themselves)

.venv/ready: pyproject.toml uv.lock
	@echo "making the virtual environment from the lock"
	@test -x $(PY) || python3 -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@.venv/bin/uv sync --quiet --locked --inexact --extra dev
	@touch $@

demo: .venv/ready ## play the whole story on a fresh stack; ends by itself
	@$(HEARTWOOD) demo

up: .venv/ready ## run the whole stack on this machine until Ctrl-C
	@$(HEARTWOOD) up

doctor: .venv/ready ## find what keeps Heartwood from running here, with the fix
	@$(HEARTWOOD) doctor

test: .venv/ready ## run every test on a real PostgreSQL and a real broker
	@$(PY) -m pytest -n 2 --dist loadgroup

test-browser: .venv/ready ## click through the pages in a real browser (needs chromium)
	@$(PY) -m pytest tests/workbench tests/stack/test_workbench.py

test-oracles: .venv/ready ## reserves against a library that is had for the run alone
	@.venv/bin/uv run --quiet --isolated --locked --extra dev --with chainladder==0.10.1 pytest -n0 tests/insurance/formulas/test_reserve_library.py

test-faults: .venv/ready ## ten minutes of kills, cuts, full disks and wrong clocks on real processes; MINUTES=60 for longer
	@$(PY) -m tests.faults --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1)

check: .venv/ready ## everything but the tests: style, types, imports, schemas, generated documents
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/uv lock --check --quiet
	@$(HEARTWOOD) docs --check
	@$(PY) -m deploy.check

fix: .venv/ready ## format, and mend what can be mended by itself
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

docs: .venv/ready ## write OpenAPI, event schemas and AsyncAPI from the code
	@$(HEARTWOOD) docs

sbom: .venv/ready ## write the bill of materials (CycloneDX, hashes and licences) to var/sbom.json
	@$(PY) -m deploy.supply var/sbom.json

bench: .venv/ready ## measure, as ratios to a baseline in the same run; writes var/bench/report.json
	@$(PY) -m tests.bench

clean: ## remove the virtual environment and all local state
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
