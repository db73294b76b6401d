r"""Stage decontaminate: drop every page that holds words of a benchmark.

DeepSeekMath (Shao et al. 2024, section 2.1): a page is dropped if any 10-gram of it stands in a benchmark; a benchmark
text of 3 to 9 words counts when it stands in the page whole. Here `1 2 … 10` and `a b … j` are no hits: a match needs
some content words. A longer benchmark text without one such 10-gram (a bare formula) counts when it stands in the page
whole. Hits are found by 64-bit hashes and confirmed word by word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Self

import polars as pl
from pydantic import Field, model_validator

from tasks.mine.ngram_index import NgramIndex, Rules
from tasks.stage import Inputs, Reject, RejectedRow, Report, Rows, SourceFile, Stage, StageConfig
from warehouse.ids import row_ids
from warehouse.schema import MATH_CORPUS, PAGES_UNIQUE

CONTAMINATED = "contaminated"
RUNS = {"text": pl.Int64, "source": pl.Int64, "words": pl.String, "length": pl.Int64, "ngrams": pl.Int64}


class DecontaminateConfig(StageConfig):
    """What of a benchmark is looked for, and what counts as a hit."""

    ngram_words: int = Field(10, ge=2, le=64)
    """A page that shares this many consecutive words with a benchmark text is contaminated."""
    min_words: int = Field(3, ge=1, le=64)
    """Benchmark texts shorter than this, in words, are not looked for."""
    content_words: int = Field(3, ge=0, le=64)
    """Different content words that a shared n-gram needs."""
    short_content_words: int = Field(1, ge=0, le=64)
    """The same for a benchmark text that is matched whole."""
    content_bytes: int = Field(3, ge=1, le=20)
    """UTF-8 bytes from which a run of letters is a content word: 3 takes `sum` and a Chinese character, not `is`."""
    text_columns: tuple[str, ...] = ("problem", "question", "prompt", "text", "instruction")
    """Columns of a benchmark file to look for, those of them that it has; strings or lists of strings."""
    id_columns: tuple[str, ...] = ("id", "unique_id", "task_id", "question_id", "uid", "item_id", "idx", "index")
    """The first of these that a benchmark file has names its items; without one, the row number does."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_words > self.ngram_words:
            raise ValueError(f"min_words {self.min_words} is above ngram_words {self.ngram_words}")
        return self

    @property
    def rules(self) -> Rules:
        """The rules of the index."""
        return Rules(self.ngram_words, self.min_words, self.content_words, self.short_content_words, self.content_bytes)


def find_contamination(
    texts: pl.Series | Sequence[str], benchmarks: pl.DataFrame, config: DecontaminateConfig
) -> pl.DataFrame:
    """The benchmark items whose words stand in `texts`.

    Args:
        texts: what to search, one text a row.
        benchmarks: rows of benchmark, item, text (see `read_benchmarks`); an item may have several rows.
        config: what counts as a hit.

    Returns:
        A row for each text and item that share words: text (row number), benchmark, item, words (the longest run
        shared, lower case, a blank between words), ngrams (how many n-grams are shared). Ordered by text, then the
        longest run first.
    """
    return find_hits(NgramIndex(benchmarks["text"], config.rules), benchmarks, pl.Series("text", texts, pl.String))


