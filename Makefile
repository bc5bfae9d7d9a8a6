# Every target sets up what it needs. The machine brings make and python3 (3.11 to 3.14), and node for pyright and the
# JavaScript peer; everything else goes into .venv, at the versions that uv.lock names.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
UV     := $(VENV)/bin/uv
READY  := $(VENV)/.ready
PEERS  := .peers
PEER   := $(PEERS)/a2a/.ready
ADKPEER := $(PEERS)/adk/.ready
PINNEDPEERS := $(foreach peer,a2a03 af beeai strands,$(PEERS)/$(peer)/made.txt)
NPMPEERS := $(foreach peer,js js03 oidc,$(PEERS)/$(peer)/node_modules/.package-lock.json)
# CrewAI's newest release shares no environment with the newest releases of the other frameworks.
CREWAI := .frameworks/crewai
CREW   := $(CREWAI)/.ready
# The demo's agents, each with nothing but codin's core beside its framework.
ALONE  := .frameworks/langgraph/.ready .frameworks/adk/.ready

# Programs that tests start, unpacked from Debian's packages and never installed.
SERVERS := .servers
SERVER  := $(SERVERS)/made.txt
export CODIN_SERVERS ?= $(CURDIR)/$(SERVERS)

# The lock names uv too, so that its version stands in one place.
UV_VERSION := $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"$$/\1/p;}' uv.lock)
LOCKED     := UV_PYTHON_DOWNLOADS=never $(UV) sync --frozen --quiet --no-progress

# Somebody else's active environment has no say here.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
# Where the tests and the benchmarks look for other people's implementations.
export CODIN_PEERS ?= $(CURDIR)/$(PEERS)

.PHONY: help demo test test-adapters test-distributed fuzz check fix bench docs peers frameworks clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) $(CREW) $(ALONE)  ## agents at work on a document: make demo [FILE=path]
	@$(PY) -m examples.brief $(if $(FILE),"$(FILE)")

test: $(READY) $(CREW) $(ALONE) $(PEER) $(ADKPEER) $(PINNEDPEERS) $(NPMPEERS) $(SERVER)  ## the whole suite, in parallel: make test [ARGS="-k name"]
	@$(PY) -m codin.sandbox.wasm  # built once for each user, which takes longer than a test may
	$(PY) -m pytest -n auto --dist worksteal $(ARGS)
	$(CREWAI)/bin/python -m pytest -n auto tests/agent/adapters/crewai

test-distributed: $(READY) $(SERVER)  ## runtimes on a Ray cluster of two nodes, and on a Kubernetes API server
	$(PY) tests/servers/build_kubernetes.py $(CODIN_SERVERS)/kubernetes  # from Debian's source, 10 minutes; once
	CODIN_DISTRIBUTED=1 $(PY) -m pytest -n auto --dist loadfile tests/runtime/test_contract.py tests/runtime/test_kubernetes.py tests/runtime/test_ray.py tests/server/test_ray.py $(ARGS)

test-adapters: $(READY) $(CREW)  ## every framework's adapter, in the environment that holds its newest release
	$(PY) -m pytest -n auto --dist worksteal tests/agent/adapters $(ARGS)
	$(CREWAI)/bin/python -m pytest -n auto tests/agent/adapters/crewai $(ARGS)

fuzz: $(READY)  ## hostile requests and answers, for about half an hour: make fuzz [CODIN_FUZZ_EXAMPLES=2000]
	CODIN_FUZZ_EXAMPLES=$(or $(CODIN_FUZZ_EXAMPLES),2000) $(PY) -m pytest -n auto --dist worksteal -o faulthandler_timeout=1800 tests/fuzz $(ARGS)

check: $(READY) $(CREW)  ## format, lint, types, floors, exports
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright
	$(VENV)/bin/pyright -p pyrightconfig.crewai.json
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" pyright --verifytypes codin --ignoreexternal  # it takes its Python from PATH alone
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q tests/test_exports.py

fix: $(READY)  ## let ruff mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(READY) $(CREW) $(PEER)  ## side by side with the official SDK: make bench [ARGS=...]
	@$(PY) -m benchmarks --json $(ARGS)

