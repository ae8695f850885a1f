# Everything lives in .venv and in this folder. PIP_INDEX_URL and HF_ENDPOINT are honoured where they are set.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
LONG := training or browser or slow

.PHONY: setup run quick test lint words bench bench-import bench-label bench-model bench-queue bench-look lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tiebreak needs Python 3.11 or newer; name one with PYTHON=python3.12 make ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(READY)

run: setup
	$(BIN)/tiebreak serve $(ARGS)

quick: setup
	$(PYTEST) --numprocesses auto -m "not ($(LONG) or alone)"

# Browsers and servers wait more than they work: several at once, and models with one thread each, for threads of several
# would wait for one another. What looks at clock or memory has the machine to itself.
test: quick
	OMP_NUM_THREADS=1 $(PYTEST) --numprocesses 3 --dist worksteal -m "($(LONG)) and not alone"
	$(PYTEST) -m alone

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Gather the sentences of the code into the catalogues of other languages; prints what is still to translate.
words: setup
	$(BIN)/python -m ui.catalogue

bench: setup
	$(BIN)/python -m tests.benchmarks

# At forum scale and at ten times it; the databases need some gigabytes in build/ meanwhile.
bench-import: setup
	$(BIN)/python -m tests.benchmarks import import-and-decide --sizes 63000 630000 6300000

# A moderator's day: key to paint, a team at work, searches. The forum behind it is made once and kept in build/.
bench-label: setup
	$(BIN)/python -m tests.benchmarks desk team search --markdown $(ARGS)

# Training and scoring by the note's way, by the Hugging Face pipeline and by ours; and scoring a forum's pool while
# moderators decide. Needs COLD_DIR.
bench-model: setup
	$(BIN)/python -m tests.benchmarks training scoring score-and-decide --markdown $(ARGS)

# How many labels each order of the queue needs, on simulated forums made of COLD (COLD_DIR): with TF-IDF, and with what
# the product trains, which takes a night on two cores and minutes on a GPU. What is measured is kept in build/ and in
# tests/benchmarks/tuning.csv, and an interrupted run goes on.
bench-queue: setup
	$(BIN)/python -m tests.benchmarks selecting tuning --markdown $(ARGS)

# The analyst's room at forum scale and at 4 million posts: what its pages ask for, under twelve filters. The databases are
# made once (some minutes, some gigabytes) and kept in build/.
bench-look: setup
	$(BIN)/python -m tests.benchmarks looking --markdown $(ARGS)

# Resolve anew: the newest versions that pyproject.toml allows.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet 'torch==2.13.0' && build/lock/bin/python -m pip install --quiet '.[test,dev]'
	{ echo '# Exact versions that `make` installs. Made by `make lock` from pyproject.toml.'; \
	  build/lock/bin/python -m pip freeze --exclude tiebreak | sed 's/^\(torch==[0-9.]*\)+.*/\1/'; } > requirements.lock
	rm -rf build/lock

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
