"""`rigor review cold_start`: what a person decided becomes a version of the table, with lineage, that later runs use.

A review belongs to the content of the table as the filter made it (its digest). While the filter gives that content,
runs take the newest review of it, whatever else was computed in between; when the filter gives other rows, the review
is not applied to them, a warning says so, and `--carry` takes over the decisions about rows that are still the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
from prefect import flow

from flows.run import flow_run
from flows.runner import Given, Runner
from flows.settings import Settings
from tasks.curate.filter_cold_start import FilterColdStartConfig
from tasks.curate.review_chains import STAGE as REVIEW
from tasks.curate.review_chains import Decision, Decisions, ReviewConfig, decisions_of, listed, mistakes
from tasks.stage import SourceFile
from warehouse.lineage import ArtifactRef

TABLE = "cold_start"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Open:
    """The table under review: its rows as the filter made them, by what edits are judged, and what was decided."""

    made: ArtifactRef
    rows: list[dict[str, Any]]
    config: ReviewConfig
    decisions: dict[str, Decision]

    def keep(self, decisions: Decisions) -> ArtifactRef:
        """Make the table's newest version what these decisions (all of them, earlier ones too) make of the rows.

        Raises:
            ValueError: a decision is mistaken; the message lists them, and nothing is changed.
        """
        wrong = mistakes(self.rows, decisions, self.config.limits)
        if wrong:
            raise ValueError(listed(wrong))
        lines = "".join(f"{decisions[name].model_dump_json()}\n" for name in sorted(decisions))
        digest = sha256(lines.encode()).hexdigest()
        path = _folder(Settings()) / f"{TABLE}-{digest[:16]}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(lines, encoding="utf-8")
        made: list[ArtifactRef] = review(self.made, self.config, SourceFile(str(path), digest, len(lines.encode())))
        return made[0]


@flow(name="review")
def review(made: ArtifactRef, config: ReviewConfig, decisions: SourceFile) -> list[ArtifactRef]:
    """Commit a review of the table that `made` names, as its newest version."""
    with flow_run("review", config) as run:
        ref = run.call(REVIEW, config, _given(run, made, decisions))
        return [] if ref is None else [run.make_current(ref)]


def apply_review(run: Runner, made: ArtifactRef | None) -> ArtifactRef | None:
    """The newest review of what the filter made, or what it made where nobody reviewed it; that becomes current."""
    if made is None:
        return None
    call = _review_of(run, made)
    if call is not None:
        edge = next(given for given in call["inputs"] if given["kind"] == "file")
        decisions = SourceFile(str(_folder(run.settings) / edge["name"].partition(":")[2]), edge["digest"], 0)
        made = run.call(REVIEW, _config(call), _given(run, made, decisions)) or made
    elif not run.dry:
        _warn_of_others(run, made)
    return made if run.dry else run.make_current(made)


def open_review(run: Runner) -> Open:
    """The newest version of the table, ready to be reviewed.

    Raises:
        LookupError: there is no table yet.
    """
    (newest,) = run.newest(TABLE, "cold_start") or ()
    call = run.lineage.call_of(newest)
    if call["stage"] != REVIEW.name:
        return _opened(run, newest, {})
    made = _root(run, call)
    rows, reviewed = (run.view((ref,)).scan().collect().to_dicts() for ref in (made, newest))
    return _opened(run, made, decisions_of(rows, reviewed, _why(run, call)))


def carried(run: Runner, table: Open) -> tuple[dict[str, Decision], int]:
    """Decisions of the last review of other rows about rows that are here too, and how many found none."""
    other = next((call for call in _reviews(run) if _root(run, call).digest != table.made.digest), None)
    if other is None:
        raise LookupError(f"no review of another version of {TABLE} to carry over")
    made, reviewed = _root(run, other), run.lineage.find(other["fingerprint"])
    rows, after = (run.view((ref or made,)).scan().collect().to_dicts() for ref in (made, reviewed))
    found = decisions_of(rows, after, _why(run, other))
    here = {row["id"] for row in table.rows}
    kept = {name: decision for name, decision in found.items() if name in here}
    return kept, len(found) - len(kept)


def _why(run: Runner, call: Mapping[str, Any]) -> dict[str, str]:
    """The notes of the rows that a review rejected."""
    refused = run.lineage.tables.view("quarantine", partitions=[call["fingerprint"]]).scan()
    return dict(refused.filter(pl.col("stage") == REVIEW.name).select("row", "detail").collect().iter_rows())


def _folder(settings: Settings) -> Path:
    """Where decisions are kept."""
    return settings.absolute_home() / "reviews"


def _opened(run: Runner, made: ArtifactRef, decisions: dict[str, Decision]) -> Open:
    filtered = FilterColdStartConfig.model_validate(_plain(json.loads(run.lineage.call_of(made)["config"])))
    rows = run.view((made,)).scan().collect().to_dicts()
    return Open(made, rows, ReviewConfig(limits=filtered.limits), decisions)


def _given(run: Runner, made: ArtifactRef, decisions: SourceFile) -> dict[str, Given | None]:
    """The inputs of a review: the rows, the samples that they were made of (their parents), and the decisions."""
    upstream = [ArtifactRef(**given) for given in run.lineage.call_of(made)["inputs"] if given["kind"] == "table"]
    return {TABLE: (made,), **{ref.name: (ref,) for ref in upstream}, "decisions": (decisions,)}


def _reviews(run: Runner) -> list[dict[str, Any]]:
    """Calls of the stage, newest first."""
    calls = run.lineage.calls().to_dicts()
    return [call for call in reversed(calls) if call["stage"] == REVIEW.name and call["name"] == TABLE]


def _root(run: Runner, call: dict[str, Any]) -> ArtifactRef:
    """What a review is of."""
    edge = next(given for given in call["inputs"] if given["name"] == TABLE)
    found = run.lineage.find(edge["fingerprint"])
    if found is None:
        raise LookupError(f"{TABLE}@{edge['version']} is not in the lineage table")
    return found


def _review_of(run: Runner, made: ArtifactRef) -> dict[str, Any] | None:
    """Of the reviews of this content the one that was made, or made current, last."""
    reviews = {call["fingerprint"]: call for call in _reviews(run) if _root(run, call).digest == made.digest}
    commits = run.tables.history(TABLE) if reviews else []
    return next((reviews[p] for commit in commits if (p := commit.get("fingerprint", "")) in reviews), None)


def _warn_of_others(run: Runner, made: ArtifactRef) -> None:
    others = _reviews(run)
    if others:
        log.warning(
            "%s is not reviewed: the review of %s was of other rows. `rigor review cold_start --carry` takes over what"
            " was decided about rows that are still the same", made, _root(run, others[0]),
        )  # fmt: skip


def _config(call: dict[str, Any]) -> ReviewConfig:
    return ReviewConfig.model_validate(_plain(json.loads(call["config"])))


def _plain(value: Any) -> Any:
    """A canonical config (`warehouse.fingerprint`) as it was: floats are kept there in hexadecimal."""
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float.fromhex(value["float"])
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
