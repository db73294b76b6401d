# `make run`: install and run the main job. `make test`: install what is missing and pass the tests.
PYTHON ?= python3
BIN := .venv/bin
ONE_THREAD := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 TOKENIZERS_PARALLELISM=false

.PHONY: run learn test check crash hostile operate bench-mine bench-memory bench-dedup bench-grade bench-trace bench-model bench-grpo ablate screenshots clean

run: .venv/ready
	$(BIN)/rigor run r1

test: .venv/ready
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup

check: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What each stage teaches, over SEEDS runs of the whole recipe; the first is `make run`.
SEEDS ?= 3
learn: .venv/ready
	PYTHONWARNINGS=ignore $(BIN)/python -m tests.learning.learn --seeds $(SEEDS)

# The slow proofs: minutes each, their small versions are in `make test`.
crash: .venv/ready
	$(BIN)/python -m pytest -m slow tests/crash tests/warehouse tests/flows tests/dashboards tests/tasks
hostile: .venv/ready
	$(BIN)/python -m pytest -m slow tests/hostile

# Deployments, a schedule, a trigger, a zombie, a backfill with planted failures: on PostgreSQL, minutes.
operate: .venv/ready
	$(BIN)/python -m tests.operate.show

# Stock datatrove lives in an environment of its own: its declared extras ask for another Trafilatura and fastText.
bench-mine: .venv/ready .venv-stock/ready
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_mine .venv-stock/bin/python
.venv-stock/ready:
	$(PYTHON) -m venv .venv-stock
	.venv-stock/bin/pip install --quiet 'datatrove[io,processing]==0.10.1' spacy==3.8.18 lxml_html_clean orjson
	touch $@
bench-memory: .venv/ready
	$(BIN)/python -m tests.bench.bench_memory docs/memory.png
bench-dedup: .venv/ready
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_dedup
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_decontaminate

bench-grade: .venv/ready
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_grade
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_steps
	$(ONE_THREAD) $(BIN)/python -m tests.bench.bench_sandbox
	$(ONE_THREAD) $(BIN)/python -m tests.bench.bench_synthesize

bench-trace: .venv/ready
	$(ONE_THREAD) $(BIN)/python -m tests.bench.bench_trace

bench-model: .venv/ready
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_train
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m tests.bench.bench_sample --drafts ""
	$(ONE_THREAD) $(BIN)/python -m tests.bench.bench_speculate
	$(ONE_THREAD) taskset -c 0 $(BIN)/python -m kernels.linear_log_probs.bench
	$(ONE_THREAD) RAYON_NUM_THREADS=1 taskset -c 0 $(BIN)/python -m tests.bench.bench_tokens

# TRL lives beside our packages, seen through a .pth file: the same torch, transformers and reward functions for both.
bench-grpo: .venv/ready .venv-trl/ready
	PYTHONWARNINGS=ignore $(BIN)/python -m tests.bench.bench_grpo .venv-trl/bin/python $(BENCH_GRPO)
.venv-trl/ready: | .venv/ready
	$(BIN)/python -m venv .venv-trl
	echo $(CURDIR)/.venv/lib/python3*/site-packages > $$(echo .venv-trl/lib/python3*/site-packages)/house.pth
	.venv-trl/bin/pip install --quiet --no-deps trl==1.16.0 accelerate==1.15.0 datasets==5.2.0
	touch $@

# Variants of `zero` and `reason` by config alone, in a copy of RIGOR_HOME.
ablate: .venv/ready
	$(ONE_THREAD) PYTHONWARNINGS=ignore $(BIN)/python -m tests.learning.ablate

# Pictures of the dashboards and of MLflow over RIGOR_HOME (or rigor-home) into docs/screenshots.
screenshots: .venv/ready
	$(BIN)/python -m tests.dashboards.screenshots docs/screenshots
	$(BIN)/python -m tests.dashboards.mlflow_screens docs/screenshots

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-stock .venv-trl rigor-home build *.egg-info
