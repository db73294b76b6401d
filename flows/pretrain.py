"""Pre-training: the corpora as tokens, and the base model (MoE with MTP) that learns from them."""

from __future__ import annotations

from contextlib import suppress

from prefect import flow

from flows.run import flow_run
from flows.runner import Given, Runner
from tasks.stage import StageConfig
from tasks.train.pack_tokens import STAGE as PACK_TOKENS
from tasks.train.pack_tokens import PackTokensConfig
from tasks.train.pretrain import STAGE as PRETRAIN
from tasks.train.pretrain import PretrainConfig
from tasks.train.train_tokenizer import STAGE as TRAIN_TOKENIZER
from tasks.train.train_tokenizer import TrainTokenizerConfig
from warehouse.lineage import ArtifactRef

CORPORA = ("math_corpus", "synthetic_corpus", "problems")


class PretrainFlowConfig(StageConfig):
    """From corpora to a base model."""

    train_tokenizer: TrainTokenizerConfig = TrainTokenizerConfig()
    pack_tokens: PackTokensConfig = PackTokensConfig()
    pretrain: PretrainConfig = PretrainConfig()


@flow(name="pretrain")
def pretrain(config: PretrainFlowConfig | None = None) -> list[str]:
    """Train a tokenizer, pack the corpora and pre-train `rigor-base`; returns the artifacts as `name@version`."""
    config = config or PretrainFlowConfig()
    with flow_run("pretrain", config) as run:
        return [str(ref) for ref in run_pretrain(run, config)]


def run_pretrain(run: Runner, config: PretrainFlowConfig) -> tuple[ArtifactRef, ...]:
    """The stages in order over the newest corpora; the same code plans and runs."""
    corpora: dict[str, Given | None] = {}
    for name in CORPORA:
        with suppress(LookupError):  # either corpus will do
            corpora[name] = run.newest(name, "")
    if not corpora.keys() & {"math_corpus", "synthetic_corpus"}:
        raise LookupError("no corpus to train on yet: run `rigor run synthesize`, `rigor run mine`, or both")
    tokenizer = run.call(TRAIN_TOKENIZER, config.train_tokenizer, corpora)
    given = None if tokenizer is None else (tokenizer,)
    tokens = run.call(PACK_TOKENS, config.pack_tokens, {**corpora, "tokenizer": given})
    made = (None if tokens is None else (tokens,),)
    base = run.call(PRETRAIN, config.pretrain, {"tokens": made[0], "tokenizer": given})
    return tuple(ref for ref in (tokenizer, tokens, base) if ref is not None)
