# Two commands do everything on a fresh clone (Rust, a C compiler, Python ≥ 3.11):
#
#   make demo    the main job on real input
#   make test    everything that continuous integration checks
#
# .venv always holds the release build. Stamps inside it say what is installed, so that a second
# run builds nothing; they hang on the sources, so that a change does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := .ci/install $(BIN)/python
WHEELS := target/wheels
RELEASE := target/release-dist

# The interpreter of .venv: the newest one that works, or yours by `make PYTHON=…`.
PYTHON ?=

# pyo3's build script asks an interpreter; the one of .venv is known to run. The second variable
# says that an extension module is built, which links no libpython.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python
export PYO3_BUILD_EXTENSION_MODULE := 1

NATIVE := $(shell find crates/proto crates/core crates/py -name '*.rs' -o -name '*.py' -o -name Cargo.toml)
PACKAGES := $(shell find python -type f -not -name '*.pyc')
SOURCES := $(NATIVE) $(PACKAGES) Cargo.toml Cargo.lock pyproject.toml README.md LICENSE
# A file that is gone is newer than nothing, hence the list itself in the stamp's name; and a wheel that
# was optimized otherwise is another one.
SHAPE := $(firstword $(shell echo $(sort $(SOURCES)) $(CARGO_PROFILE_RELEASE_LTO) | cksum))
INSTALLED := $(VENV)/.installed-$(SHAPE)

# The steps of `make test`, in the order in which they run: cheap ones first.
TEST_STEPS := test-rustfmt test-ruff test-mypy test-repository test-workflows test-clippy test-features \
	test-package test-rustdoc test-site test-wheel test-dist test-rust test-stubs test-python \
	test-grpcio test-python-3.10 test-python-3.11 test-python-3.12 test-python-3.13 test-python-3.13t

# --- the commands ---------------------------------------------------------------------------------

.PHONY: demo
demo: $(INSTALLED) $(VENV)/.group-demo  ## train and classify handwritten digits in two workers
	@$(BIN)/python examples/digits/demo.py

.PHONY: test
test: steps-begin $(TEST_STEPS)  ## everything that continuous integration checks
	@printf '\n'; cat target/steps
	@for version in 3.10 3.11 3.12 3.13; do \
		grep -q "Python $$version" target/steps || { echo "no step for Python $$version"; exit 1; }; \
	done; printf 'all steps passed\n'

.PHONY: build
build: $(INSTALLED)  ## build the release wheel and install it into .venv

.PHONY: lint
lint: test-rustfmt test-repository test-workflows test-clippy test-ruff test-mypy  ## the static checks alone

.PHONY: format
format: $(VENV)/.group-lint  ## let the formatters have their way
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

.PHONY: bench
bench: $(INSTALLED) $(VENV)/.group-bench  ## beside the rivals, in one run: table, JSON, picture
	@cargo build --quiet --release --locked --package snakepit-testkit --bin bench-host
	@$(BIN)/python benches/side_by_side.py --passes 5

.PHONY: soak
soak: $(INSTALLED)  ## every fault of docs/faults.md at its full count (some 20 minutes, best as root)
	@$(BIN)/python benches/soak.py

.PHONY: reliability
reliability: $(VENV)/.made  ## write the README's section "How reliable" from the two records
	@$(BIN)/python benches/reliability.py

.PHONY: bench-codec
bench-codec: $(INSTALLED) $(VENV)/.group-bench  ## the value codec beside msgspec
	@$(BIN)/python benches/codec.py

.PHONY: bench-data
bench-data: $(INSTALLED) $(VENV)/.group-bench $(VENV)/.group-rivals  ## large data beside a copy in one process, and others
	@$(BIN)/python benches/data.py --record benches/results

.PHONY: bench-telemetry
bench-telemetry: $(INSTALLED) $(VENV)/.group-bench  ## what handlers of events cost
	@$(BIN)/python benches/telemetry.py --record benches/results

.PHONY: bench-rust
bench-rust: $(INSTALLED)  ## criterion: dispatch, mux, codec, end to end
	cargo bench --package snakepit-testkit

.PHONY: bench-faults
bench-faults: $(INSTALLED) $(VENV)/.group-rivals  ## what a fault does to us and to the rivals: table, JSON
	@$(BIN)/python benches/fault_matrix.py

