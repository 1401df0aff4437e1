# make run   installs into .venv and starts mtabounce
# make test  installs what the tests need, and runs every check
# Another Python than the first one found: make run PYTHON=/usr/bin/python3.12

# Tests wait for servers more than they work, so there are more processes than cores. The tests of a
# file stay together, for what they share. Files come in the order of their names (tests/live, with
# real servers, is among the first), so that the slow ones do not come last.
TESTS = $(RUN) pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder
# Now and then a real server misses a deadline of a test: what failed is tried once more, alone.
AGAIN = $(RUN) pytest --last-failed --last-failed-no-failures none

export PYTHON
RUN := .venv/bin/python -m
UV ?= uv
LOCK := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
  --generate-hashes --no-annotate --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help run install test check lint docs bench lock clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 14

run: install ## install into .venv and start the service
	@exec .venv/bin/mtabounce serve

install: ## install into .venv, from requirements.lock
	@scripts/install

test: ## install what the tests need, then lint, types, documents, all tests
	@scripts/install dev
	@scripts/test-setup
	@$(MAKE) --no-print-directory lint
	@$(TESTS) || $(AGAIN)

lint: ## ruff, its formatter, mypy
	@scripts/install dev
	@$(RUN) ruff check --quiet .
	@$(RUN) ruff format --check --quiet .
	@$(RUN) mypy

docs: install ## write the generated documents anew
	@$(RUN) docs.generate

bench: ## measure speed against the peers (minutes)
	@scripts/install dev
	@scripts/test-setup
	@for bench in bench/*; do [ -d "$$bench" ] || [ ! -x "$$bench" ] || .venv/bin/python "$$bench" || exit 1; done

lock: ## lock the newest versions that pyproject.toml allows (needs uv)
	@$(LOCK) --upgrade --extra embedded --group build --output-file requirements.lock
	@$(LOCK) --upgrade --extra embedded --group build --group dev \
	  --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove what the other targets made here
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
