"""Stage: the round's classifier scores every page; a page is collected if it scores the threshold or more."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from datatrove.data import Document

from tasks.mine.classifier_file import Classifier, check_classifier, load_classifier
from tasks.pipeline import ReadTable, RowStep, ranks_for, run_blocks
from tasks.stage import Inputs, Reject, Report, Stage, StageConfig
from warehouse.ids import row_id
from warehouse.schema import PAGE_SCORES

READ_COLUMNS = ("id", "partition", "url", "domain", "text")


class ScorePagesConfig(StageConfig):
    """Nothing to choose: the classifier's card holds the threshold and the round."""


@lru_cache(maxsize=1)
def _loaded(folder: Path, sha256: str) -> Classifier:
    """The classifier, loaded by each worker at its first page and not again for its next rank."""
    return load_classifier(folder, sha256)


class ScorePages(RowStep):
    """Replace a page by its row of `page_scores`."""

    name = "score_pages"

    def __init__(self, folder: Path, sha256: str) -> None:
        """Score with the classifier in `folder`, whose file must have this SHA-256 in every worker."""
        super().__init__()
        self.folder, self.sha256 = folder, sha256

    def apply(self, doc: Document) -> Reject | None:
        """Never rejects: a page without a token scores 0."""
        classifier = _loaded(self.folder, self.sha256)
        score = classifier.score(doc.text)
        page, doc.id = doc.id, row_id(doc.id, self.sha256)
        doc.metadata.update(
            parents=[page],
            page=page,
            classifier=self.sha256,
            round=classifier.round,
            score=score,
            collected=score >= classifier.threshold,
        )
        return None


def score_pages(_config: ScorePagesConfig, inputs: Inputs, report: Report) -> Iterator[pa.RecordBatch]:
    """One row a page, in the pages' order."""
    folder, pages = inputs.models["classifier"], inputs.tables["pages"]
    sha256 = check_classifier(folder).sha256
    yield from run_blocks(
        [ReadTable(pages, READ_COLUMNS), ScorePages(folder, sha256)],
        schema=PAGE_SCORES.arrow,
        tasks=ranks_for(pages, inputs.workers),
        workers=inputs.workers,
        engine=inputs.engine,
        scratch=inputs.scratch,
        report=report,
    )
    _loaded.cache_clear()


STAGE = Stage(
    name="score_pages",
    version="1",
    reads=("pages",),
    writes="page_scores",
    config=ScorePagesConfig,
    run=score_pages,
)
