"""`rigor trace`: from a row to the crawl file, offset and digest it came from, and to the bytes there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.commands import out, warehouse_tables
from flows.settings import Settings
from tasks.mine.crawl_paths import resolve
from tasks.mine.read_warc import ReadWarcConfig
from tasks.mine.warc_page import record_digest
from tasks.mine.warc_records import read_record_at
from warehouse.lineage import Hop, Lineage

SHOWN = ("url", "crawl_date", "language", "score", "cluster_size", "source_file", "offset", "length", "digest")


def trace_row(row: str, crawl: Sequence[str] | None) -> None:
    """Print the chain and check that the bytes at its end are the page.

    Raises:
        LookupError: no such row.
    """
    hops = Lineage(warehouse_tables()).trace(row)
    for hop in hops:
        facts = ", ".join(f"{k} {hop.row[k]}" for k in SHOWN if hop.row.get(k) is not None)
        out.print(f"{'  ' * hop.depth}[bold]{hop.artifact}[/] by {hop.stage}  {hop.row['id']}\n"
                  f"{'  ' * hop.depth}  {facts}", highlight=False)  # fmt: skip
    for hop in hops:
        if "offset" in hop.row and hop.artifact.startswith("crawl_records"):
            _check(hop, crawl)


def _check(hop: Hop, crawl: Sequence[str] | None) -> None:
    row: dict[str, Any] = hop.row
    places = crawl or [str(Settings().absolute_home() / "sample-crawl" / "crawl")]
    try:
        files = [f for f in resolve(tuple(places)) if Path(f.path).name == row["source_file"]]
    except (FileNotFoundError, ValueError):
        files = []
    if not files:
        out.print(
            f"bytes not checked: {row['source_file']} is not in {', '.join(places)}; name its folder with --crawl"
        )
        return
    limits = ReadWarcConfig()
    record = read_record_at(files[0].path, row["offset"], row["length"], limits)
    same = record_digest(record, limits) == row["digest"]
    verdict = "[green]are the page[/]" if same else "[bold red]are NOT the page[/]"
    out.print(
        f"{files[0].path}\n  {len(record):,} bytes at {row['offset']:,}: their digest says they {verdict}",
        highlight=False,
    )
