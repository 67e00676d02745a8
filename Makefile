# From a fresh clone `make book` does everything; `make` alone lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
CORES  ?= 2
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.mixflow-installed
SNAKEMAKE := $(BIN)/snakemake --workflow-profile workflow/profiles/local --cores $(CORES)

.DEFAULT_GOAL := help
.PHONY: help env book runs test lint types check clean

help:  ## list the targets
	@echo "make TARGET, with"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 10
	@echo "variables: PYTHON=$(PYTHON) VENV=$(VENV) CORES=$(CORES) PROFILE=smoke (of runs)"

env: $(STAMP)  ## install mixflow, its companion and tools into .venv

define INSTALLING
First mixflow, its companion and tools are installed into $(VENV), once and when the pins change:
  download  0.4 GB from PyPI with a CPU build of PyTorch; on Linux pip takes the CUDA build,
            3 GB in all. For the smaller one stop here (Ctrl-C), then
            PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make $(MAKECMDGOALS)
  disk      1.8 GB with the CPU build
  time      a minute and a half, and that of the download; pip's words: $(VENV)/install.log
No data set is downloaded, now or for the book.
endef
define NOT_INSTALLED
Nothing was installed anew. Mend what the last lines name, then make $(MAKECMDGOALS) again; without
a network, from a folder of wheels: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER make $(MAKECMDGOALS)
endef
export INSTALLING NOT_INSTALLED
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# torch first and by plain pip: resolved together with the rest it may come as a CUDA build.
$(STAMP): pyproject.toml companion/pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mixflow needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=...")'
	@echo "$$INSTALLING"
	@test -x $(BIN)/pip || "$(PYTHON)" -m venv $(VENV)
	@{ $(PIP) torch && $(PIP) -e . -e 'companion[book,slurm,test,dev]'; } > $(VENV)/install.log 2>&1 || \
	  { echo "$$NOT_INSTALLED"; grep ERROR $(VENV)/install.log | tail -n 3; exit 1; }
	@# Finds the fonts, so that no page has to.
	@$(BIN)/python -c 'import matplotlib.font_manager'
	@touch $@

# OFFLINE=1: every page anew, without network, data sets and caches, as CI does.
book: env  ## execute the notebooks and build the book
	@$(BIN)/python workflow/book.py --cores $(CORES) $(if $(OFFLINE),--offline)

PROFILE ?= smoke
runs: env  ## run every experiment: make runs PROFILE=laptop
	$(SNAKEMAKE) runs --config profile=$(PROFILE)

# A file's tests stay with one process, which its fixtures are made for, and on one thread.
test: env  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile

lint: env  ## style: ruff check and ruff format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env  ## types: mypy
	$(BIN)/mypy

check: env  ## stored results, targets, commands in the pages, notebooks, figures
	$(BIN)/mixflow check

clean:  ## remove what was built; results and the environment stay
	rm -rf _build book/executed .snakemake .mypy_cache .ruff_cache .pytest_cache