.PHONY: chaos
chaos: $(INSTALLED) $(VENV)/.group-test  ## random calls and faults for SECONDS=600; SEED=… repeats a run
	@SNAKEPIT_TEST_PYTHON=$(CURDIR)/$(BIN)/python SNAKEPIT_CHAOS_SECONDS=30 \
		$(if $(SEED),SNAKEPIT_TEST_SEED=$(SEED)) \
		cargo test --quiet -p snakepit-examples --locked --test chaos -- --nocapture
	@cd tests && ../$(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) --seconds $(or $(SECONDS),600)

.PHONY: bench-instructions
bench-instructions: $(VENV)/.made  ## instruction counts (needs valgrind); AGAINST=origin/main compares
	@$(BIN)/python benches/instructions.py $(if $(AGAINST),--against $(AGAINST))

# Needs a nightly compiler and `cargo install cargo-fuzz`. What is shipped is what is fuzzed, hence
# the lock file. SECONDS is bash's own, too: make's is meant.
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
.PHONY: fuzz
fuzz: SECONDS := 60
fuzz:  ## each fuzz target for SECONDS=60
	cp Cargo.lock fuzz/Cargo.lock
	python3 fuzz/seeds.py unpack
	@cd fuzz; for target in $(FUZZ_TARGETS); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(SECONDS) -max_len=4096 -timeout=30 \
			-print_final_stats=1; \
	done

.PHONY: proto
proto:  ## generate the protobuf code from proto/
	cargo xtask codegen

.PHONY: dist-test
dist-test: $(VENV)/.group-release $(VENV)/.group-dist  ## build this machine's part of a release, check it, try it (minutes)
	rm -rf $(RELEASE)
	scripts/build-wheels.sh manylinux-$$(uname -m)
	scripts/build-wheels.sh bridge
	scripts/build-wheels.sh sdist
	scripts/check-dist.sh $(RELEASE) --release
	scripts/try-dist.sh $(RELEASE) $$(for version in 3.11 3.12 3.13; do \
		.ci/find-python $$version || true; done)
	scripts/try-dist.sh --sdist $(RELEASE) $(BIN)/python

.PHONY: audit
audit: $(VENV)/.group-audit  ## licences and known vulnerabilities of what we depend on
	scripts/supply-chain.sh crates
	scripts/supply-chain.sh packages

.PHONY: site
site: $(VENV)/.group-docs  ## the guides and the Python reference, into target/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo target/site/index.html

.PHONY: docs
docs: $(VENV)/.made  ## the Rust documentation, into target/doc
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

.PHONY: clean
clean:  ## remove all that was built or installed here
	rm -rf target $(VENV) .venvs .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		examples/node-worker/node_modules
	find python tests examples benches -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- what is installed ----------------------------------------------------------------------------

# pip 25.1 brought --group; the pip that comes with an older Python has no such option.
$(VENV)/.made:
	python="$(PYTHON)"; "$${python:=$$(.ci/find-python)}" -m venv --clear $(VENV)
	$(PIP) install --upgrade 'pip>=25.1' 'uv>=0.9'
	@touch $@

$(VENV)/.group-%: pyproject.toml $(VENV)/.made
	$(INSTALL) --group $*
	@touch $@

$(WHEELS)/.built-$(SHAPE): $(SOURCES) $(VENV)/.group-build
	rm -rf $(WHEELS)
	$(BIN)/maturin build --release --locked --interpreter $(BIN)/python --out $(WHEELS)
	$(PIP) wheel --no-deps --wheel-dir $(WHEELS) ./python
	@touch $@

