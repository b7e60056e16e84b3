# make run | make test on a fresh machine: python3 (3.11 or newer) and the package registry are all that is needed.
PYTHON ?= python3
# Handed on: make run ARGS="--configfile configs/cifar10.yaml", make test ARGS="-k report", make lock ARGS=--upgrade
ARGS ?=

BIN := .venv/bin
# Rules call snakemake and python by name, and find the environment's own.
IN_ENV := PATH="$(CURDIR)/$(BIN):$$PATH"
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
# slurm.txt holds what runtime.txt has not.
BESIDES = $$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package=\1/p' runtime.txt)
# The tests have the plugin in a folder of its own, since Snakemake loads all plugins that it finds whenever it starts.
SLURM := $(BIN)/uv pip install --quiet --no-deps --require-hashes -r requirements/slurm.txt

AUDIT := $(BIN)/uv pip install --quiet --no-deps --require-hashes -r requirements/audit.txt
BILL := build/sbom.cdx.json

.DEFAULT_GOAL := help
.PHONY: help run test env slurm-env test-env audit-env lint pytest verify audit sbom lock reference clean python
.NOTPARALLEL:

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo 'PYTHON=…  another interpreter; ARGS=…  handed on to snakemake, pytest or uv'

run: env ## The default study on all cores; ARGS go to snakemake
	$(IN_ENV) snakemake --cores all $(ARGS)

test: test-env lint pytest ## Lint, format and type checks, then all tests; ARGS go to pytest

env: python ## The environment of `make run` in .venv
	@$(PYTHON) tools/environment.py runtime

slurm-env: env ## The environment of `make run` with the plugin of profiles/slurm
	@$(SLURM) --python $(BIN)/python

test-env: python ## The environment of `make test`; it serves `make run` as well
	@$(PYTHON) tools/environment.py test
	@$(SLURM) --target .venv/slurm

audit-env: env
	@$(AUDIT) --target .venv/audit

lint: test-env ## Style, formatting, types, and Snakemake's own checks
	@date '+[%T] lint'
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy tools
	$(BIN)/snakefmt --check Snakefile rules
	$(IN_ENV) snakemake --lint

pytest: test-env
	@date '+[%T] pytest'
	$(IN_ENV) python -m pytest $(ARGS)

verify: python ## Check results/, or ARGS=FOLDER, against its ro-crate-metadata.json
	$(PYTHON) tools/verify.py $(ARGS)

audit: audit-env ## Ask for known vulnerabilities of every pinned package
	$(BIN)/python tools/audit.py

sbom: python ## A bill of materials of all locks (CycloneDX) in build/
	@mkdir -p $(dir $(BILL))
	$(PYTHON) tools/sbom.py > $(BILL).part && mv $(BILL).part $(BILL)

lock: test-env ## Resolve requirements/*.in anew; ARGS=--upgrade takes the newest releases
	cd requirements && ../$(LOCK) $(ARGS) uv.in -o uv.txt
	cd requirements && ../$(LOCK) $(ARGS) runtime.in -o runtime.txt
	cd requirements && ../$(LOCK) $(ARGS) slurm.in -c runtime.txt $(BESIDES) -o slurm.txt
	cd requirements && ../$(LOCK) $(ARGS) kubernetes.in -c runtime.txt -o kubernetes.txt
	cd requirements && ../$(LOCK) $(ARGS) audit.in -c runtime.txt -o audit.txt
	cd requirements && ../$(LOCK) $(ARGS) test.in -c runtime.txt --override overrides.in -o test.txt
	$(BIN)/python tools/make_envs.py

reference: test-env ## Write the config's schema and reference page anew from the code
	$(BIN)/python tools/make_reference.py

clean: ## Remove the environment and caches; results/ and .snakemake/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'make: there is no "$(PYTHON)": install Python 3.11 or newer (Debian: apt-get install python3 python3-venv) or name one: make PYTHON=…' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "make: Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: name another one, e.g. make PYTHON=python3.12" % v[:2])'
