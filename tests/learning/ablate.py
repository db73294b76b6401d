"""Ablations by config alone: `make ablate` after a `make run`, or `python -m tests.learning.ablate [NAME …]`.

Each variant is one `rigor run` with other `--set`s, in a copy of RIGOR_HOME beside it (`…-ablations`), so that the
newest models there stay what they are. Everything upstream of the change is reused. The MLflow runs bear the tag
`ablation`; the table that is printed at the end is read from them, and `rigor ui` on the copy compares their curves.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow

from flows.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Variant:
    """A flow with something changed."""

    name: str
    flow: str
    sets: tuple[str, ...] = ()


VARIANTS = (
    Variant("reason", "reason"),
    Variant("reason, no KL", "reason", ('reinforce.algorithm={base="dapo", kl_weight=0}',)),
    Variant("reason, KL 0.04", "reason", ('reinforce.algorithm={base="dapo", kl_weight=0.04}',)),
    Variant("reason, no language reward", "reason", ("reinforce.rewards.language=0",)),
    Variant("reason, no reward for steps", "reason", ("reinforce.rewards.steps=0",)),
    Variant("reason, shuffled", "reason", ('reinforce.questions.order="shuffled"',)),
    Variant("reason, curriculum", "reason", ('reinforce.questions.order="curriculum"',)),
    Variant("zero", "zero"),
    Variant("zero, KL 0.04", "zero", ('reinforce.algorithm={base="dapo", kl_weight=0.04}',)),
    Variant("zero, GRPO", "zero", ('reinforce.algorithm={base="grpo", kl_weight=0}',)),
    Variant("zero, Dr. GRPO", "zero", ('reinforce.algorithm="dr_grpo"', 'reinforce.advantage="none"')),
)
"""GRPO v Dr. GRPO and KL v none from the base; the rest where R1 has it, in its first RL stage. Both values of a choice
are named: whichever is the profile's own has that run's fingerprint and is not trained again. `reason` first: it orders
its curriculum by the newest `zero`."""
COLUMNS = {
    "held_out_greedy": "greedy", "held_out_pass_rate": "T 0.6", "mixed_language_share": "mixed language",
    "reasoning_share": "in steps", "reward.steps": "steps true", "response_tokens": "tokens", "entropy": "entropy",
    "kl": "KL",
}  # fmt: skip
"""Metric → title; last values of the run."""


def main() -> None:
    """Run the variants that are named, or all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" · ".join(variant.name for variant in VARIANTS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    if unknown := set(asked.names) - {variant.name for variant in VARIANTS}:
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    variants = [variant for variant in VARIANTS if not asked.names or variant.name in asked.names]
    home = Settings().absolute_home()
    copy = home.with_name(f"{home.name}-ablations")
    if not copy.exists():
        shutil.copytree(home, copy, symlinks=True)
    for variant in variants:
        for seed in range(asked.seeds):
            run(variant, seed, copy)
    for line in table(variants, copy):
        print(line)


def run(variant: Variant, seed: int, home: Path) -> None:
    """One `rigor run`; a variant that was run before is reused."""
    command = [sys.executable, "-m", "flows.cli", "run", variant.flow]
    for change in (*variant.sets, f"reinforce.seed={seed}"):
        command += ["--set", change]
    tags = json.dumps({"ablation": variant.name, "seed": str(seed)})
    print(f"{variant.name}, seed {seed}", flush=True)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {"RIGOR_HOME": str(home), "MLFLOW_RUN_CONTEXT": tags})  # fmt: skip


def table(variants: list[Variant], home: Path) -> list[str]:
    """Mean over seeds, and lowest to highest, of each variant's last figures."""
    mlflow.set_tracking_uri(Settings(home=home).mlflow_tracking_uri())
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    lines = ["| variant | seeds | " + " | ".join(COLUMNS.values()) + " |", "|-" * (len(COLUMNS) + 2) + "|"]
    for variant in variants:
        stage = f"reinforce_{variant.flow}."  # the flow's run has its stages' figures under such names, reused ones too
        mine = [run for run in reversed(found) if run.data.tags.get("ablation") == variant.name]
        runs = {r.data.tags["seed"]: r.data.metrics for r in mine if stage + "held_out_greedy" in r.data.metrics}
        cells = []
        for metric in COLUMNS:
            values = [metrics[stage + metric] for metrics in runs.values() if stage + metric in metrics]
            cells.append(f"{sum(values) / len(values):.3g} ({min(values):.3g} to {max(values):.3g})" if values else "-")
        lines.append(f"| {variant.name} | {len(runs)} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
