"""Stage: per round, which domains and URL patterns are mathematical (DeepSeekMath §2.1).

A domain of which more than `bar` was collected is mathematical: the pages of it that the classifier missed are
positives of the next round. Of a domain that is mathematical in part, URL patterns speak for their pages; they are
found from the shares below them (`url_patterns`), where the paper annotated by hand, and a person can approve or
veto any line (`domain_review`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from pydantic import Field

from tasks.mine.domain_review import read_review
from tasks.mine.url_patterns import Node, chain, find_patterns, named_steps, tree
from tasks.stage import Inputs, Report, Rows, Stage, StageConfig
from warehouse.ids import row_ids
from warehouse.schema import DOMAINS


class RecallDomainsConfig(StageConfig):
    """When a domain or pattern counts as mathematical."""

    bar: float = Field(0.10, ge=0.0, lt=1.0)
    """Share of collected pages above which it is mathematical (DeepSeekMath: 10 %)."""
    min_pages: int = Field(5, ge=1, le=1_000_000)
    """Pages under it below which it is not judged, in pages."""
    significance: float = Field(3.0, ge=0.0, le=100.0)
    """How clearly a pattern's share must differ from its surroundings', in standard errors."""


def recall_domains(config: RecallDomainsConfig, inputs: Inputs, report: Report) -> Rows:
    """One row a domain and one a pattern whose verdict is not its surroundings', by domain and pattern."""
    scores = inputs.tables["page_scores"].scan().select("round", "url", "domain", "collected").collect()
    review = {
        key: decision
        for file in inputs.files.get("review", ())
        for key, decision in read_review(Path(file.path)).items()
    }
    frame = domain_table(scores, config, review)
    mathematical = frame.filter("mathematical")
    report.metric("mathematical_domains", mathematical.filter(pl.col("pattern") == "").height)
    report.metric("mathematical_patterns", mathematical.filter(pl.col("pattern") != "").height)
    report.metric("decided_by_a_person", frame.filter(pl.col("decision") != "auto").height)
    report.table(
        "largest_domains", frame.sort("collected", "domain", "pattern", descending=[True, False, False]).head(100)
    )
    partition = inputs.partitions[0] if len(inputs.partitions) == 1 else "all"
    yield frame.with_columns(
        pl.Series("id", row_ids(*(frame[name] for name in DOMAINS.key)), dtype=pl.String),
        pl.lit([], dtype=pl.List(pl.String)).alias("parents"),
        pl.lit(partition).alias("partition"),
    ).select(DOMAINS.arrow.names)


def domain_table(
    scores: pl.DataFrame, config: RecallDomainsConfig, review: Mapping[tuple[str, str], str] | None = None
) -> pl.DataFrame:
    """The columns of `domains` but id, parents and partition, from one round's `page_scores`.

    A line's `mathematical` is the verdict on the pages that no more special line speaks for.

    Raises:
        ValueError: the scores are of several rounds.
    """
    rounds = scores["round"].unique().to_list()
    if len(rounds) > 1:
        raise ValueError(f"page_scores of rounds {sorted(rounds)} in one call; recall_domains takes one round")
    totals = scores.group_by("domain").agg(pl.len().alias("pages"), pl.col("collected").sum()).sort("domain")
    uniform = (
        (pl.col("collected") == 0) | (pl.col("collected") == pl.col("pages")) | (pl.col("pages") < config.min_pages)
    )
    decided: dict[str, dict[str, str]] = {}
    for (domain, pattern), decision in (review or {}).items():
        decided.setdefault(domain, {})[pattern] = decision
    reviewed = pl.col("domain").is_in(sorted(decided))
    plain = totals.filter(uniform & ~reviewed)
    lines = [
        (domain, "", pages, collected, pages >= config.min_pages and collected / pages > config.bar, "auto")
        for domain, pages, collected in plain.iter_rows()
    ]
    mixed = scores.join(totals.filter(~uniform | reviewed).select("domain"), on="domain", how="semi")
    for (domain,), pages_ in sorted(mixed.group_by("domain"), key=lambda item: str(item[0][0])):
        rows = list(pages_.select("url", "collected").iter_rows())
        named = decided.get(str(domain), {})
        root = tree(rows, str(domain), config.min_pages, named)
        found = find_patterns(root, bar=config.bar, minimum=config.min_pages, significance=config.significance)
        lines += [(domain, *line) for line in _reviewed(root, found, named)]
    schema = {"domain": pl.String, "pattern": pl.String, "pages": pl.Int64, "collected": pl.Int64,
              "mathematical": pl.Boolean, "decision": pl.String}  # fmt: skip
    return (
        pl.DataFrame(lines, schema, orient="row")
        .with_columns(
            pl.lit(rounds[0] if rounds else 1, dtype=pl.Int16).alias("round"),
            (pl.col("collected") / pl.col("pages")).fill_nan(0.0).alias("share"),
        )
        .sort("domain", "pattern")
    )


def _reviewed(
    root: Node, found: list[tuple[Node, bool]], decided: Mapping[str, str]
) -> Iterator[tuple[str, int, int, bool, str]]:
    """The lines found, with a person's decisions over them and with the lines that only the person named."""
    nodes = {node.pattern: (node, verdict) for node, verdict in found}
    everywhere = {node.pattern: node for node in _walk(root)}
    for pattern in sorted({*nodes, *decided}):
        node, verdict = nodes.get(pattern, (everywhere.get(pattern, Node(pattern)), False))
        decision = decided.get(pattern, "auto")
        yield pattern, node.pages, node.collected, decision == "approved" or (verdict and decision == "auto"), decision


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children.values():
        yield from _walk(child)


def find_lines(pages: pl.DataFrame, domains: pl.DataFrame) -> pl.DataFrame:
    """The line that speaks for each page (`url`, `domain`), the longest that matches, in the pages' order.

    Returns:
        Columns `domain`, `pattern`, `mathematical` and `decision`; of a page without a line the last three are
        null, False and `auto`.
    """
    lines: dict[str, set[str]] = {}
    for domain, pattern in domains.select("domain", "pattern").iter_rows():
        lines.setdefault(domain, set()).add(pattern)
    steps = {domain: named_steps(patterns) for domain, patterns in lines.items() if len(patterns) > 1}

    def longest(url: str, domain: str) -> str | None:
        patterns = lines.get(domain, set())
        if len(patterns) < 2:
            return next(iter(patterns), None)
        return next((p for p in reversed(chain(url, domain, steps[domain])) if p in patterns), None)

    found = [longest(url, domain) for url, domain in pages.select("url", "domain").iter_rows()]
    return (
        pages.select("domain")
        .with_columns(pl.Series("pattern", found, dtype=pl.String))
        .join(
            domains.select("domain", "pattern", "mathematical", "decision"),
            on=["domain", "pattern"],
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("mathematical").fill_null(value=False), pl.col("decision").fill_null("auto"))
    )


def overlap(previous: pl.DataFrame, current: pl.DataFrame) -> float:
    """Share of this round's collected pages that the previous round held already; 1 if nothing was collected.

    DeepSeekMath stopped its rounds when about 98 % of a round's pages were held.
    """
    now = current.filter("collected")
    held = now.join(previous.filter("collected"), on="page", how="semi")
    return held.height / now.height if now.height else 1.0


STAGE = Stage(
    name="recall_domains",
    version="1",
    reads=("page_scores",),
    writes="domains",
    config=RecallDomainsConfig,
    run=recall_domains,
    reconciles=False,
)
