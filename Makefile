# `make run`: install and run the main job. `make test`: install what is missing and pass the tests.
PYTHON ?= python3
BIN := .venv/bin
ONE_THREAD := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 TOKENIZERS_PARALLELISM=false

.PHONY: run test check crash hostile bench-mine bench-dedup screenshots clean

run: .venv/ready
	$(BIN)/rigor run mine

test: .venv/ready
	$(BIN)/python -m pytest -m "not slow"

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The slow proofs: minutes each, their small versions are in `make test`.
crash: .venv/ready
	$(BIN)/python -m pytest -m slow tests/crash tests/warehouse
hostile: .venv/ready
	$(BIN)/python -m pytest -m slow tests/hostile

bench-mine: .venv/ready
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_mine
bench-dedup: .venv/ready
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_dedup
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_decontaminate

screenshots: .venv/ready
	$(BIN)/python -m tests.flows.screenshots

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv rigor-home build *.egg-info
