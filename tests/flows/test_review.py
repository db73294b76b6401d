"""The review of the cold start in a real warehouse: files out and in, the terminal, lineage, what later runs read."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from prefect import flow
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.cold_start import FINE_TUNE, ColdStartConfig
from flows.config import load_config, profile_names
from flows.review import apply_review
from flows.run import flow_run
from flows.runner import Runner
from flows.settings import Settings
from tasks.curate.filter_cold_start import STAGE as FILTER
from tasks.curate.filter_cold_start import FilterColdStartConfig
from tasks.stage import Inputs, Report, Stage, StageConfig
from tests.tasks.curate.chains_made import GOOD, ZH, sample
from warehouse.lineage import ArtifactRef, Lineage
from warehouse.schema_chains import COLD_START_SAMPLES
from warehouse.tables import Tables
from warehouse.walk import Walk

SAMPLES = [
    sample(GOOD),
    sample(GOOD, "Compute 3 + 4 + 5."),
    sample(GOOD, "What is 3 + 4 + 5?", level=2),
    sample(ZH, "计算 17 - 4 - 5。", "8", language="zh", family="differences"),
]


class ByHand(StageConfig):
    wrong: int = 0
    """Samples more that the filter refuses."""


def give(config: ByHand, inputs: Inputs, report: Report) -> Iterator[pl.DataFrame]:
    wrong = [sample(GOOD.replace("12", "13"), sample=1 + n, correct=False) for n in range(config.wrong)]
    report.rows_in(len(SAMPLES) + len(wrong))
    yield pl.DataFrame([*SAMPLES, *wrong], pl.Schema(COLD_START_SAMPLES.arrow), orient="row").select(
        COLD_START_SAMPLES.arrow.names
    )


BY_HAND = Stage("sample_cold_start", "1", (), "cold_start_samples", ByHand, give)


@flow
def chains(config: FilterColdStartConfig, wrong: int = 0) -> list[ArtifactRef]:
    """What the filter made, and what later stages of a run are given."""
    with flow_run("cold_start", config) as run:
        samples = run.call(BY_HAND, ByHand(wrong=wrong), {})
        assert samples is not None
        made = run.call(FILTER, config, {"cold_start_samples": (samples,)})
        used = apply_review(run, made)
        assert made is not None
        assert used is not None
        newest = run.newest("cold_start", "cold_start")
        assert newest is not None
        assert [ref.fingerprint for ref in newest] == [used.fingerprint], "what flows after it in the run read"
        return [made, used]


def rigor(*words: str, typed: str = "", **environment: str) -> Result:
    return CliRunner(env=environment).invoke(app, ["review", "cold_start", *words], input=typed)


def rows_of(ref: ArtifactRef, home: Settings) -> dict[str, dict[str, object]]:
    """By the question."""
    view = Tables(home.warehouse_uri()).view(ref.name, ref.version)
    return {row["prompt"]: row for row in view.scan().collect().to_dicts()}


def learned(ref: ArtifactRef, home: Settings) -> str:
    """The fingerprint of a fine-tuning on it."""
    run, model = Runner(home, dry=True), ArtifactRef(name="rigor-base", kind="model", version=1, digest="0")
    problems = model.model_copy(update={"name": "problems", "kind": "table"})
    run.call(FINE_TUNE, ColdStartConfig().fine_tune,
             {"cold_start": (ref,), "problems": (problems,), "rigor-base": (model,)})  # fmt: skip
    return run.calls[-1].fingerprint


def filled(path: Path, **decisions: dict[str, str]) -> None:
    """Fill in a CSV file: by the question."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= decisions.get(row["prompt"], {})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


BETTER = "Understand: add three numbers.\n3 + 4 = 7\n7 + 5 = 12\nVerify: 12 - 5 - 4 = 3"
FIRST, SECOND, THIRD, FOURTH = (row["prompt"] for row in SAMPLES)


