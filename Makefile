# The two commands of the README are `make demo` and `make test`; `make help` lists the others.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench-unattended bench-linear bench-selection bench-network bench-tracking honesty bench-peers bench-scaling docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(READY) ## install into .venv and run the study breast_cancer to its verdict
	$(BIN)/autoreg run breast_cancer

test: $(READY) lint ## check style and types, and run all tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(READY) ## check style and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PEERS is the Python of an environment with glmnet and adelie: see benchmarks/linear.py.
bench-linear: $(READY) ## time linear paths against other libraries (PEERS=python of theirs)
	$(BIN)/python benchmarks/linear.py --write benchmarks/results/linear.md \
		$(if $(PEERS),--peers $(PEERS))

# DATA is a folder of real data sets: see REAL in benchmarks/selection.py.
bench-selection: $(READY) ## measure what selecting gains and costs (DATA=folder of real sets)
	$(BIN)/python benchmarks/selection.py --write benchmarks/results/selection.md \
		$(if $(DATA),--data $(DATA))

honesty: $(READY) ## measure whether intervals, alarms and scores are honest (within an hour)
	$(BIN)/python benchmarks/honesty.py --resume mlruns/honesty.jsonl \
		--write benchmarks/results/honesty.md

bench-network: $(READY) ## time stacked networks against skorch (PEERS=python that has it)
	$(BIN)/python benchmarks/network.py --write benchmarks/results/network.md \
		$(if $(PEERS),--peers $(PEERS))

bench-tracking: $(READY) ## time writing to MLflow (PEERS=python that has optuna-integration)
	$(BIN)/python benchmarks/tracking.py --write benchmarks/results/tracking.md \
		$(if $(PEERS),--peers $(PEERS))

bench-peers: $(READY) ## compare with other libraries (DATA=folder of real sets; resumes)
	$(BIN)/python benchmarks/peers.py --data $(DATA) --resume mlruns/peers.jsonl \
		--write benchmarks/results/peers.md

bench-scaling: $(READY) ## time one study spread over workers, jobs, Dask nodes and PostgreSQL
	$(BIN)/python benchmarks/scaling.py --write benchmarks/results/scaling.md

docs: $(READY) ## build the documentation site into site/ (FIGURES=no: without effects)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	AUTOREG_FIGURES=$(FIGURES) $(BIN)/mkdocs build --strict

# DATA is a folder of real data sets, with bike_hour and an INDEX.tsv.
# SMALL are sets of which two dozen networks take half a minute each.
SMALL := hitters credit_isl saheart la_ozone bdims star98 tv_autompg tv_breastcancer \
	tv_concreteslump triazines pyrim sonar diabetes_pima bodyfat pbc pwlinear

bench-unattended: $(READY) ## live a year of weekly ticks; count trials cold and warm (DATA=folder)
	$(BIN)/python benchmarks/year.py --data $(DATA) --write benchmarks/results/year.md
	$(BIN)/python benchmarks/warm_start.py --data $(DATA) --write benchmarks/results/warm_start.md
	$(BIN)/python benchmarks/warm_start.py --data $(DATA) --space network --only $(SMALL) \
		--write benchmarks/results/warm_start_networks.md

clean: ## remove the environment and caches; studies under mlruns/ stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

# torch comes first and by its exact version: a looser requirement may pull a build for GPUs
# that is many times larger.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@
