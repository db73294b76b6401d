"""The mine: crawl files in, `math_corpus` out, as DeepSeekMath mined Common Crawl (arXiv 2402.03300, §2.1)."""

from __future__ import annotations

from typing import Literal

from prefect import flow
from pydantic import Field

from flows.crawl_inputs import CrawlInputs, crawl_inputs
from flows.run import flow_run
from flows.runner import Runner
from tasks.mine.decontaminate import STAGE as DECONTAMINATE
from tasks.mine.decontaminate import DecontaminateConfig
from tasks.mine.deduplicate import STAGE as DEDUPLICATE
from tasks.mine.deduplicate import DeduplicateConfig
from tasks.mine.extract_text import STAGE as EXTRACT_TEXT
from tasks.mine.extract_text import ExtractTextConfig
from tasks.mine.read_warc import STAGE as READ_WARC
from tasks.mine.read_warc import ReadWarcConfig
from tasks.mine.recall_domains import STAGE as RECALL_DOMAINS
from tasks.mine.recall_domains import RecallDomainsConfig, overlap
from tasks.mine.score_pages import STAGE as SCORE_PAGES
from tasks.mine.score_pages import ScorePagesConfig
from tasks.mine.train_classifier import STAGE as TRAIN_CLASSIFIER
from tasks.mine.train_classifier import TrainClassifierConfig
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
    """A review file in which a person approved or vetoed domains and URL patterns (`rigor review`)."""
    months: tuple[str, ...] = ()
    """Crawl months (YYYY-MM) to mine; none: all that the paths hold."""
    classifier: Literal["train", "latest"] = "train"
    """train: rounds over the months mined; latest: score with the newest classifier, train only if there is none."""
    max_rounds: int = Field(4, ge=1, le=20)
    """Rounds of train, score and recall at most (DeepSeekMath: 4)."""
    stop_overlap: float = Field(0.98, gt=0.0, le=1.0)
    """Stop when this share of a round's pages was already held (DeepSeekMath: about 0.98)."""
    read_warc: ReadWarcConfig = ReadWarcConfig()
    extract_text: ExtractTextConfig = ExtractTextConfig()
    train_classifier: TrainClassifierConfig = TrainClassifierConfig()
    score_pages: ScorePagesConfig = ScorePagesConfig()
    recall_domains: RecallDomainsConfig = RecallDomainsConfig()
    deduplicate: DeduplicateConfig = DeduplicateConfig()
    decontaminate: DecontaminateConfig = DecontaminateConfig()


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
    scores = _scores(run, config, given, _all(pages))
    corpus: list[ArtifactRef] = []
    unique: dict[str, ArtifactRef | None] = {}
    for month in given.months:
        unique[month] = _unique(run, config, pages[month], scores, unique, month)
        made = run.call(DECONTAMINATE, config.decontaminate,
                        {"pages_unique": _one(unique[month]), "benchmarks": given.benchmarks}, [month])  # fmt: skip
        if made is not None:
            corpus.append(run.make_current(made))
    return tuple(corpus)


def _pages(run: Runner, config: MineConfig, given: CrawlInputs, month: str) -> ArtifactRef | None:
    records = run.call(READ_WARC, config.read_warc, {"crawl": given.crawl[month]}, [month])
    return run.call(EXTRACT_TEXT, config.extract_text, {"crawl_records": _one(records)}, [month])


def _scores(run: Runner, config: MineConfig, given: CrawlInputs, pages: Refs | None) -> ArtifactRef | None:
    """Rounds of train, score and recall until a round brings little new; or one scoring by an older classifier."""
    held = run.lineage.current("classifier") if config.classifier == "latest" else None
    if held is not None:
        return _score(run, config, given, pages, held)
    before = domains = None
    for number in range(1, config.max_rounds + 1):
        inputs = {"pages": pages, "positives": given.positives, "negatives": given.negatives}
        if number > 1:
            inputs |= {"page_scores": _one(before), "domains": _one(domains)}
        train = config.train_classifier.model_copy(update={"round": number})
        scores = _score(run, config, given, pages, run.call(TRAIN_CLASSIFIER, train, inputs))
        seen = _overlap(run, before, scores)
        run.metric("overlap", seen, number)
        if seen is not None and seen >= config.stop_overlap:
            return scores
        before = scores
        if number < config.max_rounds:
            domains = run.call(RECALL_DOMAINS, config.recall_domains,
                               {"page_scores": _one(scores), "review": given.review})  # fmt: skip
    return before


def _score(
    run: Runner, config: MineConfig, given: CrawlInputs, pages: Refs | None, classifier: ArtifactRef | None
) -> ArtifactRef | None:
    return run.call(SCORE_PAGES, config.score_pages, {"pages": pages, "classifier": _one(classifier)}, given.months)


def _overlap(run: Runner, before: ArtifactRef | None, now: ArtifactRef | None) -> float | None:
    if before is None or now is None:
        return None
    return overlap(*(run.view([ref]).scan().select("page", "collected").collect() for ref in (before, now)))


def _unique(
    run: Runner, config: MineConfig, pages: ArtifactRef | None, scores: ArtifactRef | None,
    done: dict[str, ArtifactRef | None], month: str
) -> ArtifactRef | None:  # fmt: skip
    """Deduplicate a month against itself and the months before it, of this run or as the warehouse holds them now."""
    inputs = {"pages": _one(pages), "page_scores": _one(scores and scores.only(month))}
    current = {ref.partitions[0]: ref for ref in run.current("pages_unique")}
    held = {m: ref for m, ref in sorted((current | done).items()) if m < month}
    if held:
        inputs["held"] = _all(held)
    made = run.call(DEDUPLICATE, config.deduplicate, inputs, [month])
    return None if made is None else run.make_current(made)


def _one(ref: ArtifactRef | None) -> Refs | None:
    return None if ref is None else (ref,)


def _all(refs: dict[str, ArtifactRef | None]) -> Refs | None:
    """All of them, or None while one is not made yet."""
    found = tuple(ref for ref in refs.values() if ref is not None)
    return found if len(found) == len(refs) else None