docs: $(READY) $(SERVER)  ## run every code block and follow every link of README and docs
	$(PY) -m pytest -q tests/docs $(ARGS)

interop: $(READY) $(CREW) $(PEER) $(ADKPEER) $(PINNEDPEERS) $(NPMPEERS)  ## other people's clients and servers, and what works: make interop [ARGS="-k GRPC"]
	$(PY) -m pytest -q -n auto --dist worksteal tests/interop $(ARGS)

frameworks: $(READY) $(CREW) $(ALONE)  ## environments for agents whose frameworks cannot share one

peers: $(PEER) $(ADKPEER) $(PINNEDPEERS) $(NPMPEERS)  ## other people's A2A software, each in an environment of its own

clean:  ## back to a fresh checkout
	rm -rf $(VENV) $(PEERS) $(SERVERS) .frameworks build dist .hypothesis .import_linter_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name node_modules -type d -prune -exec rm -rf {} +

# An environment that is missing, or whose interpreter has gone, is made anew; one that works is kept.
MISSING := $(shell test -x $(PY) || echo venv)
.PHONY: venv
venv:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "codin needs Python 3.11 to 3.14 and found no $(PYTHON). Install it, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { \
	  echo "codin needs Python 3.11 to 3.14; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: this distribution keeps venv and ensurepip in a package of their own." >&2; \
	  echo "Debian, Ubuntu: sudo apt-get install python3-venv. Or name another interpreter: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(READY): pyproject.toml uv.lock $(MISSING)
	@test -x $(UV) || $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
	@test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	UV_PROJECT_ENVIRONMENT=$(VENV) $(LOCKED) --all-extras --no-extra crewai --group dev
	@touch $@

# What CrewAI's own A2A client needs beside it is not in uv.lock: it wants the official SDK of 0.3.
$(CREW): tests/agent/adapters/crewai/a2a.txt $(READY)
	UV_PROJECT_ENVIRONMENT=$(CREWAI) $(LOCKED) --no-default-groups --group test --extra crewai --extra langgraph --extra cli --extra fast --python $(PY)
	$(UV) pip install --quiet --no-deps --python $(CREWAI)/bin/python -r $<
	@touch $@

$(ALONE): .frameworks/%/.ready: $(READY)
	UV_PROJECT_ENVIRONMENT=.frameworks/$* $(LOCKED) --no-default-groups --group openai --extra $* --python $(PY)
	@touch $@

$(PEER): $(READY)
	UV_PROJECT_ENVIRONMENT=$(PEERS)/a2a $(LOCKED) --only-group peer --python $(PY)
	@touch $@

$(ADKPEER): $(READY)
	UV_PROJECT_ENVIRONMENT=$(PEERS)/adk $(LOCKED) --only-group adk-peer --python $(PY)
	@touch $@

$(SERVER): tests/servers/debian.txt $(READY)
	$(PY) tests/servers/unpack.py $(SERVERS)
	@mkdir -p $(@D) && cp $< $@

# Not in uv.lock: what these hold shares no environment with what it names, so each has a list of its own.
$(PEERS)/a2a03/made.txt: tests/interop/peers/a2a_sdk_03.txt
$(PEERS)/af/made.txt: tests/interop/peers/agent_framework.txt
$(PEERS)/beeai/made.txt: tests/interop/peers/beeai.txt
$(PEERS)/strands/made.txt: tests/interop/peers/strands.txt
$(PINNEDPEERS): $(READY)
	$(UV) venv --quiet --clear --python $(PY) $(@D)
	$(UV) pip install --quiet --no-deps --python $(@D)/bin/python -r $(filter %.txt,$^)
	@cp $(filter %.txt,$^) $@

# npm itself writes the file that this makes. Without npm the tests that need it say so; in CI they fail.
.SECONDEXPANSION:
$(NPMPEERS): $(PEERS)/%/node_modules/.package-lock.json: $$(wildcard tests/interop/peers/$$*/package*.json)
	@mkdir -p $(PEERS)/$* && cp $^ $(PEERS)/$*
	@if command -v npm >/dev/null; then cd $(PEERS)/$* && npm ci --silent --no-audit --no-fund && touch $(CURDIR)/$@; \
	else echo "no npm: the tests with peers in JavaScript are left out; https://nodejs.org" >&2; fi
