"""Pictures of MLflow over a home's newest run of the whole recipe: its models on one screen, curves, a model's version.

python -m tests.dashboards.mlflow_screens [FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from urllib.parse import quote

import mlflow
from mlflow.entities import Run

from flows.settings import Settings
from tests.dashboards.browser import chromium, looking, serving

SCORED = ("rigor-base", "rigor-zero", "rigor-cold", "rigor-reason", "rigor-sft", "rigor-r1", "rigor-distill-large",
          "rigor-distill-small", "rigor-distill-large-rl")  # fmt: skip
REINFORCED = ("reinforce_zero", "reinforce_reason", "reinforce_r1", "reinforce_distill-large-rl")
AWAY = ("Visualizations", "Run details", "Parameters")
SETTLE_MS = 6_000


def newest(names: tuple[str, ...], prefix: str = "") -> list[Run]:
    """The newest run of each name, in their order."""
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time DESC"])
    found = {name: next((run for run in runs if run.info.run_name.split(" all")[0] == prefix + name), None)
             for name in names}  # fmt: skip
    return [run for run in found.values() if run is not None]


def compared(runs: list[Run]) -> str:
    """The path of MLflow's comparison of runs."""
    ids = quote(json.dumps([run.info.run_id for run in runs]))
    experiments = quote(json.dumps(sorted({run.info.experiment_id for run in runs})))
    return f"/#/compare-runs?runs={ids}&experiments={experiments}"


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/screenshots"))
    folder = parser.parse_args().folder
    if chromium() is None:
        sys.exit("no Chromium or no Playwright on this machine")
    store = Settings().mlflow_tracking_uri()
    mlflow.set_tracking_uri(store)
    pages = {
        "mlflow-scores": compared(newest(SCORED, "score_answers ")),
        "mlflow-reinforced": compared(newest(REINFORCED)),
        "mlflow-model": "/#/models/rigor-r1",
        "mlflow-models": "/#/models",
    }
    with serving("mlflow", {}, "/health", "server", "--backend-store-uri", store, "--host", "127.0.0.1") as url:
        for name, path in pages.items():
            with looking(url, "light") as looker:
                looker.page.set_viewport_size({"width": 1700, "height": 1300})
                looker.page.goto(url + path)
                looker.page.wait_for_timeout(SETTLE_MS)
                for heading in AWAY:  # so that the metrics come to the top
                    for found in looker.page.get_by_text(heading, exact=True).all():
                        found.click()
                looker.page.wait_for_timeout(SETTLE_MS // 4)
                looker.page.screenshot(path=str(folder / f"{name}.png"))
                print(f"{name:<24} {looker.outside or ''}", flush=True)


if __name__ == "__main__":
    main()