$(INSTALLED): $(WHEELS)/.built-$(SHAPE)
	@rm -f $(VENV)/.installed-*
	UV_COMPILE_BYTECODE=1 $(INSTALL) --reinstall --no-deps $(WHEELS)/*.whl
	@touch $@

# --- the steps of `make test` ---------------------------------------------------------------------

.PHONY: steps-begin $(TEST_STEPS)
steps-begin:
	@mkdir -p target; rm -f target/steps

test-rustfmt:
	@.ci/step "rustfmt" cargo fmt --all --check

test-repository:
	@.ci/step "generated code is current" cargo xtask codegen --check
	@.ci/step "layers" cargo xtask layers
	@.ci/step "versions" cargo xtask versions

test-workflows: $(VENV)/.group-lint
	@.ci/step "workflows are valid" $(BIN)/python -m check_jsonschema \
		--builtin-schema vendor.github-workflows .github/workflows/*.yml
	@.ci/step "workflows are safe" $(BIN)/zizmor --offline --quiet .github/workflows

test-clippy: $(VENV)/.made
	@.ci/step "clippy" cargo clippy --workspace --all-targets --features snakepit-testkit/instructions --locked -- -D warnings

# The published crate with no feature; `cargo test` has some, and test-package all.
test-features:
	@.ci/step "crate snakepit without features" cargo check -p snakepit --locked --no-default-features

# One build for all that Rust tests: the core, the kit, and (against the wheel) Python workers called
# from Rust, the example programs, the Rust of the guides. The bindings are a library for an
# interpreter to load: no test program can link them. Many tests wait more than they compute.
test-rust: $(INSTALLED)
	@RUST_TEST_THREADS=4 SNAKEPIT_TEST_PYTHON=$(CURDIR)/$(BIN)/python VIRTUAL_ENV=$(CURDIR)/$(VENV) \
		.ci/step "cargo test" cargo test --workspace --exclude snakepit-py \
		--features snakepit-testkit/failpoints,snakepit/arrow,snakepit/ndarray --locked

test-package:
	@.ci/step "crate snakepit as published, all features" scripts/check-package.sh

test-rustdoc: $(VENV)/.made
	@RUSTDOCFLAGS="-D warnings" .ci/step "rustdoc" \
		cargo doc --workspace --no-deps --document-private-items --locked

test-site: $(VENV)/.group-docs
	@NO_MKDOCS_2_WARNING=1 .ci/step "site" $(BIN)/mkdocs build --strict

test-wheel: $(VENV)/.made
	@.ci/step "release wheel in .venv" $(MAKE) --no-print-directory build

test-dist: $(INSTALLED) $(VENV)/.group-dist
	@.ci/step "distributions" scripts/check-dist.sh $(WHEELS)

test-ruff: $(VENV)/.group-lint
	@.ci/step "ruff check" $(BIN)/ruff check .
	@.ci/step "ruff format" $(BIN)/ruff format --check .

test-mypy: $(VENV)/.group-lint $(VENV)/.group-test $(VENV)/.group-docs
	@.ci/step "mypy --strict" $(BIN)/mypy --strict

test-stubs: $(INSTALLED) $(VENV)/.group-lint
	@.ci/step "stubtest of snakepit._core" $(BIN)/python -m mypy.stubtest snakepit._core

# Most tests wait for processes more than they compute: four at once use two cores.
PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal

test-python: $(INSTALLED) $(VENV)/.group-test $(VENV)/.group-demo $(VENV)/.group-examples
	@.ci/step "pytest on $$($(BIN)/python --version)" $(PYTEST) -m "not slow"

.PHONY: test-slow
test-slow: $(INSTALLED) $(VENV)/.group-test $(VENV)/.group-bench  ## what `make test` leaves out, and five minutes of chaos
	@$(PYTEST) -m slow
	@$(MAKE) --no-print-directory test-tensors
	@$(MAKE) --no-print-directory chaos SECONDS=300

.PHONY: test-tensors
test-tensors: $(INSTALLED) $(VENV)/.group-test  ## tensors of torch and jax, which it installs (gigabytes)
	@.ci/tensors

# What calls, streams, sessions and deaths are does not depend on the end of the line.
GRPCIO_TESTS := $(addprefix tests/pool/test_,$(addsuffix .py, \
	calls cancel death streams))
test-grpcio: $(INSTALLED) $(VENV)/.group-test
	@SNAKEPIT_LINE=grpcio .ci/step "pool over the grpcio end" $(PYTEST) -q $(GRPCIO_TESTS)

# Threads that compute at the same time: a wheel, an interpreter and a venv of their own.
.PHONY: build-python-3.13t
build-python-3.13t: $(INSTALLED)  ## build the wheel for free-threaded Python 3.13 (and that, once)
	@.ci/free-threaded build

test-python-3.13t: $(INSTALLED)
	@.ci/step "pytest on free-threaded Python 3.13" .ci/free-threaded

# A static pattern: make tries no implicit rule for a phony target.
$(filter-out %t,$(filter test-python-3.%,$(TEST_STEPS))): test-python-%: $(INSTALLED)
	@.ci/step "pytest on Python $*" .ci/other-python $*
