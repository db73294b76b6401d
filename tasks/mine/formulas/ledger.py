"""The formulas lifted out of a page, each standing in its text as a token that nothing else can look like.

A token is `U+E000 number U+E001`, or `U+E002 number U+E001` for a display formula: private-use characters survive
whitespace normalisation and main-content extraction, and no extractor can split, translate or escape them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.mine.formulas.tex import clean

INLINE, END, DISPLAY = "\ue000", "\ue001", "\ue002"
TOKEN = re.compile("[\ue000\ue002](\\d{1,9})\ue001")
_STRAY = re.compile("[\ue000-\ue002]")


@dataclass(frozen=True, slots=True)
class Formula:
    """One formula: LaTeX without delimiters, whether it stands on its own line, and what markup carried it."""

    tex: str
    display: bool
    carrier: str


class Ledger:
    """Formulas by number. `restore` puts them back into a text as `$…$` and `$$…$$`."""

    def __init__(self) -> None:
        """Begin without formulas."""
        self.formulas: list[Formula] = []

    def add(self, tex: str | None, carrier: str, *, display: bool = False) -> str:
        """Keep a formula and return the token that stands for it, or '' where nothing remains after cleaning."""
        cleaned = clean(tex or "")
        if not cleaned:
            return ""
        self.formulas.append(Formula(cleaned, display, carrier))
        return f"{DISPLAY if display else INLINE}{len(self.formulas) - 1}{END}"

    def restore(self, text: str) -> tuple[str, tuple[Formula, ...]]:
        """Replace the tokens of `text` by delimited LaTeX; also return the formulas in their order there."""
        found: list[Formula] = []

        def put(match: re.Match[str]) -> str:
            number = int(match[1])
            if number >= len(self.formulas):
                return ""
            formula = self.formulas[number]
            found.append(formula)
            return f"$${formula.tex}$$" if formula.display else f"${formula.tex}$"

        return without_tokens(TOKEN.sub(put, text) if END in text else text), tuple(found)


def without_tokens(text: str) -> str:
    """The text of a page as it came, without characters that could forge a token."""
    return _STRAY.sub("", text) if INLINE in text or END in text or DISPLAY in text else text
