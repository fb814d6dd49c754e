# SPDX-License-Identifier: Apache-2.0
# One command each. The first makes its own virtual environment: all it needs is Python 3.11 or newer, a C compiler and make.
#
#     make demo     a handshake step by step, and what it and bulk data cost beside the standard ssl module
#     make test     the tests (MARKS=slow for the slow ones; ARGS= for more pytest arguments)
#     make interop  the tests against other people's TLS stacks
#     make cpython  CPython's own tests of ssl and of what is built on it, with our context in the place of the standard one
#     make check    formats, linters, types, C self-tests under sanitizers, tests
#     make ct       constant time: secrets followed through every branch and index
#     make ct-rsa   a t-test over the times of static RSA's failures: a report
#     make qemu     the C self-tests on other architectures
#     make fuzz     every fuzz target for FUZZ_SECONDS
#     make bench    throughput, handshakes, threads and memory beside other libraries, in ratios (bench-each: under pytest-benchmark;
#                   bench-programs: contexts, the drop-in, asyncio and uvicorn alone)
#     make cbench   nanoseconds and GB/s of each implementation in C
#     make icount   instructions of handshakes and small records, under callgrind
#     make fmt      format everything
#     make dist     an sdist and a wheel, tried in clean environments
#
# PYTHON names the interpreter; each version then has an environment of its own, under build/.

ifdef PYTHON
VENV ?= build/venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d%s" % (*sys.version_info[:2], sys.abiflags))' 2>/dev/null || echo none)
endif
VENV ?= .venv
export PYTHON

BIN := $(VENV)/bin
MARKS ?= not interop and not slow
FUZZ_SECONDS ?= 300
ARGS ?=

C_FILES := $(sort $(shell find csrc -name '*.[ch]'))
C_STYLED = $(sort $(shell find csrc tests $(wildcard fuzz) -name "*.[ch]"))
PY_STYLED := setup.py build_ffi.py tlsfast tests tools $(wildcard bench) $(wildcard fuzz)

.PHONY: demo test interop cpython check fmt-check lint types c-test ct ct-rsa qemu fuzz bench bench-programs bench-each bench-docs cbench icount fmt dist build clean

demo: build
	@$(BIN)/tlsfast demo $(ARGS)

test: build
	$(BIN)/python -m pytest -q -m "$(MARKS)" $(ARGS)

interop: build $(VENV)/.with-interop build/sslyze-venv/bin/sslyze
	$(BIN)/python -m pytest -q -m interop $(ARGS)

cpython: build
	$(BIN)/python tests/cpython/run.py $(ARGS)

# A peer that needs an older cryptography than ours.
build/sslyze-venv/bin/sslyze: | $(VENV)/.ready
	$(BIN)/python -m venv build/sslyze-venv
	build/sslyze-venv/bin/python -m pip install -q 'sslyze>=6.1'

check: fmt-check lint types c-test test

fmt-check: $(VENV)/.with-dev
	$(BIN)/clang-format --dry-run --Werror $(C_STYLED)
	$(BIN)/ruff format --check -q $(PY_STYLED)

lint: $(VENV)/.with-dev
	$(BIN)/ruff check -q $(PY_STYLED)

types: build $(VENV)/.with-dev
	$(BIN)/mypy

# Under sanitizers, then as the extension is compiled.
c-test:
	@sh tests/c/run_sanitize.sh
	@rm -rf build/c && mkdir -p build/c
	@cd build/c && $(CC) -std=c11 -O3 -fno-strict-aliasing -c $(addprefix ../../,$(filter %.c,$(C_FILES)))
	@for test in tests/c/test_*.c; do \
	    program=build/c/$$(basename $$test .c); \
	    $(CC) -std=c11 -O3 $$test build/c/*.o -o $$program && said=$$($$program) || { echo "FAIL  native $$test"; exit 1; }; \
	    echo "ok    native $$(basename $$test): $$(echo "$$said" | tail -n 1)"; \
	done

ct:
	@sh tests/c/run_ct.sh

ct-rsa: build
	$(BIN)/python tests/ct_rsa.py $(ARGS)

qemu:
	@sh tests/c/run_qemu.sh

fuzz: build $(VENV)/.with-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) sh fuzz/run_libfuzzer.sh
	@for target in $(wildcard fuzz/fuzz_*.py); do \
	    echo "== $$target"; \
	    $(BIN)/python $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

bench: build $(VENV)/.with-bench
	$(BIN)/python bench/ratios.py --json build/bench.json $(ARGS)
	$(if $(ARGS),,$(BIN)/python bench/stdlib.py --json build/bench.json)

# Contexts, the drop-in, asyncio and uvicorn beside the standard library alone.
bench-programs: build $(VENV)/.with-bench
	$(BIN)/python bench/stdlib.py --json build/bench-programs.json $(ARGS)

bench-each: build $(VENV)/.with-bench
	$(BIN)/python -m pytest -q bench --benchmark-max-time=0.2 $(ARGS)

# From the figures in docs/bench.json: copy build/bench.json there when it shall be what the README says.
bench-docs:
	$(BIN)/python bench/render.py docs/bench.json

cbench:
	@sh bench/cbench.sh $(ARGS)

icount: build
	$(BIN)/python bench/icount.py $(ARGS)

fmt: $(VENV)/.with-dev
	$(BIN)/clang-format -i $(C_STYLED)
	$(BIN)/ruff check -q --fix $(PY_STYLED)
	$(BIN)/ruff format -q $(PY_STYLED)

dist: build
	rm -rf dist
	$(BIN)/python -m build
	TLSFAST_DIST=dist $(BIN)/python -m pytest -q -m slow tests/test_packaging.py $(ARGS)

build: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml setup.py build_ffi.py tools/bootstrap.sh $(C_FILES)
	@sh tools/bootstrap.sh $(VENV) cli test
	@touch $@

$(VENV)/.with-%: pyproject.toml | $(VENV)/.ready
	@sh tools/bootstrap.sh --extra $(VENV) $*
	@touch $@

clean:
	rm -rf build dist *.egg-info tlsfast/_native.c tlsfast/_native*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .coverage
	rm -f $(VENV)/.ready $(VENV)/.installed
	find tlsfast tests tools bench fuzz -name __pycache__ -prune -exec rm -rf {} +
