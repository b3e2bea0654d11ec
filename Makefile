# Two commands matter: `make demo` and `make test`. Each sets up what it needs, once, through `make setup`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
# Inside the environment: whoever removes it is set up anew.
STAMPS := $(VENV)/.make
PIP_INSTALL := -m pip --disable-pip-version-check install --retries 2 --timeout 60 --require-hashes
CODE := $(wildcard registry camera_gateway detector anonymizer alerting mesh tests bench)
PROTO_FILES := $(sort $(shell find protos/argo -name '*.proto' 2>/dev/null))
# protoc finds its plug-ins on PATH, and google/rpc/*.proto in the package googleapis-common-protos.
PROTOC = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I protos \
	-I "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
GENERATE = $(PROTOC) --python_out=$(1) --mypy_out=quiet:$(1) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(PROTO_FILES)
ARGS ?=

##@ Use

.PHONY: help
help: ## Show this text
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Arguments go through ARGS: make demo ARGS="--for 60", make test ARGS="tests/unit -k masking"'

.PHONY: setup
setup: $(STAMPS)/packages models sample ## Fetch and install everything, once (.venv, models, sample video)

.PHONY: demo
demo: setup ## Run the whole mesh on real street video, with the console
	@$(BIN)/argo demo $(ARGS)

# Most tests wait for other processes; more of these want more memory, not only more cores.
TEST_PROCESSES ?= 2

.PHONY: test
test: setup ## Run the tests
	@$(BIN)/python -m pytest -m 'not slow' --numprocesses $(TEST_PROCESSES) --no-loadscope-reorder $(ARGS)

.PHONY: soak
soak: setup ## Run the tests that take minutes: every fault of a camera against the whole mesh
	@$(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: bench
bench: setup $(BENCH_VENV)/.made ## Measure ARGO against its peers in the same run
	@BENCH_PYTHON="$(CURDIR)/$(BENCH_VENV)/bin/python" $(BIN)/python -m bench $(ARGS)

##@ Set-up, step by step

$(STAMPS)/venv:
	@if [ -z "$(PYTHON)" ]; then \
		echo 'setup: no Python 3.11 or newer was found on the PATH.' >&2; \
		echo '       Install one (Debian 12: apt-get install python3 python3-venv) or name it: make setup PYTHON=/path/to/python3' >&2; \
		exit 1; fi
	@echo "setup: virtual environment $(VENV) with $$($(PYTHON) --version)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'setup: the module venv is missing. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/requirements: $(STAMPS)/venv requirements/runtime.txt requirements/dev.txt
	@echo 'setup: Python packages, by version and hash (about 800 MB the first time)'
	@$(BIN)/python $(PIP_INSTALL) -r requirements/runtime.txt -r requirements/dev.txt || { \
		echo 'setup: the packages could not be installed; the reason stands above.' >&2; \
		echo '       Without a network: connect once and run make setup again. What is already there is kept.' >&2; exit 1; }
	@touch $@

# The build backend is among the requirements: nothing is fetched here.
$(STAMPS)/packages: $(STAMPS)/requirements pyproject.toml
	@echo 'setup: argo itself, editable'
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: models
models: $(STAMPS)/packages ## Fetch and verify the models (needs npm the first time)
	@$(BIN)/argo-models pull

.PHONY: sample
sample: $(STAMPS)/packages ## Fetch and verify the sample video (needs apt the first time)
	@$(BIN)/python -m mesh.local.sample || \
		echo 'setup: going on without the sample video; name your own: make demo ARGS="--source FILE_OR_RTSP_URL"' >&2

$(BENCH_VENV)/.made: $(STAMPS)/venv requirements/bench.txt
	@echo 'setup: the peers of the benchmarks, in $(BENCH_VENV)'
	@[ -x $(BENCH_VENV)/bin/python ] || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) -r requirements/bench.txt
	@touch $@

##@ Work on it

.PHONY: lint
lint: lint-python lint-types lint-imports lint-protos lint-docker lint-chart ## Run every linter

