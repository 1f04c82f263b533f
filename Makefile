# The two commands: `make run` starts LiveMask, `make test` runs every test. Both set everything up first.
#   make setup   .venv with every dependency, and the system libraries Qt needs on Linux
#   make lint    ruff, mypy and the import rules
#   make docs    the Python API as web pages, in docs/api
# Another Python (3.10 or newer):  make run PYTHON=python3.12

PYTHON ?= python3
VENV   ?= .venv

ifeq ($(OS),Windows_NT)
  VENV_PYTHON := $(VENV)/Scripts/python.exe
else
  VENV_PYTHON := $(VENV)/bin/python
endif
STAMP := $(VENV)/.requirements-installed

.PHONY: help setup run test lint docs system-libraries
.DEFAULT_GOAL := help

help:
	@sed -n '1,5s/^# \{0,1\}//p' Makefile

setup: $(STAMP) system-libraries

# The stamp makes the second call quick: pip runs again only when a requirements file changes.
$(STAMP): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "LiveMask needs Python 3.10 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
	  { echo "This Python cannot make virtual environments. Please run:  sudo apt-get install -y python3-venv"; exit 1; }
	@echo "Creating $(VENV) and installing the requirements (PyTorch is large, this takes some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV_PYTHON) -m pip install --quiet -r requirements-dev.txt
	@touch $@

# Installs when root on Debian or Ubuntu, prints the exact command otherwise; a Wayland desktop may do without some, so
# this warns and goes on.
system-libraries:
	@$(PYTHON) -m engine.system_libraries --install || true

run: setup
	@$(VENV_PYTHON) main.py $(ARGS)

test: $(STAMP)
	@$(PYTHON) -m engine.system_libraries --install --for-tests
	QT_QPA_PLATFORM=offscreen $(VENV_PYTHON) -m pytest $(ARGS)

# The names of `engine` load themselves when they are asked for, which pdoc does not do.
docs: $(STAMP)
	$(VENV_PYTHON) -c "from engine import *; import pathlib, pdoc; pdoc.pdoc('engine', 'models', output_directory=pathlib.Path('docs/api'))"

lint: $(STAMP)
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy
	$(VENV)/bin/lint-imports
