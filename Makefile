# Every task of a developer; `make help` lists them. It needs only Python 3.11 or newer and make.
#
# All paths are relative, so a checkout may be anywhere, even below a folder with spaces in its name.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-fast attacks try-deployment audit check format bench bench-peers vendor

PYTHON ?=
ARGS ?=
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3 python3.11 python3.12 python3.13 python3.14)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet install --no-deps --require-hashes --root-user-action=ignore
END_TO_END := tests/end_to_end/js
LIGHTHOUSE := tests/bench/lighthouse

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile
	@echo 'PYTHON=... chooses the Python for .venv; ARGS=... is passed to pytest or the benchmark;'
	@echo 'VENV=.venv/3.13 uses another virtual environment, for example to test on a second Python.'

setup: $(VENV)/run.stamp ## create .venv with the locked packages

run: $(VENV)/run.stamp ## start everything: Postgres, Redis, the API, two gateway nodes
	@exec $(BIN)/python -m development

# Without compiled modules each worker would compile all tests anew, which takes seconds.
test test-fast attacks: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/test.stamp $(VENV)/node.stamp ## run every test but the attacks, against real servers of their own
	@exec $(BIN)/python -m pytest -n auto --dist worksteal --ignore=tests/attacks $(ARGS)

test-fast: $(VENV)/test.stamp ## run the tests that need no server, in seconds
	@exec $(BIN)/python -m pytest -n 2 --dist worksteal -m "not servers and not slow" $(ARGS)

# One after the other, because they measure how long others wait.
attacks: $(VENV)/test.stamp ## attack a deployment of real processes behind nginx, and measure what others notice, in some minutes
	@exec $(BIN)/python -m pytest tests/attacks $(ARGS)

try-deployment: $(VENV)/test.stamp ## run the operating guide's commands in this machine's container engine, in some minutes
	@exec $(BIN)/python -m tests.try_deployment

audit: $(VENV)/audit.stamp $(VENV)/node.stamp ## ask the registries for known vulnerabilities of the locked packages
	@exec $(BIN)/python -m tests.audit $(VENV)/audit/bin/python

check: $(VENV)/test.stamp ## lint and type-check
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(VENV)/test.stamp ## format the code
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(VENV)/test.stamp $(VENV)/lighthouse.stamp ## measure the speed, and compare it with bare servers
	@exec $(BIN)/python -m tests.bench $(ARGS)

bench-peers: $(VENV)/test.stamp $(VENV)/peers.stamp ## compare the gateway with other Python servers of WebSockets
	@exec $(BIN)/python -m tests.bench peers $(ARGS)

vendor: $(VENV)/node.stamp ## copy the page's libraries from the locked npm packages
	@$(BIN)/python -m tests.support.vendored

# Takes the first Python that is new enough and has `venv` (which Debian ships separately, as python3-venv).
$(BIN)/python:
	@for python in $(PYTHONS); do \
	  if "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "creating .venv with $$("$$python" --version)"; \
	    exec "$$python" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo 'make: no Python 3.11 or newer with venv among: $(PYTHONS); PYTHON=/path/to/python names one' >&2; \
	exit 1

$(VENV)/run.stamp: requirements/run.lock $(BIN)/python
	@echo 'installing requirements/run.lock'
	@$(PIP) -r requirements/run.lock
	@touch $@

$(VENV)/test.stamp: requirements/test.lock $(VENV)/run.stamp
	@echo 'installing requirements/test.lock'
	@$(PIP) -r requirements/test.lock
	@touch $@

# pip-audit has an environment of its own, because its packages are no part of the tests.
$(VENV)/audit.stamp: requirements/audit.lock $(BIN)/python
	@echo 'installing requirements/audit.lock'
	@$(BIN)/python -m venv --clear $(VENV)/audit
	@$(subst $(BIN)/python,$(VENV)/audit/bin/python,$(PIP)) -r requirements/audit.lock
	@touch $@

# The other servers have one too, because their packages are no part of the product or its tests.
$(VENV)/peers.stamp: requirements/peers.lock $(BIN)/python
	@echo 'installing requirements/peers.lock'
	@$(BIN)/python -m venv --clear $(VENV)/peers
	@$(subst $(BIN)/python,$(VENV)/peers/bin/python,$(PIP)) -r requirements/peers.lock
	@touch $@

# The tests with the Phoenix client need Node 18 or newer: the machine's own, or else one from a wheel.
$(VENV)/node.stamp: requirements/node.lock $(END_TO_END)/package-lock.json $(VENV)/test.stamp
	@if ! $(BIN)/python -m tests.support.node --check; then \
	  echo 'installing requirements/node.lock'; \
	  $(PIP) -r requirements/node.lock; \
	fi
	@echo 'installing $(END_TO_END)/package-lock.json'
	@$(BIN)/python -m tests.support.node npm ci --prefix $(END_TO_END)
	@touch $@

# `make bench` looks at the page with Lighthouse, which is no part of the product or its tests.
$(VENV)/lighthouse.stamp: $(LIGHTHOUSE)/package-lock.json $(VENV)/node.stamp
	@echo 'installing $(LIGHTHOUSE)/package-lock.json'
	@$(BIN)/python -m tests.support.node npm ci --prefix $(LIGHTHOUSE)
	@touch $@
