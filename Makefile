# `make dev` runs the product, `make check` is what CI runs. Needs python3 ≥ 3.11, pip and make.
PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
# Starting a process is several times faster when its modules are compiled once.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup dev test check format bench chaos mutants openapi docs clients

setup: .venv/ready

.venv/ready: pyproject.toml devtools/pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3 3.11 or newer is needed")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --locked --inexact --compile-bytecode --no-python-downloads
	@touch $@

dev: setup
	@$(BIN)/portal dev

# All tests but the long proofs, with few drawn examples; `make check` adds the proofs, and draws a hundred.
# Three on two cores, because many wait for something. Only one module, of proofs, uses schemathesis, whose
# import costs each of the four processes a second.
test: setup
	$(BIN)/pytest -n 3 --dist worksteal -m 'not proof' --hypothesis-profile few \
		-p no:schemathesis --ignore tests/journeys/test_any_request.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: setup
	$(BIN)/portal openapi > openapi/portal.json

# The page of all settings, from their descriptions.
docs: setup
	$(BIN)/portal config > docs/configuration.md

bench: setup
	$(BIN)/python -m bench

# For example: make chaos MINUTES=1 SEED=7
chaos: setup
	$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

mutants: setup
	@UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --quiet --locked --inexact --group mutation
	@rm -rf mutants
	$(BIN)/python -m bench.mutants

# What linters say of the document, and whether generated clients compile; skips itself without Node.js.
clients: setup
	@openapi/check.sh

check: setup clients
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@! grep -oE 'https?://[^/"]+' uv.lock | sort -u | grep -vE '^https://(pypi\.org|files\.pythonhosted\.org)$$'
	$(BIN)/portal openapi | diff -u openapi/portal.json -
	$(BIN)/portal config | diff -u docs/configuration.md -
	$(MAKE) --no-print-directory test
	$(BIN)/pytest -n 2 --dist worksteal -m '(proof or hypothesis) and not alone'
	$(BIN)/pytest -m alone