@pytest.mark.timeout(600)
def test_a_review_is_a_version_that_later_runs_read(
    home: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "rigor run cold_start" in str(rigor("--export", "x.csv").exception)
    made, used = chains(FilterColdStartConfig())
    assert used == made, "without a review the table is used as it is"
    before = rows_of(made, home)
    file = tmp_path / "chains.csv"
    assert rigor("--export", str(file)).exit_code == 0

    filled(file, **{FIRST: {"decision": "edit", "answer": "13"}})
    wrong = rigor("--import", str(file))
    assert f"{before[FIRST]['id']} (edited): the answer is wrong: 13, not 12" in str(wrong.exception)
    filled(file, **{FIRST: {"decision": "edit", "answer": "12", "steps": BETTER.replace("= 7\n", "= 8\n")}})
    assert "(edited): a step is wrong: 3 + 4 = 8" in str(rigor("--import", str(file)).exception)
    filled(file, **{FIRST: {"decision": "accept", "steps": BETTER}})
    assert "its text was changed but its decision is accept: write edit" in str(rigor("--import", str(file)).exception)
    assert Tables(home.warehouse_uri()).view("cold_start").rows == 4

    filled(file, **{FIRST: {"decision": "edit", "note": "shorter"}, SECOND: {"decision": "accept"},
                    FOURTH: {"decision": "reject", "note": "dull"}})  # fmt: skip
    done = rigor("--import", str(file))
    assert done.exit_code == 0, done.exception
    assert "1 accept, 1 edit, 1 reject, 1 not decided" in done.output
    made_again, reviewed = chains(FilterColdStartConfig())
    assert made_again == made
    assert reviewed.version == made.version + 1
    after = rows_of(reviewed, home)
    assert {prompt: row["review"] for prompt, row in after.items()} == {
        FIRST: "edited", SECOND: "accepted", THIRD: "unreviewed",
    }  # fmt: skip
    assert after[FIRST]["steps"] == BETTER.split("\n")
    assert after[FIRST]["parents"] == [before[FIRST]["id"]]
    assert after[THIRD] == before[THIRD]
    assert after[SECOND] == before[SECOND] | {"review": "accepted"}
    assert learned(reviewed, home) != learned(made, home), "the next fine-tuning learns from the reviewed rows"

    lineage = Lineage(Tables(home.warehouse_uri()))
    call = lineage.call_of(reviewed)
    assert (call["stage"], call["rows_in"], call["rows"], call["rejected"]) == ("review", 4, 3, 1)
    for prompt, hops in {FIRST: ["cold_start", "cold_start", "cold_start_samples"],
                         SECOND: ["cold_start", "cold_start_samples"]}.items():  # fmt: skip
        walked = [row.artifact.split("@")[0] for row in Walk(lineage).trace(str(after[prompt]["id"])).rows()]
        assert walked == hops
    refused = lineage.tables.view("quarantine").scan().filter(pl.col("stage") == "review").collect()
    assert refused.select("row", "reason", "detail").rows() == [(before[FOURTH]["id"], "rejected in review", "dull")]

    # Other rows are not silently given an old review, and an old config finds its review again.
    with caplog.at_level(logging.WARNING):
        other, unreviewed = chains(FilterColdStartConfig(rows=3))
    assert unreviewed == other
    assert f"{other} is not reviewed: the review of {made} was of other rows" in caplog.text
    assert chains(FilterColdStartConfig())[1].digest == reviewed.digest
    assert rows_of(Runner(home).current("cold_start")[0], home) == after
    made_of_more, still = chains(FilterColdStartConfig(), wrong=1)
    assert made_of_more.fingerprint != made.fingerprint
    assert still.digest == reviewed.digest, "the same rows, though of other samples, keep their review"
    chains(FilterColdStartConfig(rows=3))
    carried = rigor("--carry")
    assert carried.exit_code == 0, carried.exception
    kept = set(rows_of(other, home)) & {FIRST, SECOND, FOURTH}
    assert f"{3 - len(kept)} earlier decisions" in carried.output or len(kept) == 3
    states = {p: r["review"] for p, r in rows_of(Runner(home).current("cold_start")[0], home).items()}
    assert states == {p: str(after[p]["review"]) for p in rows_of(other, home) if p != FOURTH}


@pytest.mark.timeout(600)
def test_the_terminal_asks_row_by_row_and_goes_on_where_it_stopped(home: Settings, tmp_path: Path) -> None:
    made, _ = chains(FilterColdStartConfig())
    order = list(rows_of(made, home))
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/So the answer is.*/That is all./; s/所以答案是.*/完。/' \"$1\"\n")
    editor.chmod(0o755)
    wrong = tmp_path / "wrong"
    wrong.write_text("#!/bin/sh\nsed -i 's/= 12$/= 13/; s/= 13$/= 14/' \"$1\"\n")
    wrong.chmod(0o755)
    shown = rigor(typed="e\nr\ntoo short\nq\n", EDITOR=str(wrong))
    assert "not taken" in shown.output
    assert "a step is wrong" in shown.output
    assert "1 reject, 3 not decided" in shown.output.replace("0 accept, 0 edit, ", "")
    shown = rigor(typed="e\ns\na\n", EDITOR=str(editor))  # the terminal is closed at the fourth row: nothing is lost
    assert "4 rows, 1 decided" in shown.output
    assert shown.exit_code == 0, shown.exception
    rows = rows_of(Runner(home).current("cold_start")[0], home)
    assert [rows[prompt]["review"] if prompt in rows else "gone" for prompt in order] == [
        "gone", "edited", "unreviewed", "accepted",
    ]  # fmt: skip
    lines = tmp_path / "rows.jsonl"
    rigor("--export", str(lines))
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["decision"] for row in told] == ["reject", "edit", "", "accept"]
    assert told[0]["note"] == "too short", "the second session took over the first one's reasons, too"
    assert "no decision is new" in rigor("--import", str(lines)).output
    lines.write_text(lines.read_text() + json.dumps(told[0] | {"id": "nowhere"}) + "\n{\n")
    assert "rows.jsonl, line 6" in str(rigor("--import", str(lines)).exception)


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_configures_the_flow(profile: str) -> None:
    config = load_config(ColdStartConfig, "cold_start", profile)
    assert config.sample_cold_start.temperature == 1.0, "published"
    assert config.fine_tune.recipe.bias_rate.first == 0
