# `make` alone lists the targets. Needs Python 3.11 or newer and a package index; no uv, Docker, Postgres or Kafka.

PYTHON ?= python3
BIN := .venv/bin
# The locks name versions and hashes, no host: any package index serves.
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	--python-version 3.11 $(if $(UPGRADE),--upgrade)
# A part of the test suite for each core, with servers of its own; a given broker they would have to share.
SIDE_BY_SIDE = $(if $(PAYSTATE_KAFKA_BOOTSTRAP),,--numprocesses=auto --maxprocesses=4 --dist=loadfile)
# Folders with a package-lock.json; their .npmrc keeps hosts out of it.
NODE := tests/peers/npm service/http/typescript
export UV_PYTHON_DOWNLOADS = never

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench faults simulate mutants fuzz kafka lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.stamp ## Make .venv with everything, from hashed requirements (the second time costs nothing)

.venv/.stamp: requirements.txt requirements-dev.txt requirements-uv.txt requirements.in pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'paystate needs Python 3.11 or newer: make setup PYTHON=/path/to/python3' >&2; exit 1; }
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python "$$(command -v $(PYTHON))" .venv; \
	elif ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		echo 'this Python cannot make environments: install its venv package' \
			'(Debian, Ubuntu: apt-get install python3-venv), or install uv' >&2; \
		exit 1; \
	elif ! [ -x $(BIN)/uv ]; then \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt; \
	fi
	PATH="$$PATH:$(CURDIR)/$(BIN)" uv pip install --quiet --python $(BIN)/python --require-hashes \
		-r requirements.txt -r requirements-dev.txt
	PATH="$$PATH:$(CURDIR)/$(BIN)" uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Run everything on this machine with a sandbox wallet (ONCE=1: one tour, then exit)
	@$(BIN)/paystate demo $(if $(ONCE),--once)

test: setup ## Run the whole test suite, then hold its coverage to 90 % (the state machine's to 100 %)
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(ARGS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='statemachine/*' --fail-under=100

check: setup ## Lint, formatting, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Format the code, and mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure throughput and latency
	$(BIN)/python -m tests.bench.run $(ARGS)

faults: setup ## Kill, freeze and cut things, and check every promise afterwards
	$(BIN)/python -m tests.faults.run $(ARGS)

simulate: setup ## Let everything fail in so many simulated worlds (SEEDS=3000 FROM=0), and look that each comes to rest
	@$(BIN)/python -m tests.simulation.run $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM)) $(ARGS)

mutants: setup ## Plant bugs, and look that the simulation finds each within 2,000 seeds
	@$(BIN)/python -m tests.simulation.hunt $(ARGS)

fuzz: setup ## Feed strange bytes to every parser (TARGET=strict_json SECONDS=600; KEEP=1: keep what they reach)
	@$(BIN)/python -m tests.fuzz.run $(TARGET) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(KEEP),--keep)

kafka: setup ## Run Apache Kafka on loopback until interrupted (needs Java 17 and, the first time, Maven)
	@$(BIN)/python -m service.dev.apache_kafka

lock: setup ## Write the requirements files anew from the .in files (UPGRADE=1: to the newest versions)
	$(COMPILE) requirements-uv.in -o requirements-uv.txt
	$(COMPILE) requirements-dev.in -c requirements-uv.txt -o requirements-dev.txt
	$(COMPILE) requirements.in -c requirements-dev.txt -o requirements.txt
	for peer in tests/peers/*.in; do $(COMPILE) $$peer -o $${peer%.in}.txt || exit 1; done
	if command -v npm >/dev/null; then for folder in $(NODE); do \
		(cd $$folder && npm $(if $(UPGRADE),update,install) --package-lock-only --ignore-scripts --no-audit --no-fund) \
		|| exit 1; done; fi

clean: ## Remove everything that was made here
	rm -rf .venv .kafka .peers build dist *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
