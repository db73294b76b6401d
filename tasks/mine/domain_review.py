"""The review file: where a person approves or vetoes domains and URL patterns found by `recall_domains`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import polars as pl

DECISIONS = {"auto": "auto", "approve": "approved", "veto": "vetoed"}
HEAD = """# Domains and URL patterns of the mine. Per line set decision to "approve" (its pages are mathematics),
# "veto" (they are not) or leave "auto" (the share decides). A line speaks for the pages under its pattern that
# no longer pattern speaks for; pattern "" is the whole domain. Lines may be added.
"""


class ReviewError(ValueError):
    """A review file that cannot be used; the message names the line and what is wrong."""


def write_review(domains: pl.DataFrame, path: Path, scores: pl.DataFrame | None = None, most: int = 500) -> None:
    """Write the `most` lines that weigh most (pages to gain or to lose) as TOML to edit.

    Args:
        domains: rows of the table `domains`; their decisions are kept.
        path: the file to write.
        scores: rows of `page_scores`, for three sample URLs a line.
        most: lines to write.
    """
    weight = pl.when("mathematical").then(pl.col("pages") - pl.col("collected")).otherwise("collected")
    lines = domains.sort([weight, pl.col("domain"), pl.col("pattern")], descending=[True, False, False]).head(most)
    urls = {} if scores is None else _urls(scores)
    verb = {decision: word for word, decision in DECISIONS.items()}
    text = [HEAD]
    for row in lines.iter_rows(named=True):
        samples = [url for url in urls.get(row["domain"], []) if row["pattern"].partition("?")[0] in url][:3]
        text.append(
            f"[[line]]\ndomain = {_quote(row['domain'])}\npattern = {_quote(row['pattern'])}\n"
            f"decision = {_quote(verb[row['decision']])}\n"
            f"# {row['collected']} of {row['pages']} pages collected ({row['share']:.3f}); "
            f"{'counts' if row['mathematical'] else 'does not count'} as mathematics\n"
            + "".join(f"#   {_quote(url)}\n" for url in samples)
        )
    path.write_text("\n".join(text), encoding="utf-8")


def read_review(path: Path) -> dict[tuple[str, str], str]:
    """(domain, pattern) → `approved` or `vetoed`, of the lines that a person decided.

    Raises:
        ReviewError: the file is missing or no TOML, a line lacks a key or has an unknown one, a decision is not
            one of auto, approve, veto, or two lines say different things of one pattern.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReviewError(f"{path}: cannot be read: {error}") from error
    lines = document.pop("line", [])
    if document or not isinstance(lines, list):
        raise ReviewError(f"{path}: holds {sorted(document)}; a review file holds [[line]] tables alone")
    decided: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or set(line) != {"domain", "pattern", "decision"}:
            raise ReviewError(f"{path}: line {number} needs exactly domain, pattern and decision, has {line}")
        if not all(isinstance(value, str) for value in line.values()) or line["decision"] not in DECISIONS:
            raise ReviewError(f"{path}: line {number} ({line['domain']}): decision is one of {list(DECISIONS)}")
        key, decision = (line["domain"], line["pattern"]), DECISIONS[line["decision"]]
        if decided.setdefault(key, decision) != decision:
            raise ReviewError(f"{path}: line {number} contradicts an earlier line of {key}")
    return {key: decision for key, decision in decided.items() if decision != "auto"}


def _urls(scores: pl.DataFrame) -> dict[str, list[str]]:
    """Domain → its URLs, the collected ones first."""
    ordered = scores.sort(["collected", "url"], descending=[True, False])
    grouped = ordered.group_by("domain", maintain_order=True).agg(pl.col("url"))
    return dict(zip(grouped["domain"].to_list(), grouped["url"].to_list(), strict=True))


def _quote(text: str) -> str:
    """A TOML basic string: JSON's escapes, which TOML shares, and DEL, which JSON leaves bare."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
