PYTHON ?= python3
VENV ?= .venv
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: test long lint docs claims bench ci

test: ## the README's tests; nothing has to be installed
	$(PYTHON) -m unittest discover -s tests -t .

long: ## tests that take minutes
	$(PYTHON) -m unittest discover -s tests/long -t . -p 'long_*.py'

lint: $(VENV)/bin/ruff ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: ## links, commands and examples of the docs, and the words
	$(PYTHON) -m unittest tests.test_docs tests.test_words

claims: ## write the generated table of claims into EXPERIMENTS.md
	trap 'rm -f EXPERIMENTS.claims EXPERIMENTS.new' EXIT; set -e; \
	$(PYTHON) replay_py/clawvm.py claims > EXPERIMENTS.claims; \
	sed -e '/<!-- claims: begin -->/r EXPERIMENTS.claims' \
		-e '/<!-- claims: begin -->/,/<!-- claims: end -->/{/<!-- claims: /!d;}' EXPERIMENTS.md > EXPERIMENTS.new; \
	mv EXPERIMENTS.new EXPERIMENTS.md

bench: ## the engine's cost per turn and operation
	$(PYTHON) workloads/benchmark_policy_engine.py

ci: ## everything
	.ci/run

$(VENV)/bin/ruff:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[dev]'
