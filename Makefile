# make demo   see mmemo work: environment, pinned install, the example clip analyzed, its report written
# make test   everything that must pass: ruff, mypy, import contracts, tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint format docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed-demo
	@mkdir -p build
	$(BIN)/mmemo analyze examples/portrait.mp4 --out build/portrait.html
	@echo "The report: build/portrait.html"

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf build site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[asr]'
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps mediapipe  # the reference of a parity test; what it depends on would replace our OpenCV
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
	    --dest $(VENV)/share pympi-ling==1.71  # its source package carries ELAN's schema, for a test
	@touch $@ $(VENV)/installed-demo
