"""The champion: one model version of the house holds the alias, and another takes it only by the rule.

The rule is `tasks/evaluate/compare_models.py`; each decision is rows of the table `decisions`, tags of the model's
version in MLflow, and a stage call in the lineage.
"""

from __future__ import annotations

import json
from typing import Any

import mlflow
import polars as pl
from prefect import flow
from pydantic import Field

from flows.config import ConfigError
from flows.run import flow_run
from flows.runner import Runner
from tasks.evaluate.compare_models import STAGE as COMPARE_MODELS
from tasks.evaluate.compare_models import CompareModelsConfig
from tasks.stage import StageConfig
from warehouse.lineage import ArtifactRef

ALIAS = "champion"


class ChampionConfig(StageConfig):
    """Which model is considered."""

    candidate: str = Field("rigor-r1", min_length=1)
    """MODEL (its newest version) or MODEL@version."""
    compare_models: CompareModelsConfig = CompareModelsConfig()
    """Its `candidate` and `champion` are filled in."""


@flow(name="champion")
def champion(config: ChampionConfig | None = None) -> list[str]:
    """Decide whether a model takes the alias `champion`; returns the decision as `name@version[partition]`."""
    config = config or ChampionConfig()
    with flow_run("champion", config) as run:
        return [str(ref) for ref in run_champion(run, config)]


def run_champion(run: Runner, config: ChampionConfig) -> tuple[ArtifactRef, ...]:
    """The comparison over the suites that both models answered alike, then the alias and its tags.

    Raises:
        LookupError: no such model, or one that was never evaluated.
    """
    candidate, holder = model_version(run, config.candidate), held_by(run)
    if holder is not None and not run.dry:  # a run killed in `_record` may have left two: before either is judged anew
        _take_from_others(holder)
    if holder is not None and (holder.name, holder.version) == (candidate.name, candidate.version):
        return ()  # it is the champion already
    own = _answers(run, candidate)
    if not own:
        raise LookupError(f"{candidate} was never evaluated: `rigor run evaluate --set \"models=['{candidate}']\"`")
    other = None if holder is None else _answers(run, holder)
    shared = {suite: (suite, asked) for suite, asked in own if other is None or (suite, asked) in other}
    if not shared:
        raise LookupError(f"{candidate} and the champion {holder} share no suite with the same settings:"
                          f' `rigor run evaluate --set "models=[\'{candidate}\', \'{holder}\']"`')  # fmt: skip
    given = {"candidate": tuple(own[key] for key in shared.values())}
    if other is not None:
        given["champion"] = tuple(other[key] for key in shared.values())
    rule = config.compare_models.model_copy(update={"candidate": str(candidate), "champion": str(holder or "")})
    ref = run.call(COMPARE_MODELS, rule, given, [f"{candidate}.{holder or 'first'}"])
    if ref is None or run.dry:
        return ()
    if held_by(run) != holder:  # another run has decided meanwhile, so this one compared with the wrong model
        return run_champion(run, config)
    decision = run.view([ref]).scan().drop("parents").collect()
    _record(candidate, holder, decision)
    return (ref,)


def held_by(run: Runner) -> ArtifactRef | None:
    """The model version that holds the alias, if one does.

    Where two hold it, a run was killed between giving it and taking it away: the later decision counts.
    """
    found = [model_version(run, f"{name}@{version}") for name, version in _holders()]
    decisions = run.lineage.calls().filter(pl.col("stage") == "compare_models")["config"]
    order = {json.loads(config)["candidate"]: number for number, config in enumerate(decisions)}
    return max(found, key=lambda model: order.get(str(model), -1), default=None)


def _holders() -> list[tuple[str, str]]:
    """(name, version) of the house's models that hold the alias; the registry may be other projects' too."""
    models = mlflow.MlflowClient().search_registered_models("name LIKE 'rigor-%'", max_results=1000)
    return [(model.name, model.aliases[ALIAS]) for model in models if ALIAS in model.aliases]


def model_version(run: Runner, text: str) -> ArtifactRef:
    """A registered model as the lineage knows it: MODEL, MODEL@version, or the alias's own name.

    Raises:
        LookupError: there is no such model.
    """
    if text == ALIAS:
        holder = held_by(run)
        if holder is None:
            raise LookupError("there is no champion yet: `rigor champion --consider MODEL`")
        return holder
    name, _, version = text.partition("@")
    calls = run.lineage.calls().filter((pl.col("kind") == "model") & (pl.col("name") == name))
    if version:
        if not version.isdigit():
            raise ConfigError(f"{text}: a version is a number, such as {name}@3")
        calls = calls.filter(pl.col("version") == int(version))
    if calls.is_empty():
        raise LookupError(f"no registered model {text}")
    row = calls.row(-1, named=True)
    return ArtifactRef(**{field: row[field] for field in ArtifactRef.model_fields})


def _answers(run: Runner, model: ArtifactRef) -> dict[tuple[str, str], ArtifactRef]:
    """The newest samples of a model version by suite and by what else was asked: the stage's config but its `model`.

    Two calls of one key asked the same suite with the same settings, so their answers compare. Oldest first.
    """
    calls = run.lineage.calls().filter(pl.col("stage") == "sample_answers")
    found: dict[tuple[str, str], ArtifactRef] = {}
    for call in calls.iter_rows(named=True):
        if any(given["kind"] == "model" and given["digest"] == model.digest for given in call["inputs"]):
            asked: dict[str, Any] = json.loads(call["config"])
            del asked["model"]
            key = (asked["suite"]["name"], json.dumps([call["stage_version"], asked], sort_keys=True))
            found.pop(key, None)
            found[key] = ArtifactRef(**{field: call[field] for field in ArtifactRef.model_fields})
    return found


def _record(candidate: ArtifactRef, holder: ArtifactRef | None, decision: pl.DataFrame) -> None:
    """The numbers as tags of the candidate's version; and the alias, if it was won.

    It is given before it is taken away: a kill in between must not leave the house without a champion, whose place
    anybody could take.
    """
    client = mlflow.MlflowClient()
    taken, reason = decision.row(0, named=True)["taken"], decision.row(0, named=True)["reason"]
    tags = {
        "decision": "taken" if taken else "refused",
        "decision.reason": reason,
        "decision.against": str(holder or ""),
    }
    for row in decision.filter(pl.col("suite") == "").iter_rows(named=True):
        tags |= {f"decision.{row['scope']}.{name}": str(row[name]) for name in
                 ("candidate_score", "champion_score", "difference", "low", "high", "questions")}  # fmt: skip
    for name, value in tags.items():
        client.set_model_version_tag(candidate.name, str(candidate.version), name, value)
    if taken:
        client.set_registered_model_alias(candidate.name, ALIAS, str(candidate.version))
        _take_from_others(candidate)


def _take_from_others(holder: ArtifactRef) -> None:
    """Leave the alias to this model alone."""
    for name, _ in _holders():
        if name != holder.name:
            mlflow.MlflowClient().delete_registered_model_alias(name, ALIAS)
