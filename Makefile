# Two commands set a fresh machine up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt

# Some images switch bytecode off; then every process compiles torch anew, which takes it five seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint bench docs format clean

# Each stamp is one installation, made again when what it installs has changed.
$(VENV)/uv.stamp:
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet uv
	@touch $@

$(VENV)/demo.stamp: $(VENV)/uv.stamp pyproject.toml constraints.txt
	@echo "installing unconfound (torch and its libraries: up to 5 GB on the first machine, then cached)"
	@$(UV) --editable '.[images]'
	@touch $@

$(VENV)/test.stamp: $(VENV)/uv.stamp pyproject.toml constraints.txt
	@echo "installing unconfound with all extras and the tools of its tests (up to 5 GB, then cached)"
	@$(UV) --editable '.[all,dev]'
	@touch $@ $(VENV)/demo.stamp

$(VENV)/bench.stamp: $(VENV)/test.stamp
	@echo "installing the libraries that the benchmarks compare with"
	@$(UV) --editable '.[all,dev,bench]'
	@touch $@

demo: $(VENV)/demo.stamp  ## the main job on built-in data, in a few minutes
	@$(BIN)/unconfound demo --overwrite

test: $(VENV)/test.stamp  ## the tests, on two cores under ten minutes
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

lint: $(VENV)/test.stamp  ## style and types
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy

bench: $(VENV)/bench.stamp  ## side-by-side timings against peers
	@$(BIN)/python -m benchmarks

docs: $(VENV)/test.stamp  ## the docs site, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the site is in site/: open site/index.html"

format: $(VENV)/test.stamp
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean:
	rm -rf $(VENV) site dist build