def find_hits(index: NgramIndex, benchmarks: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
    """`find_contamination` with an index made once: `index` is that of the column text of `benchmarks`."""
    rows = [
        (r.text, r.source, " ".join(index.spelled(r.source)[r.origin : r.origin + r.length]), r.length, r.ngrams)
        for r in index.runs(texts)
    ]
    runs = pl.DataFrame(rows, RUNS, orient="row")
    return (
        runs.with_columns(benchmarks[name].gather(runs["source"]) for name in ("benchmark", "item"))
        .sort("text", "length", "source", descending=[False, True, False], maintain_order=True)
        .group_by("text", "benchmark", "item", maintain_order=True)
        .agg(pl.col("words").first(), pl.col("ngrams").sum())
    )


def read_benchmarks(files: Sequence[SourceFile], config: DecontaminateConfig) -> pl.DataFrame:
    """Rows of benchmark (the file's name without suffix), item, text of Parquet and JSON Lines files.

    Raises:
        ValueError: no file; a suffix that is not known; none of `text_columns` in a file; text that is no string.
    """
    if not files:
        raise ValueError("no benchmark files: there is nothing to decontaminate against")
    stems = [PurePosixPath(file.path).stem for file in files]
    named = []
    for file, stem in zip(files, stems, strict=True):
        path = PurePosixPath(file.path)
        named.append((f"{path.parent.name}/{stem}" if stems.count(stem) > 1 else stem, file.path))
    return pl.concat([_read_benchmark(name, path, config) for name, path in sorted(named)])


def _read_benchmark(name: str, path: str, config: DecontaminateConfig) -> pl.DataFrame:
    suffix = PurePosixPath(path).suffix
    if suffix == ".parquet":
        rows = pl.scan_parquet(path)
    elif suffix in (".jsonl", ".ndjson"):
        rows = pl.scan_ndjson(path, infer_schema_length=None)
    else:
        raise ValueError(f"{path}: a benchmark file is .parquet, .jsonl or .ndjson")
    schema = rows.collect_schema()
    columns = [column for column in config.text_columns if column in schema]
    if not columns:
        raise ValueError(
            f"{path}: has none of the text columns {config.text_columns}; its columns are {schema.names()}"
        )
    for column in columns:
        if schema[column] not in (pl.String, pl.List(pl.String)):
            raise ValueError(f"{path}: column {column} is {schema[column]}, not text")
    item = next((pl.col(c).cast(pl.String) for c in config.id_columns if c in schema), pl.lit(None, pl.String))
    items = rows.with_row_index("_row").select(
        pl.coalesce(item, pl.format("row {}", "_row")).alias("item"),
        *(pl.col(c) if schema[c] != pl.String else pl.concat_list(c) for c in columns),
    )
    texts = [items.select("item", pl.col(c).alias("text")).explode("text") for c in columns]
    return (
        pl.concat(texts)
        .filter(pl.col("text").is_not_null())
        .select(pl.lit(name).alias("benchmark"), "item", "text")
        .collect()
    )


def decontaminate(config: DecontaminateConfig, inputs: Inputs, report: Report) -> Rows:
    """Yield the unique pages that hold no benchmark, in their order; reject the others with all their hits.

    Raises:
        ValueError: see `read_benchmarks`.
    """
    benchmarks = read_benchmarks(inputs.files.get("benchmarks", ()), config)
    index = NgramIndex(benchmarks["text"], config.rules)
    report.metric("benchmark_texts", benchmarks.height)
    report.metric("benchmark_texts_not_looked_for", len(index.unlisted))
    seen = [pl.DataFrame(schema={"benchmark": pl.String, "item": pl.String, "pages": pl.UInt32})]
    view = inputs.tables["pages_unique"]
    total, done = view.rows, 0
    for batch in view.batches([n for n in PAGES_UNIQUE.arrow.names if n != "signature"]):
        pages = pl.DataFrame(batch)
        hits = find_hits(index, benchmarks, pages["text"])
        seen.append(hits.group_by("benchmark", "item").agg(pl.len().alias("pages")))
        report.rows_in(pages.height)
        report.reject(_rejects(pages, hits))
        yield _corpus_rows(pages.filter(~pl.int_range(pl.len()).is_in(hits["text"].implode())))
        done += pages.height
        report.progress(done, total, "pages")
    found = (
        pl.concat(seen).group_by("benchmark").agg(pl.col("item").n_unique().alias("items_found"), pl.col("pages").sum())
    )
    listed = benchmarks.group_by("benchmark").agg(pl.col("item").n_unique().alias("items"))
    report.table("contamination", listed.join(found, on="benchmark", how="left").fill_null(0).sort("benchmark"))


def _corpus_rows(unique: pl.DataFrame) -> pl.DataFrame:
    return unique.with_columns(
        pl.Series("id", row_ids(unique["page"]), pl.String), pl.concat_list("id").alias("parents")
    ).select(MATH_CORPUS.arrow.names)


def _rejects(pages: pl.DataFrame, hits: pl.DataFrame) -> Iterator[RejectedRow]:
    for (text,), matches in hits.group_by("text", maintain_order=True):
        detail = json.dumps(matches.drop("text").to_dicts(), ensure_ascii=False)
        row, page = pages.select("id", "page").row(int(str(text)))
        yield RejectedRow(row, Reject(CONTAMINATED, detail), page)


STAGE = Stage(
    name="decontaminate",
    version="2",
    reads=("pages_unique",),
    writes="math_corpus",
    config=DecontaminateConfig,
    run=decontaminate,
)
