"""The rows under review as a file that a person edits in any program, CSV or JSON lines, and back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.review import Open
from tasks.curate.review_chains import Decision, listed

COLUMNS = ("id", "decision", "note", "language", "prompt", "steps", "answer", "sampled", "source")
"""`decision`: accept, reject, edit or nothing. Of these columns `decision`, `note`, `steps` (a line each) and `answer`
are read back."""
KINDS = (".csv", ".jsonl")


def export_rows(table: Open, path: Path) -> int:
    """Write every row with what was decided so far; returns their number.

    Raises:
        ValueError: the file's name ends neither in .csv nor in .jsonl.
    """
    _kind(path)
    rows = [_exported(row, table.decisions.get(row["id"])) for row in table.rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return len(rows)


def import_rows(table: Open, path: Path) -> dict[str, Decision]:
    """All decisions, those of the file in the place of earlier ones about the same rows.

    Raises:
        ValueError: an unknown decision or row, a row twice, or one whose text was changed although its decision is
            not `edit`; the message lists the lines.
    """
    _kind(path)
    by_id = {row["id"]: row for row in table.rows}
    decisions, seen, wrong = dict(table.decisions), set[str](), list[str]()
    for number, line in _lines(path):
        name, said = str(line.get("id") or "").strip(), str(line.get("decision") or "").strip().lower()
        row = by_id.get(name)
        where = f"{path.name}, row {number} ({name or 'no id'})"
        if row is None or name in seen:
            wrong.append(f"{where}: {'twice in the file' if row else 'no such row in the table'}")
            continue
        seen.add(name)
        steps = tuple(part.strip() for part in str(line.get("steps") or "").splitlines() if part.strip())
        answer = str(line.get("answer") or "").strip()
        shown = _exported(row, decisions.pop(name, None))
        changed = (list(steps), answer) != (shown["steps"].splitlines(), shown["answer"])
        if said not in ("", "accept", "reject", "edit"):
            wrong.append(f"{where}: decision {said!r}: write accept, reject, edit or nothing")
        elif changed and said in ("", "accept"):
            wrong.append(f"{where}: its text was changed but its decision is {said or 'empty'}: write edit")
        elif said:
            edit = {"steps": steps, "answer": answer} if said == "edit" else {}
            try:
                decisions[name] = Decision.model_validate(
                    {"id": name, "decision": said, "note": str(line.get("note") or ""), **edit}
                )
            except ValidationError as error:
                wrong.append(f"{where}: {error.errors()[0]['msg']}")
    if wrong:
        raise ValueError(listed(wrong))
    return decisions


def _exported(row: Mapping[str, Any], decision: Decision | None) -> dict[str, str]:
    """A row of the file: an edited one as it was edited."""
    steps: Sequence[str] = row["steps"]
    answer = row["answer"]
    if decision is not None and decision.decision == "edit":
        steps, answer = decision.steps, decision.answer
    return {
        "id": row["id"], "decision": decision.decision if decision else "", "note": decision.note if decision else "",
        "language": row["language"], "prompt": row["prompt"], "steps": "\n".join(steps), "answer": answer,
        "sampled": row["rewritten_from"], "source": row["source"],
    }  # fmt: skip


def _lines(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """(number from 1, row) of the file."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        missing = {"id", "decision", "steps", "answer"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: the columns {', '.join(sorted(missing))} are missing")
        yield from enumerate(reader, 1)
        return
    for number, line in enumerate(io.StringIO(text), 1):  # a line ends at its line feed, and at no other character
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: no JSON object")
        yield number, row


def _kind(path: Path) -> None:
    if path.suffix not in KINDS:
        raise ValueError(f"{path}: the name must end in {' or '.join(KINDS)}")
