"""Every table of the warehouse: columns, dtypes, units, meaning, key and partition, in one place.

Columns common to all tables are `id` (content hash of the key columns, see `warehouse.ids`), `parents` (ids of
the rows this one was made from) and `partition` (the crawl month, `YYYY-MM`, or `all`).
"""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import COMMON, STRINGS, TIME, Column, TableSchema
from warehouse.schema_chains import CHAIN_TABLES
from warehouse.schema_curate import CURATE_TABLES
from warehouse.schema_decisions import DECISIONS
from warehouse.schema_eval import EVAL_TABLES
from warehouse.schema_ledger import LEDGER
from warehouse.schema_preferences import PREFERENCE_TABLES
from warehouse.schema_rl import RL_TABLES
from warehouse.schema_sft import SFT_TABLES
from warehouse.schema_train import TRAIN_TABLES

CRAWL_RECORDS = TableSchema(
    "crawl_records",
    "One page or text record of a WARC, WET or ARC file, bytes included.",
    ("source_file", "offset", "digest"),
    (
        Column("source_file", pa.string(), "file name of the WARC, without its folder"),
        Column("offset", pa.int64(), "position of the record in the file as stored", "bytes"),
        Column("length", pa.int64(), "length of the record in the file as stored", "bytes"),
        Column("digest", pa.string(), "payload digest: sha1: and base32 over the HTTP body as stored"),
        Column("url", pa.string(), "target URI"),
        Column("domain", pa.string(), "registered domain (public suffix + 1), or the host"),
        Column("crawl_date", TIME, "when the page was fetched"),
        Column("status", pa.int16(), "HTTP status; null for WET and other records without HTTP"),
        Column("mime", pa.string(), "MIME type as served, lower case, without parameters"),
        Column("charset", pa.string(), "detected character set of the payload"),
        Column("kind", pa.string(), "html, or text for WET conversions and text/plain"),
        Column("payload", pa.binary(), "decoded body: transfer and content encodings removed", "bytes"),
    ),
)

PAGES = TableSchema(
    "pages",
    "Main content of a page, its mathematics kept as LaTeX in document order.",
    ("url", "crawl_date", "text"),
    (
        Column("url", pa.string(), "target URI"),
        Column("domain", pa.string(), "registered domain"),
        Column("crawl_date", TIME, "when the page was fetched"),
        Column("source_file", pa.string(), "file name of the WARC, without its folder"),
        Column("offset", pa.int64(), "position of the record in that file", "bytes"),
        Column("length", pa.int64(), "length of the record in that file", "bytes"),
        Column("digest", pa.string(), "payload digest"),
        Column("status", pa.int16(), "HTTP status"),
        Column("mime", pa.string(), "MIME type as served"),
        Column("charset", pa.string(), "detected character set"),
        Column("language", pa.string(), "detected language of the text, ISO 639-1, or 'und'"),
        Column("title", pa.string(), "page title"),
        Column("text", pa.string(), "main content; formulas as $…$ and $$…$$"),
        Column("formulas", pa.int32(), "formulas kept in the text", "formulas"),
        Column("carriers", STRINGS, "markup that carried the formulas, sorted, unique"),
    ),
)

PAGE_SCORES = TableSchema(
    "page_scores",
    "The classifier's score of every page in one round.",
    ("page", "classifier"),
    (
        Column("page", pa.string(), "id of the page"),
        Column("classifier", pa.string(), "content hash of the classifier that scored it"),
        Column("url", pa.string(), "target URI"),
        Column("domain", pa.string(), "registered domain"),
        Column("round", pa.int16(), "round of the mine, from 1"),
        Column("score", pa.float32(), "probability of mathematics", "0 to 1"),
        Column("collected", pa.bool_(), "score at or above the round's threshold"),
    ),
)

DOMAINS = TableSchema(
    "domains",
    "Per round: domains and URL patterns, how much of each was collected, and the verdict on each.",
    ("round", "domain", "pattern"),
    (
        Column("round", pa.int16(), "round of the mine, from 1"),
        Column("domain", pa.string(), "registered domain"),
        Column("pattern", pa.string(), "URL path prefix under the domain; '' for the domain as a whole"),
        Column("pages", pa.int64(), "pages under it", "pages"),
        Column("collected", pa.int64(), "of these, collected in this round", "pages"),
        Column("share", pa.float64(), "collected / pages", "0 to 1"),
        Column("mathematical", pa.bool_(), "share above the bar, or approved by a person"),
        Column("decision", pa.string(), "auto, approved or vetoed"),
    ),
)

