"""The mine: crawl files in, `math_corpus` out, as DeepSeekMath mined Common Crawl (arXiv 2402.03300, §2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow
from pydantic import Field

from flows.crawl_inputs import CrawlInputs, crawl_inputs
from flows.run import flow_run
from flows.runner import Runner
from tasks.mine import (
    decontaminate,
    deduplicate,
    extract_text,
    read_warc,
    recall_domains,
    score_pages,
    train_classifier,
)
from tasks.stage import StageConfig
from warehouse.lineage import ArtifactRef

Refs = tuple[ArtifactRef, ...]


class MineConfig(StageConfig):
    """What to mine and how. Paths say where to look; only what the files hold enters a fingerprint."""

    paths: tuple[str, ...] = ()
    """WARC, WET or ARC files, folders, globs, path lists (.txt, .gz), s3:// or https:// URLs; none: sample crawl."""
    positives: tuple[str, ...] = ()
    """Seed texts that are mathematics: JSONL or Parquet files."""
    negatives: tuple[str, ...] = ()
    """Seed texts that are not; random pages of the crawl join them."""
    benchmarks: tuple[str, ...] = ()
    """Benchmark files (JSONL or Parquet) that the corpus must not contain."""
    review: str = ""
    """A review file in which a person approved or vetoed domains and URL patterns (`rigor review-domains`)."""
    months: tuple[str, ...] = ()
    """Crawl months (YYYY-MM) to mine; none: all that the paths hold."""
    classifier: str = "train"
    """train: rounds over the months mined; latest: score with the newest classifier, train only if there is none."""
    max_rounds: int = Field(4, ge=1, le=20)
    """Rounds of train, score and recall at most (DeepSeekMath: 4)."""
    stop_overlap: float = Field(0.98, gt=0.0, le=1.0)
    """Stop when this share of a round's pages was already held (DeepSeekMath: about 0.98)."""
    read_warc: read_warc.ReadWarcConfig = read_warc.ReadWarcConfig()
    extract_text: extract_text.ExtractTextConfig = extract_text.ExtractTextConfig()
    train_classifier: train_classifier.TrainClassifierConfig = train_classifier.TrainClassifierConfig()
    score_pages: score_pages.ScorePagesConfig = score_pages.ScorePagesConfig()
    recall_domains: recall_domains.RecallDomainsConfig = recall_domains.RecallDomainsConfig()
    deduplicate: deduplicate.DeduplicateConfig = deduplicate.DeduplicateConfig()
    decontaminate: decontaminate.DecontaminateConfig = decontaminate.DecontaminateConfig()


@flow(name="mine")
def mine(config: MineConfig | None = None) -> list[str]:
    """Mine crawl files for mathematics; returns the corpus as `name@version[month]`, one a month."""
    config = config or MineConfig()
    with flow_run("mine", config) as run:
        return [str(ref) for ref in run_mine(run, config)]


def run_mine(run: Runner, config: MineConfig) -> Refs:
    """The stages in order; the same code plans (`Runner(dry=True)`) and runs."""
    given = crawl_inputs(config, run.settings)
    pages = {month: _pages(run, config, given, month) for month in given.months}
    scores = _scores(run, config, given, pages)
    corpus: list[ArtifactRef] = []
    unique: dict[str, ArtifactRef | None] = {}
    for month in given.months:
        unique[month] = _unique(run, config, pages[month], scores[month], unique, month)
        made = run.call(decontaminate.STAGE, config.decontaminate,
                        {"pages_unique": _one(unique[month]), "benchmarks": given.benchmarks}, [month])  # fmt: skip
        if made is not None:
            corpus.append(made if run.dry else run.make_current(made))
    return tuple(corpus)


def _pages(run: Runner, config: MineConfig, given: CrawlInputs, month: str) -> ArtifactRef | None:
    records = run.call(read_warc.STAGE, config.read_warc, {"crawl": given.crawl[month]}, [month])
    return run.call(extract_text.STAGE, config.extract_text, {"crawl_records": _one(records)}, [month])


def _scores(
    run: Runner, config: MineConfig, given: CrawlInputs, pages: dict[str, ArtifactRef | None]
) -> dict[str, ArtifactRef | None]:
    """Rounds of train, score and recall until a round brings little new; or one scoring by an older classifier."""
    held = run.lineage.current("classifier") if config.classifier == "latest" else None
    if held is not None:
        return _score(run, config, pages, (held,), _round_of(run, held))
    classifier_round, before, domains = 0, None, None
    while True:
        classifier_round += 1
        train = config.train_classifier.model_copy(update={"round": classifier_round})
        inputs = {"pages": _all(pages), "positives": given.positives, "negatives": given.negatives}
        if before is not None:
            inputs |= {"page_scores": _all(before), "domains": _one(domains)}
        classifier = run.call(train_classifier.STAGE, train, inputs)
        scores = _score(run, config, pages, _one(classifier), classifier_round)
        seen = _overlap(run, before, scores)
        run.metric("overlap", seen, classifier_round)
        if classifier_round == config.max_rounds or (seen is not None and seen >= config.stop_overlap):
            return scores
        before = scores
        domains = run.call(recall_domains.STAGE, config.recall_domains,
                           {"page_scores": _all(scores), "review": given.review})  # fmt: skip


def _score(
    run: Runner, config: MineConfig, pages: dict[str, ArtifactRef | None], classifier: Refs | None, number: int
) -> dict[str, ArtifactRef | None]:
    settings = config.score_pages.model_copy(update={"round": number})
    return {
        month: run.call(score_pages.STAGE, settings, {"pages": _one(ref), "classifier": classifier}, [month])
        for month, ref in pages.items()
    }


def _overlap(
    run: Runner, before: dict[str, ArtifactRef | None] | None, now: dict[str, ArtifactRef | None]
) -> float | None:
    earlier, later = _all(before or {}), _all(now)
    if not earlier or not later:
        return None
    return recall_domains.overlap(*(run.view(refs).scan().select("page", "collected").collect()
                                    for refs in (earlier, later)))  # fmt: skip


def _unique(
    run: Runner, config: MineConfig, pages: ArtifactRef | None, scores: ArtifactRef | None,
    done: dict[str, ArtifactRef | None], month: str
) -> ArtifactRef | None:  # fmt: skip
    """Deduplicate a month against itself and the months before it, of this run or already in the warehouse."""
    inputs = {"pages": _one(pages), "page_scores": _one(scores)}
    earlier = sorted({*done, *run.lineage.months("pages_unique")})
    held = [done[m] if m in done else run.lineage.current("pages_unique", m) for m in earlier if m < month]
    if held:
        inputs["held"] = None if None in held else tuple(ref for ref in held if ref is not None)
    return run.call(deduplicate.STAGE, config.deduplicate, inputs, [month])


def _round_of(run: Runner, classifier: ArtifactRef) -> int:
    return int(run.lineage.config_of(classifier)["round"])


def _one(ref: ArtifactRef | None) -> Refs | None:
    return None if ref is None else (ref,)


def _all(refs: dict[str, ArtifactRef | None]) -> Refs | None:
    found: Sequence[ArtifactRef] = [ref for ref in refs.values() if ref is not None]
    return tuple(found) if len(found) == len(refs) and found else None
