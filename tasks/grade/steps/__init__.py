"""The step checker: which step of a solution is wrong, and why?

`split_steps` cuts a raw chain of thought; `check_steps` finds every checkable claim of every step (computations in
plain text, LaTeX, English and Chinese words, equations that should follow from the one before, results put back) and
says ok, wrong with the corrected value, or not checkable. Parsing and exact algebra are `tasks.grade.math`'s; no
string is ever evaluated, and every claim has a budget.
"""

from tasks.grade.steps.check import check_steps
from tasks.grade.steps.report import Claim, Kind, StepReport, Verdict
from tasks.grade.steps.split import split_steps

__all__ = ["Claim", "Kind", "StepReport", "Verdict", "check_steps", "split_steps"]
