"""Formulas of a web page: found in every carrier seen in the wild, and kept as LaTeX in document order."""

from tasks.mine.formulas.carriers import lift, lift_text
from tasks.mine.formulas.ledger import TOKEN, Formula, Ledger
from tasks.mine.formulas.page import TooManyElementsError

__all__ = ["TOKEN", "Formula", "Ledger", "TooManyElementsError", "lift", "lift_text"]
