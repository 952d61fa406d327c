# Everything happens in a virtual environment, .venv, in this folder.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench fuzz lock clean

demo: .venv/.runtime
	@scripts/system-tools mesh
	@$(BIN)/python examples/demo/tour.py

test: .venv/.development
	@scripts/system-tools mesh tests browser
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest

lint: .venv/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

# Tries properties with examples that no test has seen; what it finds goes into a test.
fuzz: .venv/.development
	@scripts/system-tools mesh tests
	$(BIN)/python -m pytest --hypothesis-profile=search $$(grep -rl '@given' tests --include='test_*.py' | grep -v tests/live)

bench: .venv/.runtime
	@scripts/system-tools mesh bench
	@$(BIN)/python -m bench

# The lock files pin every package, with hashes, for all supported versions of Python.
lock: .venv/.development
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --quiet -o requirements-dev.lock

.venv/bin/python:
	@scripts/system-tools python
	@$(PYTHON) -m venv .venv

.venv/.runtime: .venv/bin/python requirements.lock pyproject.toml
	@echo "installing Lateen into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.development: .venv/.runtime requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