.PHONY: lint-python
lint-python: $(STAMPS)/packages ## ruff: rules and format
	@echo 'lint: ruff'
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo 'lint: run make format' >&2; exit 1; }

.PHONY: lint-types
lint-types: $(STAMPS)/packages ## mypy --strict
	@echo 'lint: mypy'
	@$(BIN)/mypy $(CODE)

.PHONY: lint-imports
lint-imports: $(STAMPS)/packages ## Who may import whom
	@echo 'lint: import-linter'
	@$(BIN)/lint-imports --no-cache

.PHONY: lint-protos
lint-protos: $(STAMPS)/packages $(STAMPS)/image.binpb ## buf lint, buf breaking, generated code up to date
	@echo 'lint: buf'
	@$(BIN)/buf lint $(STAMPS)/image.binpb --config protos/buf.yaml
	@$(BIN)/buf breaking $(STAMPS)/image.binpb --against protos/released.binpb --exclude-imports --config protos/buf.yaml
	@rm -rf $(STAMPS)/gen && mkdir $(STAMPS)/gen
	@$(call GENERATE,$(STAMPS)/gen)
	@diff -r -x __pycache__ $(STAMPS)/gen protos/gen || { echo 'lint: protos/gen is not what the .proto files say: run make protos' >&2; exit 1; }

.PHONY: lint-docker
lint-docker: $(STAMPS)/packages ## hadolint
	@echo 'lint: hadolint'
	@$(BIN)/hadolint --config .hadolint.yaml Dockerfile

.PHONY: lint-chart
lint-chart: $(STAMPS)/packages ## The chart: schema, renders, Kubernetes' own schemas
	@echo 'lint: helm/argo'
	@$(BIN)/python -m pytest --quiet --no-header -p no:randomly tests/chart

.PHONY: format
format: $(STAMPS)/packages ## Let ruff rewrite what it can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

.PHONY: protos
protos: $(STAMPS)/requirements ## Generate protos/gen from the .proto files
	@rm -rf protos/gen && mkdir -p protos/gen
	@$(call GENERATE,protos/gen)
	@echo "protos: $$(find protos/gen -type f | wc -l) files generated from $(words $(PROTO_FILES))"

$(STAMPS)/image.binpb: $(PROTO_FILES) | $(STAMPS)/requirements
	@$(PROTOC) --include_imports --include_source_info --descriptor_set_out=$@ $(PROTO_FILES)

.PHONY: protos-release
protos-release: $(STAMPS)/image.binpb ## At a release: what buf breaking compares with from now on
	@cp $(STAMPS)/image.binpb protos/released.binpb

.PHONY: chart-golden
chart-golden: $(STAMPS)/packages ## Write tests/chart/golden anew, to be read in the diff
	@WRITE_GOLDEN=1 $(BIN)/python -m pytest --quiet --no-header tests/chart/test_golden.py

# The lock files name versions and hashes only: where packages come from is the business of the machine that installs.
LOCK := CUSTOM_COMPILE_COMMAND='make requirements' ../$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --no-build-isolation

.PHONY: requirements
requirements: $(STAMPS)/requirements ## Lock requirements/ again, from its .in files and the extras of pyproject.toml
	@cd requirements && for name in build runtime dev bench; do \
		echo "lock: $$name" && $(LOCK) --output-file $$name.txt $$name.in || exit 1; done
	@cd requirements && for service in registry camera-gateway detector anonymizer alerting; do \
		echo "lock: $$service" && extra="--extra $$service"; [ $$service != detector ] || extra="$$extra --extra cuda"; \
		$(LOCK) --constraint runtime.txt $$extra --output-file $$service.txt ../pyproject.toml || exit 1; done

.PHONY: clean
clean: ## Remove caches and what runs left behind; keeps .venv, models/ and data/
	@rm -rf .argo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

.PHONY: clean-all
clean-all: clean ## Remove everything that `make setup` fetched, too
	@rm -rf $(VENV) $(BENCH_VENV) models data node_modules
