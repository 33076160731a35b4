# make demo   virtual environment, core installation, the demo suite, masks and J&F of a tracker, points on a photograph
# make test   virtual environment, development installation, lint, types, tests
# make venv   the development installation alone
# make clean  removes the environment and what was built

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# --no-compile: Python compiles what is imported, when it is; compiling all of torch takes as long as the rest.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
DEMO_OUT := build/demo
DEMO_MODELS := molmopoint-tiny,molmo2-tiny,oracle,center,random
PHOTO := benchmarks/demo_photos/pictures/coffee.jpg
PHOTO_QUERY := point to circles

# One thread a process: the miniatures gain nothing from more, and on a busy machine two threads that wait for one
# another cost a hundredfold. The tests run as two processes.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test venv clean

demo: $(VENV)/.core
	$(BIN)/mpeval run --model $(DEMO_MODELS) --suite demo --out $(DEMO_OUT)
	$(BIN)/mpeval segment --segmenter classical $(DEMO_OUT)/molmopoint-tiny
	$(BIN)/mpeval score $(DEMO_OUT)/molmopoint-tiny/demo-track
	$(BIN)/mpeval point --model molmopoint-tiny --out $(DEMO_OUT)/photo.png $(PHOTO) "$(PHOTO_QUERY)"

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2

venv: $(VENV)/.dev

# The stamps say which installation the environment holds; the development one includes the core.
$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	@touch $(VENV)/.core $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mpeval needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build *.egg-info
