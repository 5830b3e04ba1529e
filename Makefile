# make demo     see mmemo work: environment, pinned install, the example clip analyzed, its report written
# make compare  the RAVDESS table: every fusion head against face and voice alone; MMEMO_DATA names the data
# make check    the inner loop, under 90 s on two cores: lint, types, import contracts, quick tests
# make test     everything that must pass: the same with all tests, and how much of the code the quick ones reach
# make base     the base install, without torch, in an environment of its own: pip check, an analysis, its tests
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
BASE := $(VENV)-base
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo compare check quick test slow-one slow-other base lint format docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed-demo
	@mkdir -p build
	$(BIN)/mmemo analyze examples/portrait.mp4 --out build/portrait.html
	@echo "The report: build/portrait.html"

# The first time the voices are encoded; from then on it takes minutes.
compare: $(VENV)/installed-dev
	@test -n "$(MMEMO_DATA)" || { echo "Name the data: make compare MMEMO_DATA=FOLDER, with voice/ and av/ in it"; exit 2; }
	@mkdir -p build/ravdess
	$(BIN)/python recipes/fusion_ravdess.py "$(MMEMO_DATA)" --run build/ravdess
	$(BIN)/mmemo compare build/ravdess --out build/ravdess/compare.html --out build/ravdess/table.md \
	    --out build/ravdess/table.tex --out build/ravdess/figures
	@echo "The page: build/ravdess/compare.html"

check: $(VENV)/installed-dev
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint quick

quick: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not data"

test: lint
	$(BIN)/python -m pytest -m "not slow and not data" --cov --cov-report=term:skip-covered
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target slow-one slow-other

# Two halves that take as long, one on each core; a new folder of tests is in the other half.
HALF := app batch comparison data evaluation explain fusion recipes testing training
slow-one: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow or data" $(addprefix tests/,$(HALF))

slow-other: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "slow or data" $(addprefix --ignore=tests/,$(HALF))

# The package as a user gets it, used outside of the checkout; then the tests that need no extra.
PIPELINE := pipeline media speech report/html test_onnx_network.py test_checkpoint.py
base: $(BASE)/bin/python
	$(subst $(BIN),$(BASE)/bin,$(PIP)) . pytest
	$(BASE)/bin/python -m pip check
	@! $(BASE)/bin/python -c "import torch" 2>/dev/null || { echo "torch is in the base install"; exit 1; }
	cd examples && $(abspath $(BASE))/bin/mmemo analyze portrait.mp4 --text "I am so happy to see you."
	OMP_NUM_THREADS=1 $(BASE)/bin/python -m pytest -m "not data" $(addprefix tests/,$(PIPELINE))

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed-dev
	$(BIN)/mkdocs build --strict

clean:
	rm -rf build site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/python $(BASE)/bin/python:
	$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/installed-demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[asr]'
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
	    --dest $(VENV)/share pympi-ling==1.71  # its source package carries ELAN's schema, for a test
	@touch $@ $(VENV)/installed-demo
