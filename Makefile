# On a fresh Debian or Ubuntu with Python >= 3.11, `make demo` and `make test` set up all they need, once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench clean

# To be set on the command line: make test PYTHON=python3.12 PYTEST_ARGS="-k bytetrack"
PYTHON      ?=
PIP_ARGS    ?=
DEMO_ARGS   ?=
PYTEST_ARGS ?=
VIDEO       ?=
POSE        ?=
DETECTOR    ?=
VENV        ?= .venv

BIN   := $(VENV)/bin
READY := $(VENV)/.ready

help:  ## list what make can do here (this is what a bare `make` does)
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@echo
	@echo 'With PYTHON=python3.12, PIP_ARGS="...", DEMO_ARGS="...", PYTEST_ARGS="..." or VENV=folder where needed.'

setup: $(READY)  ## make the virtual environment and install everything into it

demo: $(READY)  ## show what Kinestream does, without a camera or a video of yours
	@$(BIN)/kinestream demo $(DEMO_ARGS)

# Files of tests run side by side, but for those of live sources, which look at the clock. Those of trainings have
# processes of their own: PyTorch's threads and its choice of algorithms are set there for good. With PYTEST_ARGS a
# part may have no test (code 5).
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile --max-worker-restart 0
LIVE         := tests/faults tests/live

test: $(READY)  ## run all tests
	@.ci/test-packages
	@status=0; for part in '$(SIDE_BY_SIDE) $(patsubst %,--ignore=%,$(LIVE) tests/training) tests' \
	        '$(LIVE)' '$(SIDE_BY_SIDE) tests/training'; do \
	    $(BIN)/python -m pytest $$part $(PYTEST_ARGS) || { code=$$?; [[ $$code == 5 ]] || status=$$code; }; \
	done; exit $$status

check: $(READY)  ## lint, format, types, and the rules of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_architecture.py

bench: $(READY)  ## measure this machine; VIDEO=street.mp4 POSE=yolo-pose-model DETECTOR=yolo-model for whole runs too
	@taskset -c 0 $(BIN)/python benchmarks/engine.py
	@if [ -n '$(VIDEO)$(POSE)' ]; then $(BIN)/python benchmarks/run.py --video '$(VIDEO)' --pose '$(POSE)'; fi
	@$(BIN)/python benchmarks/pose.py $(if $(DETECTOR),--video '$(VIDEO)' --detector '$(DETECTOR)')

clean:  ## delete the virtual environment and all caches; models and runs stay
	rm -rf $(VENV) build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Older than pyproject.toml, whose dependencies may have changed: then pip looks again.
$(READY): pyproject.toml
	@PYTHON='$(PYTHON)' VENV='$(VENV)' .ci/setup $(PIP_ARGS)
	@touch $@
