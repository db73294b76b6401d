"""A chain of thought as HTML: each step with its sign, the wrong one marked with what it should come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.look import GREY, RED, VERDICTS, escaped

_ROW = (
    "<li style='display:flex;flex-wrap:wrap;column-gap:.6em;align-items:baseline;"
    "padding:.1em .5em;border-left:4px solid {colour};margin:.15em 0;{mark}'>"
    "<span style='color:{colour};font-weight:700' aria-hidden='true'>{sign}</span>"
    "<span style='flex:1 1 8em;min-width:55%;overflow-wrap:anywhere;white-space:pre-wrap'>{text}</span>"
    "<span style='opacity:.75;font-size:.85em;text-align:right;margin-left:auto'>{note}</span></li>"
)


def chain(lines: Sequence[Mapping[str, Any]]) -> str:
    """Steps as a list. Each has text and verdict (ok, wrong, not_checkable), and may have role, reason and expected."""
    rows = []
    for line in lines:
        sign, colour, word = VERDICTS.get(line["verdict"], (" ", GREY, ""))
        note = " · ".join(escaped(part) for part in (line.get("role", ""), word) if part)
        if line["verdict"] == "wrong" and line.get("expected"):
            note += f"<br><b style='color:{RED}'>should be {escaped(line['expected'])}</b>"
        elif line["verdict"] == "wrong" and line.get("reason"):
            note += f"<br>{escaped(line['reason'])}"
        mark = f"background:{RED}22;" if line["verdict"] == "wrong" else ""
        rows.append(_ROW.format(colour=colour, mark=mark, sign=sign, text=escaped(line["text"]), note=note))
    return f"<ol style='list-style:none;padding:0;margin:0'>{''.join(rows)}</ol>"


def response(row: Mapping[str, Any]) -> str:
    """A judged response (a row of `eval_samples`): its thinking step by step with the verdicts, then the answer.

    The step checker's steps are most often the lines of the think part. Where they are not, the text is shown whole,
    with the wrong claim marked.
    """
    text, verdicts, first_wrong = row["response"], row["steps"], row["first_wrong"]
    head, opened, rest = text.partition("<think>")
    inner, closed, after = (rest if opened else head).partition("</think>")
    if not opened and not closed:
        inner, closed, after = head.partition("<answer>")
    found = [line.strip() for line in inner.splitlines() if line.strip()]
    final = f"<div style='padding:.4em .5em;overflow-wrap:anywhere'>{escaped(_untagged(after) or 'no answer')}</div>"
    if verdicts and len(found) == len(verdicts):
        steps = [{"text": line, "verdict": verdict, "expected": row["expected"] if index == first_wrong else ""}
                 for index, (line, verdict) in enumerate(zip(found, verdicts, strict=True))]  # fmt: skip
        return chain(steps) + final
    marked = escaped(inner.strip() or "no thinking")
    if row["wrong_claim"]:
        claim = escaped(row["wrong_claim"])
        note = f" [should be {escaped(row['expected'])}]" if row["expected"] else ""
        marked = marked.replace(claim, f"<mark style='background:{RED}44;color:inherit'>✗ {claim}{note}</mark>", 1)
    return f"<div style='white-space:pre-wrap;overflow-wrap:anywhere'>{marked}</div>{final}"


def _untagged(answer: str) -> str:
    return answer.replace("<answer>", "Answer: ").replace("</answer>", "").strip()
