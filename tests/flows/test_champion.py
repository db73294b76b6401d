"""The champion through the real runner, registry and tables: the first, one that is no better, and a change of name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pytest
from typer.testing import CliRunner

from flows.catalogue import configured
from flows.champion import ALIAS, ChampionConfig, _record, _take_from_others, champion, held_by, model_version
from flows.cli import app
from flows.config import ConfigError
from flows.evaluate import EvaluateConfig, run_evaluate
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from tasks.evaluate.compare_models import CompareModelsConfig
from tasks.evaluate.suites import Suite
from tests.flows.test_evaluate import register, run
from tests.tasks.evaluate.made import SUMS, sums, tiny_model, write_suite
from tests.warehouse.lineage_kit import Kit
from warehouse.lineage import ArtifactRef

SAFETY = Suite(name="held_out_safety", source="math/safety.parquet", grader="answered", reference="")


@pytest.fixture
def no_champion() -> None:
    """The registry is the session's: whoever holds the alias gives it back."""
    client = mlflow.MlflowClient()
    for model in client.search_registered_models():
        if ALIAS in model.aliases:
            client.delete_registered_model_alias(model.name, ALIAS)


def asked(data: Path, **changes: Any) -> EvaluateConfig:
    settings = {"samples": 2, "max_tokens": 4, "limit": 3}
    return EvaluateConfig.model_validate(
        {"suites": ["sums", "held_out_safety"], "custom": [SUMS, SAFETY], "data": str(data), "consider": True,
         "sample_answers": settings, "champion": {"compare_models": {"min_questions": 2, "min_clusters": 2}}, **changes}
    )  # fmt: skip


def test_who_becomes_champion_and_why(home: Settings, tmp_path: Path, no_champion: None) -> None:
    data, folder = write_suite(tmp_path, sums(8)), tiny_model(tmp_path)
    write_suite(tmp_path, sums(4), SAFETY)
    other = Path(shutil.copytree(folder, tmp_path / "second"))
    (other / "note.txt").write_text("the same weights, another version\n")
    register(str(folder))
    runner, client = Runner(home), mlflow.MlflowClient()
    first = model_version(runner, "rigor-tiny")
    with pytest.raises(LookupError, match=f"{first} was never evaluated"):
        champion(ChampionConfig(candidate="rigor-tiny"))
    run(asked(data, models=["rigor-tiny"]))
    assert held_by(runner) == first
    tags = client.get_model_version(first.name, str(first.version)).tags
    assert (tags["decision"], tags["decision.reason"]) == ("taken", "there is no champion yet")

    register(str(other))
    second = model_version(runner, "rigor-tiny")
    assert second.version == first.version + 1
    run(asked(data, models=["rigor-tiny"]))
    assert held_by(runner) == first, "as good is not better"
    tags = client.get_model_version(second.name, str(second.version)).tags
    assert tags["decision"] == "refused"
    assert tags["decision.reason"].startswith("not better beyond its interval: +0.0000")
    assert tags["decision.against"] == str(first)
    assert float(tags["decision.capability.difference"]) == 0.0
    rows = runner.tables.view("decisions").scan().collect()
    assert set(rows["partition"]) == {f"{first}.first", f"{second}.{first}"}
    whole = rows.filter((pl.col("candidate") == str(second)) & (pl.col("scope") == "capability"))
    assert whole["questions"].to_list() == [3]
    samples = runner.tables.view("eval_samples").scan().select("id").collect()["id"]
    assert set(rows["parents"].explode()) & set(samples), "a decision leads back to the answers"

    client.delete_registered_model_alias(first.name, ALIAS)

    def meanwhile(call: Call) -> None:
        """Another run gives the alias away while this one compares."""
        if call.stage == "compare_models" and held_by(runner) is None:
            client.set_registered_model_alias(first.name, ALIAS, str(first.version))

    token = ON_CALL.set(meanwhile)
    try:
        champion(
            ChampionConfig(candidate=str(second), compare_models=CompareModelsConfig(min_questions=2, min_clusters=2))
        )
    finally:
        ON_CALL.reset(token)
    assert held_by(runner) == first, "compared with nobody, it must not take the place of who came first"

    shown = CliRunner().invoke(app, ["champion"], env={"COLUMNS": "160"})
    assert f"champion: {first}" in shown.output
    assert "refused, not better beyond its interval" in shown.output

    unlike = asked(data, sample_answers={"samples": 1, "max_tokens": 4, "limit": 3}, consider=False)
    run(unlike.model_copy(update={"models": (f"third={second}", "champion")}))
    assert {"third", "champion"} <= set(runner.tables.view("evals").scan().collect()["model"])
    with pytest.raises(ConfigError, match="is no registered model"):
        run_evaluate(Runner(home, dry=True), asked(data, models=["nothing"]))
    with pytest.raises(LookupError, match="no registered model rigor-tiny@99"):
        run_evaluate(Runner(home, dry=True), asked(data, models=["rigor-tiny@99"]))

    client.create_registered_model("rigor-new")
    version = client.create_model_version("rigor-new", "file:///nowhere", None).version
    new = ArtifactRef(name="rigor-new", kind="model", version=int(version), digest="d")
    client.create_registered_model("theirs")
    client.set_registered_model_alias("theirs", ALIAS, client.create_model_version("theirs", "file:///x", None).version)
    assert held_by(runner) == first, "another project's champion is none of ours"
    _record(new, first, rows.with_columns(taken=pl.lit(True)))
    client.delete_registered_model("theirs")
    aliases = {model.name: model.aliases for model in client.search_registered_models() if model.aliases}
    assert aliases == {"rigor-new": {ALIAS: version}}, "one holder over all names"


def test_a_run_killed_between_giving_and_taking_away_leaves_the_later_champion(
    home: Settings, no_champion: None
) -> None:
    kit, client = Kit(Path(home.warehouse_uri())), mlflow.MlflowClient()
    refs = {name: kit.model(name) for name in ("rigor-a", "rigor-b", "rigor-c")}
    for name in refs:
        client.create_registered_model(name)
        client.create_model_version(name, "file:///nowhere", None)
    for name in ("rigor-b", "rigor-a"):
        kit.table("decisions", [[]], (), name, stage="compare_models", config=json.dumps({"candidate": f"{name}@1"}))
    for name in ("rigor-a", "rigor-b"):
        client.set_registered_model_alias(name, ALIAS, "1")
    runner = Runner(home)
    assert held_by(runner) == refs["rigor-a"]
    kit.table("decisions", [[]], (), "rigor-b", stage="compare_models", config=json.dumps({"candidate": "rigor-b@1"}))
    assert held_by(runner) == refs["rigor-b"]
    # A comparison that the one whose alias lingers has lost must not make it champion for being the newest.
    _take_from_others(refs["rigor-b"])
    kit.table("decisions", [[]], (), "rigor-a", stage="compare_models", config=json.dumps({"candidate": "rigor-a@1"}))
    assert held_by(runner) == refs["rigor-b"]
    row = {"suite": "", "scope": "capability", "taken": True, "reason": "better", "candidate_score": 1.0,
           "champion_score": 0.5, "difference": 0.5, "low": 0.4, "high": 0.6, "questions": 30}  # fmt: skip
    _record(refs["rigor-c"], refs["rigor-b"], pl.DataFrame([row]))
    assert [model.name for model in client.search_registered_models() if ALIAS in model.aliases] == ["rigor-c"]
    assert held_by(runner) == refs["rigor-c"]


def test_every_profile_fills_the_config() -> None:
    assert configured(
        "evaluate", "laptop", ["consider=true", "champion.compare_models.safety_slack=0.1"], None
    ).consider