PAGES_UNIQUE = TableSchema(
    "pages_unique",
    "Collected pages after exact and near-duplicate removal.",
    ("page",),
    (
        Column("page", pa.string(), "id of the page"),
        Column("url", pa.string(), "target URI"),
        Column("domain", pa.string(), "registered domain"),
        Column("crawl_date", TIME, "when the page was fetched"),
        Column("language", pa.string(), "ISO 639-1"),
        Column("title", pa.string(), "page title"),
        Column("text", pa.string(), "main content"),
        Column("formulas", pa.int32(), "formulas in the text", "formulas"),
        Column("score", pa.float32(), "probability of mathematics", "0 to 1"),
        Column("cluster", pa.string(), "id of the near-duplicate cluster (its kept page's id)"),
        Column("cluster_size", pa.int32(), "pages in the cluster, the kept one included", "pages"),
        Column("signature", pa.list_(pa.uint32()), "MinHash signature, one value a permutation"),
    ),
)

MATH_CORPUS = TableSchema(
    "math_corpus",
    "The mined mathematics: unique, decontaminated pages.",
    ("page",),
    tuple(c for c in PAGES_UNIQUE.columns if c.name != "signature"),
)

QUARANTINE = TableSchema(
    "quarantine",
    "Every row that a stage rejected, with the reason and where it came from.",
    ("fingerprint", "row", "reason"),
    (
        Column("fingerprint", pa.string(), "fingerprint of the stage call that rejected it"),
        Column("stage", pa.string(), "stage name"),
        Column("row", pa.string(), "id of the rejected row, or a source position where it has none"),
        Column("reason", pa.string(), "short reason, the same words for the same cause"),
        Column("detail", pa.string(), "what exactly: the matched words, the error, the twin's id"),
        Column("count", pa.int64(), "rows it stands for; more than 1 where a kind is counted, not listed", "rows"),
        Column("source", pa.string(), "where it came from: file@offset, or a parent id"),
    ),
)

INPUT = pa.struct(
    [
        pa.field("name", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("version", pa.int64()),
        pa.field("partitions", STRINGS),
        pa.field("digest", pa.string()),
        pa.field("fingerprint", pa.string()),
    ]
)

LINEAGE = TableSchema(
    "lineage",
    "One row per artifact that a stage call committed: what it read, what it wrote, and what the call took.",
    ("fingerprint", "started"),
    (
        Column("fingerprint", pa.string(), "hash of stage, version, config and input digests"),
        Column("stage", pa.string(), "stage name"),
        Column("stage_version", pa.string(), "stage version"),
        Column("name", pa.string(), "table or model written"),
        Column("kind", pa.string(), "table or model"),
        Column("version", pa.int64(), "Delta or registry version written"),
        Column("partitions", STRINGS, "partitions written"),
        Column("digest", pa.string(), "sha256 of the content written"),
        Column("rows", pa.int64(), "rows written", "rows"),
        Column("rows_in", pa.int64(), "rows read", "rows"),
        Column("rejected", pa.int64(), "rows quarantined", "rows"),
        Column("config", pa.string(), "canonical config as JSON"),
        Column("inputs", pa.list_(INPUT), "tables, models and outside files read"),
        Column("mlflow_run", pa.string(), "MLflow run id"),
        Column("prefect_run", pa.string(), "Prefect task run id"),
        Column("git_sha", pa.string(), "commit of the code, '+dirty' when changed"),
        Column("started", TIME, "start of the call"),
        Column("seconds", pa.float64(), "wall-clock time", "s"),
        Column("cpu_seconds", pa.float64(), "CPU time, child processes included", "s"),
    ),
)

MINE_TABLES = (CRAWL_RECORDS, PAGES, PAGE_SCORES, DOMAINS, PAGES_UNIQUE, MATH_CORPUS)
STAGE_TABLES = (*MINE_TABLES, *CURATE_TABLES, *CHAIN_TABLES, *TRAIN_TABLES, *RL_TABLES, *EVAL_TABLES, *SFT_TABLES,
                *PREFERENCE_TABLES,
                DECISIONS)  # fmt: skip
TABLES = {t.name: t for t in (*STAGE_TABLES, QUARANTINE, LINEAGE, LEDGER)}

__all__ = ["COMMON", "TABLES", "Column", "TableSchema"]
