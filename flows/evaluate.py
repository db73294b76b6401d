"""Evaluation: models × suites, every answer a row, every score with its interval."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect import flow

from flows.champion import ALIAS, ChampionConfig, held_by, model_version, run_champion
from flows.config import ConfigError
from flows.crawl_inputs import outside
from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.evaluate.contamination import TABLES
from tasks.evaluate.grading import PREFERENCE
from tasks.evaluate.judge_against_baseline import STAGE as JUDGE_AGAINST_BASELINE
from tasks.evaluate.judge_against_baseline import JudgeAgainstBaselineConfig
from tasks.evaluate.sample_answers import STAGE as SAMPLE_ANSWERS
from tasks.evaluate.sample_answers import SampleAnswersConfig, Server
from tasks.evaluate.score_answers import STAGE as SCORE_ANSWERS
from tasks.evaluate.score_answers import ScoreAnswersConfig
from tasks.evaluate.suites import SUITES, Suite
from tasks.stage import SourceFile, StageConfig
from warehouse.fingerprint import canonical
from warehouse.lineage import ArtifactRef


class EvaluateConfig(StageConfig):
    """Which models answer which suites."""

    models: tuple[str, ...] = ()
    """Registered names (`rigor-base`), versions (`rigor-r1@2`), `champion` (who holds the alias), folders in Hugging
    Face form (`/models/mine`), or servers (`http://127.0.0.1:8000/v1#name`), each with `label=` before it if its name
    should differ. None: all registered models whose name begins with `rigor-`."""
    suites: tuple[str, ...] = ("held_out",)
    """Names of `tasks/evaluate/suites.py`, or of `custom`."""
    custom: tuple[Suite, ...] = ()
    """Further suites, or others under a known name."""
    data: str = ""
    """Folder of the suites' files; default: the environment variable RIGOR_DATA."""
    api_key_env: str = ""
    """Environment variable with the servers' key."""
    sample_answers: SampleAnswersConfig = SampleAnswersConfig()
    """Its `model`, `server` and `suite` are filled in for each call."""
    judge: JudgeAgainstBaselineConfig | None = None
    """Who compares answers with a baseline's (`alpaca_eval`, `arena_hard`); other suites need no judge."""
    score_answers: ScoreAnswersConfig = ScoreAnswersConfig()
    consider: bool = False
    """Let each registered model among them take the alias `champion`, if the rule says so (`flows/champion.py`). The
    present champion is asked the same."""
    champion: ChampionConfig = ChampionConfig()
    """The rule; its `candidate` is filled in."""


@flow(name="evaluate")
def evaluate(config: EvaluateConfig | None = None) -> list[str]:
    """Ask every model every suite and score it; returns the scores as `name@version[model]`, one a model.

    What the same model answered under the same label in earlier runs is scored with it.
    """
    config = config or EvaluateConfig()
    with flow_run("evaluate", config) as run:
        return [str(ref) for ref in run_evaluate(run, config)]


