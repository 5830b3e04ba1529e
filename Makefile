# make demo     see mmemo work: environment, pinned install, the example clip analyzed, its report written
# make compare  the RAVDESS table: every fusion head against face and voice alone; MMEMO_DATA names the data
# make check    the inner loop, under 90 s on two cores: lint, types, import contracts, quick tests
# make test     everything that must pass: the same with all tests, and how much of the code the quick ones reach
# make base     the base install, without torch, in an environment of its own: pip check, an analysis, its tests
# make lowest, make newest: the lowest versions that pyproject.toml allows, the newest ones: pip check, an analysis, tests
# make licenses, make sbom, make audit: docs/licenses.md, build/sbom.json (CycloneDX), known vulnerabilities
# make hostile  hostile and everyday files by the hundred: no traceback, no hang, nothing lost (10 minutes)
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
BASE := $(VENV)-base
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --max-worker-restart=0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo compare check quick test base lint format docs clean \
    lowest newest licenses sbom audit hostile
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
	$(PYTEST) -m "not slow and not data" --cov --cov-report=term:skip-covered
	$(PYTEST) -m "slow or data"

# The package as a user gets it, used outside of the checkout; then the tests that need no extra.
PIPELINE := pipeline personal speech test_onnx_network.py test_checkpoint.py
base: $(BASE)/bin/python
	$(subst $(BIN),$(BASE)/bin,$(PIP)) . pytest
	$(BASE)/bin/python -m pip check
	@! $(BASE)/bin/python -c "import torch" 2>/dev/null || { echo "torch is in the base install"; exit 1; }
	cd examples && $(abspath $(BASE))/bin/mmemo analyze portrait.mp4 --text "I am so happy to see you."
	OMP_NUM_THREADS=1 $(BASE)/bin/python -m pytest -m "not data" $(addprefix tests/,$(PIPELINE))

# Tools of the targets below, in an environment of their own: they bring many packages.
TOOLS := $(VENV)-tools
$(TOOLS)/installed: $(TOOLS)/bin/python Makefile
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check \
	    uv==0.13.9 pip-licenses==5.5.5 cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@touch $@

# With SETS=all PyTorch and what needs it are there too, which are gigabytes.
SETS ?= app,compare,export,micro,prosody
lowest: RESOLUTION := lowest-direct
newest: RESOLUTION := highest
lowest newest: $(TOOLS)/installed
	@mkdir -p build
	rm -rf $(VENV)-$@
	$(TOOLS)/bin/uv venv --quiet --python $(PYTHON) $(VENV)-$@
	$(TOOLS)/bin/uv pip install --quiet --python $(VENV)-$@/bin/python --resolution $(RESOLUTION) '.[$(SETS)]'
	$(TOOLS)/bin/uv pip install --quiet --python $(VENV)-$@/bin/python pytest
	$(TOOLS)/bin/uv pip check --python $(VENV)-$@/bin/python
	cd examples && $(abspath $(VENV))-$@/bin/mmemo analyze portrait.mp4 --text "I am so happy to see you." --out ../build/$@.html
	OMP_NUM_THREADS=1 $(VENV)-$@/bin/python -m pytest -m "not slow and not data" -p no:cacheprovider -W ignore::DeprecationWarning \
	    $(addprefix tests/,$(PIPELINE) report/video comparison batch personal)
	$(VENV)-$@/bin/python .ci/app_answers.py

licenses: $(TOOLS)/installed $(VENV)/installed-dev
	$(TOOLS)/bin/pip-licenses --python $(BIN)/python --format json --with-urls --with-system \
	    | $(BIN)/python .ci/licenses.py docs/licenses.md

# Of the base install alone, as the tested set.
sbom: $(TOOLS)/installed
	@mkdir -p build
	rm -rf $(VENV)-plain
	$(TOOLS)/bin/uv venv --quiet --python $(PYTHON) $(VENV)-plain
	$(TOOLS)/bin/uv pip install --quiet --python $(VENV)-plain/bin/python --constraint constraints.txt .
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON \
	    --output-file build/sbom.json $(VENV)-plain/bin/python

# Advisories come from PyPI; where those can't be had, that is said, and no failure.
audit: $(TOOLS)/installed
	@mkdir -p build
	rm -f build/audit.json
	-$(TOOLS)/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off \
	    --format json --output build/audit.json
	@$(PYTHON) .ci/audited.py build/audit.json

hostile: $(VENV)/installed-dev
	@mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/hostile.py --out build/hostile.json

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

$(BIN)/python $(BASE)/bin/python $(TOOLS)/bin/python:
	$(PYTHON) -m venv $(@:/bin/python=)

$(VENV)/installed-demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[asr]'
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
	    --dest $(VENV)/share pympi-ling==1.71  # its source package carries ELAN's schema, for a test
	@touch $@ $(VENV)/installed-demo
