# `make demo` shows Sakidashi at work, `make test` checks it. Both need Python 3.11 to 3.14 and the package index only.
#   make demo [EXIT=1] [ORDERS_COUNT=60] [SEED=1] [ORDERS=folder] [REPORT=file.json] [BROKER=embedded|apache]
#   make bench [QUICK=1] [AGAINST=<revision>] [REPORT=file.json]
#   make faults [SECONDS=300] [SEED=1] [REPORT=file.json]

SHELL := /bin/bash
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.locked
DEMO_VENV := .venv-demo
WORKERS ?= 3
PYTHONS := $(if $(PYTHON),$(PYTHON),$(shell type -ap python3 python3.14 python3.13 python3.12 python3.11))
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

# Each test run starts some sixty Python processes: without bytecode each would compile the tree again. An environment
# that forbids it (container images often do) means its own programs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env demo check check-lint check-types check-borders test test-long bench bench-more faults audit sbom docs docs-site secrets lock clean

help:
	@grep -E '^(# .?.?`?make |#   make |[a-z-]+:.*## )' Makefile | sed -E 's/^# ?//; s/:.*##/:/'

env: $(STAMP) $(VENV)/bin/sakidashi ## make .venv from requirements-dev.lock, every file of it checked by its hash

# An interpreter of a supported version that was built with the flag in its argument, or with any. Builds with
# profile-guided optimisation, as distributions ship them, need 13 to 23 % less CPU time and are taken first.
define SUITABLE
import ensurepip, sys, sysconfig
supported = (3, 11) <= sys.version_info[:2] <= (3, 14)
sys.exit(not (supported and sys.argv[-1] in (sysconfig.get_config_var('CONFIG_ARGS') or '')))
endef
export SUITABLE

# Create a virtual environment $(1) from the lock file $(2); every file is checked by its hash. uv takes a quarter of the
# CPU time of pip; where it cannot reach the index that pip is configured for, pip installs. The stamp is a copy of the
# lock, so that a new date alone changes nothing; it is written last, so that an interrupted installation is repeated.
define environment
	@if cmp -s $(2) $(1)/.locked; then touch $(1)/.locked; exit 0; fi; \
	for build in --enable-optimizations ''; do \
	  for python in $(PYTHONS); do if $$python -c "$$SUITABLE" "$$build" 2>/dev/null; then break 2; fi; done; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Sakidashi needs Python 3.11 to 3.14; looked at: $(PYTHONS). Name one: make PYTHON=/path/to/python3.12" >&2; \
	  exit 2; \
	fi; \
	echo "Creating $(1) with $$($$python --version), once (10 to 30 seconds)"; \
	rm -rf $(1) && $$python -m venv $(1) && \
	awk '/^uv==/ { found = 1 } found { print; if (!/\\$$/) exit }' requirements-dev.lock > $(1)/uv.lock && \
	pip="$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r" && \
	$$pip $(1)/uv.lock && \
	{ $(1)/bin/uv pip install --quiet --python $(1)/bin/python --require-hashes -r $(2) 2>/dev/null || $$pip $(2); } && \
	cp $(2) $(1)/.locked
endef

$(STAMP): requirements-dev.lock
	$(call environment,$(VENV),requirements-dev.lock)

# Launcher of the operator's command, usable from any folder: the project runs from its root and is not installed.
$(VENV)/bin/sakidashi: $(STAMP)
	@mkdir -p $(@D) && printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(RUN)" -m deploy.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@ && chmod +x $@

$(DEMO_VENV)/.locked: requirements-demo.lock
	$(call environment,$(DEMO_VENV),requirements-demo.lock)

# An environment for development has all that the demo needs; without one the demo makes its own, a third of its size.
demo: $(if $(wildcard $(STAMP)),$(STAMP),$(DEMO_VENV)/.locked) ## four services, partners and customers on a fast clock
	@$(if $(wildcard $(STAMP)),$(RUN),$(DEMO_VENV)/bin/python) -m deploy.demo.run

check: $(STAMP) ## lint, format, types and borders, without a test
	@$(MAKE) --no-print-directory -j 2 --output-sync=target check-types check-borders check-lint

check-lint:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

check-types:
	$(VENV)/bin/mypy

check-borders:
	$(VENV)/bin/lint-imports

test: check ## lint, types, borders, and all tests on real parts
	@echo "$$($(RUN) --version), $$(java -version 2>&1 | head -n 1 || true)"
	$(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

test-long: PYTEST := --hypothesis-profile=long
test-long: test ## the same, with every random history and random input at full number

bench: $(STAMP) ## every performance metric beside its target (QUICK=1, AGAINST=<revision>, REPORT=file.json)
	@$(RUN) -m tests.bench.run

bench-more: $(STAMP) ## overload, the desk with 100,000 issues, notices by real SMTP
	@$(RUN) -m tests.bench.overload
	@$(RUN) -m tests.bench.desk
	@$(RUN) -m tests.bench.notices

faults: $(STAMP) ## break everything by a seed (SECONDS=300 SEED=1 REPORT=file.json), then audit what came of it
	@$(RUN) -m tests.faults

audit: $(STAMP) ## secrets in the tree, known holes in what it depends on (3: could not be asked; AUDIT_ADVISORIES=folder)
	@$(RUN) -m deploy.supply_chain

sbom: $(STAMP) ## bill of materials of the image (CycloneDX) into .cache/
	@$(RUN) -m deploy.sbom

docs: $(STAMP) ## generate OpenAPI, AsyncAPI, the reference pages, and values and examples of the chart
	@$(RUN) -m deploy.api

docs-site: $(STAMP) ## build the documentation into .cache/site, strictly
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

secrets: $(STAMP) ## random passwords and keys for docker-compose.yml, into .secrets/ (kept if they are there)
	@$(RUN) -m deploy.local.compose_secrets

lock: $(STAMP) ## resolve pyproject.toml into the lock files again (UPGRADE=1: to the newest)
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --group local --constraint requirements-dev.lock --output-file requirements-demo.lock

clean: ## remove everything that was made here, the environment too
	rm -rf $(VENV) $(DEMO_VENV) .local .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
