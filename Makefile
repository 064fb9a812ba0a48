# `make demo` and `make test` set up everything that they need: a virtual environment in .venv, and Icarus Verilog.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help setup icarus compiler silicon demo bench accept test test-all lint layers types fmt docs clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(READY) icarus ## install everything, once

$(READY): pyproject.toml tools/setup.sh
	@bash tools/setup.sh venv "$(PYTHON)" $(VENV)
	@touch $@

icarus:
	@command -v iverilog >/dev/null && command -v vvp >/dev/null || bash tools/setup.sh icarus

compiler:
	@command -v g++ >/dev/null || bash tools/setup.sh compiler

silicon: $(READY) ## install what `hecaton synth` needs besides: Yosys and OpenSTA
	@command -v yosys >/dev/null && command -v sta >/dev/null || bash tools/setup.sh silicon

demo: setup ## run the main job: Verilog, co-simulation, calibration, projection
	$(BIN)/hecaton demo

bench: setup compiler ## measure simulation, generation and sweeps, each against its baseline: benchmarks/results
	$(BIN)/python -m benchmarks.simulation
	$(BIN)/python -m benchmarks.generation
	$(BIN)/python -m benchmarks.sweep

accept: setup compiler ## rerun what the project promises, each value beside its bound; CHECKS="NAME ..." for some
	$(BIN)/python -m benchmarks.accept $(CHECKS)

test: lint types icarus compiler ## lint, types, layers and all tests but the slow ones
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow"

test-all: lint types icarus compiler ## the same with the slow tests
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

lint: $(READY) layers ## style and layer rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

layers: $(READY)
	$(BIN)/lint-imports --no-cache --no-logo

types: $(READY) ## static types
	$(BIN)/mypy

fmt: $(READY) ## format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write the generated reference pages
	$(BIN)/python tools/docs.py

clean: ## remove what the targets above made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
