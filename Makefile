# The few commands of a working day. CMake presets do the building; tools/bootstrap.sh the setting up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test build release lint format asan tsan clean

VENV := $(or $(HELIX_VENV),$(CURDIR)/.venv)
export HELIX_VENV := $(VENV)
export PATH := $(VENV)/bin:$(PATH)
JOBS ?= $(shell nproc)

# A compiler cache, where there is one, makes the second build quick.
CCACHE := $(shell command -v ccache 2>/dev/null)
ifneq ($(CCACHE),)
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z ]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## set up, build, and compress a real language model
	tools/bootstrap.sh demo
	$(MAKE) --no-print-directory release
	$(VENV)/bin/python tools/demo.py build/release/apps/cli/helix

test: ## set up, build, and run every test
	tools/bootstrap.sh test
	$(MAKE) --no-print-directory build
	ctest --preset dev --parallel $(JOBS)

build: ## build with tests, warnings are errors (build/dev)
	cmake --preset dev
	cmake --build --preset dev --parallel $(JOBS)

release: ## build what users build (build/release)
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS)

asan tsan: ## the C++ tests under a sanitizer: make asan, make tsan
	cmake --preset $@
	cmake --build --preset $@ --parallel $(JOBS)
	ctest --preset $@ --parallel $(JOBS)

lint: ## clang-tidy and ruff over the whole tree
	tools/bootstrap.sh test
	tools/lint.sh

format: ## clang-format and ruff write the style
	tools/bootstrap.sh test
	tools/format.sh

clean: ## remove builds and the demo's output, not the set-up
	rm -rf build demo