def run_evaluate(run: Runner, config: EvaluateConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order; the same code plans and runs.

    Raises:
        ConfigError: an unknown suite or model, two models of one name, a suite's file is missing, or its judge or
            baseline.
        LookupError: a suite's table is not there yet.
    """
    suites = [_suite(name, config) for name in config.suites]
    given = {suite.name: _data(run, suite, config) for suite in suites}
    training: dict[str, Given | None] = {}
    for name in TABLES:
        with suppress(LookupError):
            training[name] = run.newest(name, "")
    scores: list[ArtifactRef] = []
    models = [_split(text) for text in config.models] or [(name, name) for name in _language_models(run)]
    if config.consider and ALIAS not in [where for _, where in models] and held_by(run) is not None:
        models.insert(0, (ALIAS, ALIAS))
    labels = [label for label, _ in models]
    if len(set(labels)) < len(labels):
        raise ConfigError(f"evaluate.models: two models of one name among {labels}; write label=… before one")
    baseline = _baseline(suites, labels, config)
    models.sort(key=lambda model: model[0] != baseline)
    answered: dict[tuple[str, str], ArtifactRef | None] = {}
    for label, where in models:
        server, files = _model(run, where, config)
        made: list[ArtifactRef | None] = []
        for suite in suites:
            asked = config.sample_answers.model_copy(update={"model": label, "server": server, "suite": suite})
            ref = run.call(SAMPLE_ANSWERS, asked, {**files, **given[suite.name]}, [f"{label}.{suite.name}"])
            made.append(ref if ref is None or run.dry else run.make_current(ref))
            answered[label, suite.name] = made[-1]
        earlier = _earlier(run, label, server, files, suites)
        judged = [*_judged(run, suites, answered, label, baseline, config), *_judgements(run, earlier)]
        given_scores = {"eval_samples": _known([*made, *earlier]), **training}
        if judged:
            given_scores["eval_judgements"] = _known(judged)
        ref = run.call(SCORE_ANSWERS, config.score_answers, given_scores, [label])
        if ref is not None:
            scores.append(ref if run.dry else run.make_current(ref))
        registered = files.get("model") or ()
        if config.consider and not run.dry and registered and isinstance(registered[0], ArtifactRef):
            run_champion(run, config.champion.model_copy(update={"candidate": str(registered[0])}))
    return tuple(scores)


def _suite(name: str, config: EvaluateConfig) -> Suite:
    known = SUITES | {suite.name: suite for suite in config.custom}
    if name not in known:
        raise ConfigError(f"evaluate.suites: no suite {name!r}; there are: {', '.join(sorted(known))}")
    return known[name]


def _baseline(suites: Sequence[Suite], labels: Sequence[str], config: EvaluateConfig) -> str:
    """The model that the others are compared with; '' where no suite needs one."""
    judged = [suite for suite in suites if suite.grader == PREFERENCE]
    if judged and config.judge is None:
        raise ConfigError(f"suite {judged[0].name} needs a judge: set evaluate.judge.server (url, model, api_key_env)")
    without = [suite.name for suite in judged if not suite.gold]
    if config.judge is None or not without:
        return ""
    if config.judge.baseline not in labels:
        raise ConfigError(f"suite {without[0]} holds no baseline's answers: let evaluate.judge.baseline be one of "
                          f"evaluate.models, {labels}, not {config.judge.baseline!r}")  # fmt: skip
    return config.judge.baseline


def _judged(
    run: Runner, suites: Sequence[Suite], answered: Mapping[tuple[str, str], ArtifactRef | None], label: str,
    baseline: str, config: EvaluateConfig,
) -> list[ArtifactRef | None]:  # fmt: skip
    """The judgements of a model's answers to the suites that are judged."""
    made: list[ArtifactRef | None] = []
    for suite in suites:
        against = "" if suite.gold else baseline
        if config.judge is None or suite.grader != PREFERENCE or label == against:
            continue
        tables = {"eval_samples": label, **({"baseline": against} if against else {})}
        refs = {name: answered[model, suite.name] for name, model in tables.items()}
        given = {name: None if ref is None else (ref,) for name, ref in refs.items()}
        asked = config.judge.model_copy(update={"baseline": against})
        ref = run.call(JUDGE_AGAINST_BASELINE, asked, given, [f"{label}.{suite.name}"])
        made.append(ref if ref is None or run.dry else run.make_current(ref))
    return made


def _earlier(
    run: Runner, label: str, server: Server | None, files: Mapping[str, Given | None], suites: Sequence[Suite]
) -> list[ArtifactRef]:  # fmt: skip
    """Of the answers that the newest version holds, those of the same model under the same label to other suites.

    Read when the label is scored: what another run let it answer meanwhile counts too.
    """
    found: list[ArtifactRef] = []
    model, names = {given.digest for given in files.get("model") or ()}, {suite.name for suite in suites}
    for ref in (ref for ref in run.current("eval_samples") if ref.partitions[0].startswith(f"{label}.")):
        call = run.lineage.call_of(ref)
        asked = json.loads(call["config"])
        same = asked["model"] == label and asked["server"] == canonical(server)
        if same and asked["suite"]["name"] not in names and model == _model_of(call):
            found.append(ref)
    return found


def _model_of(call: Mapping[str, Any]) -> set[str]:
    """Digests of the model that a call of `sample_answers` asked: a registered one, or a folder's files."""
    given = [each for each in call["inputs"] if each["kind"] == "model" or each["name"].startswith("model:")]
    return {each["digest"] for each in given}


def _judgements(run: Runner, answers: Sequence[ArtifactRef]) -> list[ArtifactRef]:
    """What the newest version holds of judgements of exactly these answers."""
    held = {ref.partitions: ref for ref in run.current("eval_judgements")} if answers else {}
    pairs = [(ref.fingerprint, held[ref.partitions]) for ref in answers if ref.partitions in held]
    return [judged for answer, judged in pairs
            if answer in {given["fingerprint"] for given in run.lineage.call_of(judged)["inputs"]}]  # fmt: skip


def _known(refs: Sequence[ArtifactRef | None]) -> Given | None:
    """All of them; None where one is not made yet."""
    known = tuple(ref for ref in refs if ref is not None)
    return known if len(known) == len(refs) else None


def _data(run: Runner, suite: Suite, config: EvaluateConfig) -> dict[str, Given | None]:
    """What a suite reads: its own source, and that of its examples if any are asked for."""
    sources = {suite.name: suite.source}
    if any(config.sample_answers.shots) and suite.shots is not None:
        sources[f"{suite.name}.shots"] = suite.shots.source
    found: dict[str, Given | None] = {}
    for name, source in sources.items():
        if "." in source:
            found[name] = (_file(suite, source, config),)
        else:
            found[source] = run.newest(source, "synthesize")
    return found


def _file(suite: Suite, source: str, config: EvaluateConfig) -> SourceFile:
    folder = config.data or os.environ.get("RIGOR_DATA", "")
    path = Path(folder, source)
    if not folder or not path.is_file():
        missing = f"no file {path}" if folder else "no data folder: set RIGOR_DATA, or evaluate.data"
        hub = f"; on the Hugging Face hub the data set is {suite.hub}" if suite.hub else ""
        raise ConfigError(f"suite {suite.name} reads {source}: {missing}{hub}. Rigor downloads no data set by itself")
    return outside((str(path),))[0]


def _split(text: str) -> tuple[str, str]:
    """(label, where) of an entry of `models`."""
    label, sign, where = text.partition("=")
    if not sign or "/" in label:
        where = text
        label = text.rpartition("#")[2] if "://" in text else Path(text).name
    return re.sub(r"[^A-Za-z0-9._-]", "-", label), where


def _language_models(run: Runner) -> list[str]:
    """Those that are registered or that this run makes, in the order in which they were first made.

    Bases that students start from, and reward models, answer no questions unless they are named.
    """
    rows = run.lineage.calls().select("kind", "name").unique(maintain_order=True).iter_rows()
    known = [name for kind, name in rows if kind == "model"] + [call.writes.partition("@")[0] for call in run.calls]
    names = [name for name in dict.fromkeys(known) if re.fullmatch(r"rigor-(?!reward-)(?!.+-base).+", name)]
    if not names:
        raise ConfigError("evaluate.models: no model is registered yet; run `rigor run pretrain`, or name a folder")
    return names


def _model(run: Runner, where: str, config: EvaluateConfig) -> tuple[Server | None, Mapping[str, Given | None]]:
    """A server, or what the stage reads as the input `model`."""
    if "://" in where:
        url, sign, name = where.partition("#")
        if not sign or not name:
            raise ConfigError(f"evaluate.models: write a server as http://host:port/v1#model, not {where!r}")
        return Server(url=url, model=name, api_key_env=config.api_key_env), {}
    with suppress(LookupError):
        return None, {"model": run.newest(where, "")}
    if where == ALIAS or re.fullmatch(r"[\w.-]+@\d+", where):
        return None, {"model": (model_version(run, where),)}
    if not (Path(where) / "config.json").is_file():
        raise ConfigError(f"evaluate.models: {where!r} is no registered model (`rigor tables` lists them) and"
                          " no folder with a config.json")  # fmt: skip
    return None, {"model": outside(tuple(str(path) for path in sorted(Path(where).iterdir()) if path.is_file()))}
