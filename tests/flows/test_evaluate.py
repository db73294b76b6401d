"""The evaluation flow through the real runner: models × suites, cached, compared by the same metric names."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import mlflow
import polars as pl
import pytest
from prefect import flow
from safetensors.torch import load_file, save_file

from flows.catalogue import configured
from flows.config import ConfigError, profile_names
from flows.evaluate import EvaluateConfig, _earlier, evaluate, run_evaluate
from flows.run import flow_run
from flows.runner import ON_CALL, Call, Runner
from flows.settings import Settings
from flows.summary import print_scores
from tasks.stage import Inputs, Report, SourceFile, Stage, StageConfig
from tests.tasks.evaluate.judge_made import judge
from tests.tasks.evaluate.made import SUMS, sums, tiny_model, write_suite
from tests.warehouse.lineage_kit import Kit
from warehouse.lineage import ArtifactRef, Lineage

WEIGHTS = "model.safetensors"


def run(config: EvaluateConfig) -> list[Call]:
    calls: list[Call] = []
    token = ON_CALL.set(calls.append)
    try:
        evaluate(config)
    finally:
        ON_CALL.reset(token)
    return calls


class Folder(StageConfig):
    path: str


def copied(config: Folder, inputs: Inputs, report: Report) -> Path:
    return Path(shutil.copytree(config.path, inputs.scratch / "model"))


@flow
def register(path: str) -> None:
    """The folder as the registered model `rigor-tiny`."""
    stage: Stage[Any] = Stage("copied", "1", (), "rigor-tiny", Folder, copied, model=True)
    with flow_run("evaluate-test", Folder(path=path)) as runner:
        runner.call(stage, Folder(path=path), {})


def asked(data: Path, **changes: Any) -> EvaluateConfig:
    settings = {"samples": 2, "max_tokens": 4, "limit": 3}
    return EvaluateConfig.model_validate(
        {"suites": ["sums"], "custom": [SUMS], "data": str(data), "sample_answers": settings, **changes}
    )


def test_models_by_suites(home: Settings, tmp_path: Path) -> None:
    data, folder = write_suite(tmp_path, sums(8)), tiny_model(tmp_path)
    with pytest.raises(ConfigError, match="no model is registered yet"):
        run_evaluate(Runner(home, dry=True), asked(data))
    register(str(folder))
    calls = run(asked(data, models=["rigor-tiny", f"other={folder}"]))
    assert [c.stage for c in calls] == ["sample_answers", "score_answers"] * 2
    assert {c.state for c in run(asked(data))} == {"cached"}, "the registered model, which is all there are"
    tables = Runner(home).tables
    samples, scores = (tables.view(name).scan().collect() for name in ("eval_samples", "evals"))
    assert samples.height == 2 * 3 * 3
    assert set(samples["partition"]) == {"rigor-tiny.sums", "other.sums"}
    assert set(scores["partition"]) == {"rigor-tiny", "other"}
    # One folder under two names: the same samples and scores.
    own, other = (
        samples.filter(model=name, suite="sums").drop("id", "model", "partition") for name in ("rigor-tiny", "other")
    )
    assert own.equals(other)
    client, lineage = mlflow.MlflowClient(), Lineage(tables)
    metrics = [
        client.get_run(lineage.call_of(c.ref)["mlflow_run"]).data.metrics
        for c in calls
        if c.stage == "score_answers" and c.ref is not None
    ]
    for each in metrics:
        assert each.keys() == metrics[0].keys() >= {"sums.pass_at_1", "sums.cons_at_2", "sums.greedy"}
    whole = scores.filter((pl.col("family") == "") & (pl.col("suite") == "sums") & (pl.col("metric") == "pass@1"))
    assert whole["value"].to_list() == [metrics[0]["sums.pass_at_1"]] * 2
    with pytest.raises(ConfigError, match="two models of one name"):
        run_evaluate(Runner(home, dry=True), asked(data, models=[str(folder), f"tiny={folder}"]))


def test_another_suite_leaves_the_scores_of_the_first(home: Settings, tmp_path: Path) -> None:
    data, folder = write_suite(tmp_path, sums(8)), tiny_model(tmp_path)
    more = SUMS.model_copy(update={"name": "more", "k": 1})

    def evaluated(suite: str, model: Path) -> tuple[set[str], pl.DataFrame]:
        """States of the calls, and what the newest version holds of `tiny` then."""
        calls = run(asked(data, models=[f"tiny={model}"], custom=[SUMS, more], suites=[suite]))
        found = Runner(home).tables.view("evals", partitions=["tiny"]).scan().collect().sort("id")
        return {call.state for call in calls}, found

    _, first = evaluated("sums", folder)
    _, both = evaluated("more", folder)
    assert set(both["suite"]) == {"sums", "more"}
    assert both.filter(suite="sums").equals(first)
    states, again = evaluated("sums", folder)
    assert states == {"cached"}
    assert again.equals(both)
    # Another model under the label starts anew: the first one's scores are not its own.
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    save_file({n: t * 2 for n, t in load_file(folder / WEIGHTS).items()}, other / WEIGHTS, {"format": "pt"})
    assert set(evaluated("more", other)[1]["suite"]) == {"more"}


def test_what_another_run_scores_meanwhile_is_kept(home: Settings, tmp_path: Path) -> None:
    data, folder = write_suite(tmp_path, sums(8)), tiny_model(tmp_path)
    more = SUMS.model_copy(update={"name": "more", "k": 1})
    given = {"models": [f"tiny={folder}"], "custom": [SUMS, more]}
    other = asked(data, **given, suites=["more"])
    started: list[Call] = []

    def watch(call: Call) -> None:
        """When the first run has its answers and has not scored them yet, the other one comes and goes."""
        started.append(call)
        if len(started) == 1:
            thread = threading.Thread(target=evaluate, args=(other,))  # MLflow's and Prefect's runs belong to a thread
            thread.start()
            thread.join()

    token = ON_CALL.set(watch)
    try:
        evaluate(asked(data, **given, suites=["sums"]))
    finally:
        ON_CALL.reset(token)
    assert set(Runner(home).tables.view("evals").scan().collect()["suite"]) == {"sums", "more"}


def test_earlier_answers_are_kept_of_exactly_the_same_model(home: Settings) -> None:
    kit, suite = Kit(Path(home.warehouse_uri())), SUMS.model_copy(update={"name": "more"})
    files = [SourceFile(f"/m/{name}", digest, 1) for name, digest in (("model.safetensors", "w"), ("chat.jinja", "c"))]
    read = [ArtifactRef(name=name, kind="file", version=0, digest=digest) for name, digest in
            (("model:model.safetensors", "w"), ("model:chat.jinja", "c"), ("sums:sums.parquet", "d"))]  # fmt: skip
    said = json.dumps({"model": "tiny", "server": None, "suite": {"name": "sums"}})
    made = kit.table("eval_samples", [[]], read, "tiny.sums", config=said)
    run = Runner(home, dry=True)
    for given, kept in ((files, [made]), (files[:1], []), ([*files, SourceFile("/m/n", "n", 1)], [])):
        assert _earlier(run, "tiny", None, {"model": given}, [suite]) == kept
    assert _earlier(run, "tiny", None, {"model": files}, [SUMS]) == [], "that suite is asked anew"
    assert _earlier(run, "tin", None, {"model": files}, [suite]) == []


def longer(a: str, b: str, _: float) -> str:
    """A judge who likes length."""
    return "[[A=B]]" if len(a) == len(b) else "[[A>B]]" if len(a) > len(b) else "[[B>A]]"


def test_a_judge_compares_with_a_file_or_a_model(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, folder = write_suite(tmp_path, sums(8)), tiny_model(tmp_path)
    own = SUMS.model_copy(update={"name": "with_gold", "grader": "preference", "k": 1})
    arena = own.model_copy(update={"name": "arena", "gold": ""})
    models = [f"one={folder}", f"base={folder}"]
    asks = {"custom": [own, arena], "suites": ["with_gold", "arena"], "models": models}
    with judge(longer) as (server, requests):
        config = asked(data, **asks, judge={"server": server, "baseline": "base"})
        config = config.model_copy(update={"sample_answers": config.sample_answers.model_copy(update={"samples": 1})})
        calls = run(config)
        assert {c.state for c in run(config)} == {"cached"}
    names = [c.stage for c in calls]
    # The baseline goes first, and is not compared with itself.
    assert names == [
        "sample_answers", "sample_answers", "judge_against_baseline", "score_answers",
        "sample_answers", "sample_answers", "judge_against_baseline", "judge_against_baseline", "score_answers",
    ]  # fmt: skip
    tables = Runner(home).tables
    samples, scores, judged = (
        tables.view(name).scan().collect() for name in ("eval_samples", "evals", "eval_judgements")
    )
    assert len(requests) == judged.filter(reason="judged").height
    assert set(judged["partition"]) == {"base.with_gold", "one.with_gold", "one.arena"}
    rates = {(r["model"], r["suite"]): r["value"] for r in scores.filter(metric="win_rate").iter_rows(named=True)}
    sides = samples.filter(model="one", suite="with_gold", mode="sampled").select("answer", "gold").iter_rows()
    points = [0.5 + 0.5 * ((len(a) > len(b)) - (len(a) < len(b))) if a else 0.0 for a, b in sides]
    # Against itself under another name a model draws.
    assert rates == {
        ("one", "arena"): 0.5, **dict.fromkeys([("one", "with_gold"), ("base", "with_gold")], sum(points) / len(points))
    }  # fmt: skip
    print_scores([c.ref for c in calls if c.stage == "score_answers" and c.ref is not None])
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert told[told.index(["arena"]) + 1][:2] == ["one", "0.500"], "under the suite, each model with its rate"
    assert (
        samples.filter(suite="arena")["correct"].null_count() == (samples.filter(suite="arena")["answer"] != "").sum()
    )
    parents = scores.filter(metric="win_rate", model="one", suite="arena")["parents"].to_list()[0]
    assert set(parents) == set(judged.filter(model="one", suite="arena")["id"])
    run(asked(data, custom=[own, arena, SUMS], models=models))
    later = tables.view("evals").scan().filter(metric="win_rate").collect()
    assert later.sort("id").equals(scores.filter(metric="win_rate").sort("id")), "another suite leaves them"
    runner = Runner(home, dry=True)
    for changes, words in (
        ({}, "suite with_gold needs a judge: set evaluate.judge.server"),
        ({"judge": {"server": server}}, "suite arena holds no baseline's answers: .*'one', 'base'"),
        ({"judge": {"server": server, "baseline": "rigor-r1"}}, "not 'rigor-r1'"),
    ):
        with pytest.raises(ConfigError, match=words):
            run_evaluate(runner, asked(data, **asks, **changes))


def test_what_is_missing_is_said(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIGOR_DATA", raising=False)
    runner = Runner(home, dry=True)
    for config, words in (
        ({"suites": ["nothing"]}, "no suite 'nothing'; there are: .*math500"),
        ({"suites": ["math500"]}, "no data folder: set RIGOR_DATA.*HuggingFaceH4/MATH-500.*downloads no data set"),
        ({"suites": ["gpqa_diamond"], "data": str(tmp_path)}, "no file .*gpqa_diamond.parquet; .*Idavidrein/gpqa"),
        ({"suites": ["held_out"]}, "rigor run synthesize"),
        ({"suites": [], "models": ["rigor-nothing"]}, "is no registered model"),
        ({"suites": [], "models": ["http://127.0.0.1:1/v1"]}, "#model"),
    ):
        with pytest.raises((ConfigError, LookupError), match=words):
            run_evaluate(runner, EvaluateConfig.model_validate(config))


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_fills_the_config(profile: str) -> None:
    config = configured("evaluate", profile, None, None)
    assert isinstance(config, EvaluateConfig)
    assert (config.sample_answers.temperature, config.sample_answers.top_p) == (0.6, 0.95), "R1's settings"
