# `make demo` shows Sakidashi at work, `make test` checks it. Both need Python 3.11 to 3.13 and the package index only.
#   make demo [EXIT=1] [ORDERS=folder] [REPORT=file.json] [BROKER=embedded|apache]
#   make bench [REPORT=file.json]
#   make faults [SECONDS=300] [SEED=1] [REPORT=file.json]

SHELL := /bin/bash
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.locked
WORKERS ?= 2
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

.PHONY: help env demo test bench faults audit docs secrets lock clean

help:
	@grep -E '^(# .?.?`?make |#   make |[a-z]+:.*## )' Makefile | sed -E 's/^# ?//; s/:.*##/:/'

env: $(STAMP) $(VENV)/bin/sakidashi ## make .venv from requirements-dev.lock, every file of it checked by its hash

# The stamp is a copy of the lock, so that a new date alone changes nothing; it is written last, so that an
# installation that was cut short is done again.
$(STAMP): requirements-dev.lock
	@if cmp -s requirements-dev.lock $@; then touch $@; exit 0; fi; \
	for python in $(PYTHONS); do \
	  if $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then break; fi; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Sakidashi needs Python 3.11, 3.12 or 3.13; looked at: $(PYTHONS). Name one: make PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$python --version), once (about 20 seconds)"; \
	rm -rf $(VENV) && $$python -m venv $(VENV) && \
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock && \
	cp requirements-dev.lock $@

# Launcher of the operator's command, usable from any folder: the project runs from its root and is not installed.
$(VENV)/bin/sakidashi: $(STAMP)
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(RUN)" -m deploy.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@ && chmod +x $@

demo: $(STAMP) ## four services, partners, real orders and reports on a fast clock
	@$(RUN) -m deploy.demo.run

test: $(STAMP) ## lint, types, borders, and all tests on real parts
	@echo "$$($(RUN) --version), $$(java -version 2>&1 | head -n 1 || true)"
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m pytest -n $(WORKERS)

bench: $(STAMP) ## flood the running system on Apache Kafka: plain, under conditions; the desk with 100,000 issues; mails
	@$(RUN) -m tests.bench.run
	@$(RUN) -m tests.bench.scenarios
	@$(RUN) -m tests.bench.desk
	@$(RUN) -m tests.bench.notices

faults: $(STAMP) ## break everything by a seed (SECONDS=300 SEED=1 REPORT=file.json), then audit what came of it
	@$(RUN) -m tests.faults

audit: $(STAMP) ## secrets in the tree, known holes in what it depends on (3: could not be asked)
	@$(RUN) -m deploy.supply_chain

docs: $(STAMP) ## write the AsyncAPI and OpenAPI documents again
	@$(RUN) -m deploy.api.api_docs

secrets: $(STAMP) ## random passwords and keys for docker-compose.yml, into .secrets/ (kept if they are there)
	@$(RUN) -m deploy.local.compose_secrets

lock: $(STAMP) ## resolve pyproject.toml into the two lock files again (UPGRADE=1: to the newest)
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove everything that was made here, the environment too
	rm -rf $(VENV) .local .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
