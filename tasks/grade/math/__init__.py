"""The mathematics judge: is an answer the answer?

`verify(gold=…, prediction=…)` gives a `Verdict`; `verify_many` takes batches, `averify` serves coroutines, and
`extract_answer` finds the answer in a response. No string is ever evaluated: our own parser builds a typed
tree (`parse`), exact algebra decides most pairs in this process (`canon`), float64 refutes (`floats`), and a
pool of confined, killable worker processes decides the rest (`prover`, `worker`).
"""

from tasks.grade.math.extract import extract_answer, extract_choice
from tasks.grade.math.judge import Case, GoldError, Verdict, averify, parse_gold, verify, verify_many
from tasks.grade.math.leaves import Rounding
from tasks.grade.math.prover import ProverLimits

__all__ = [
    "Case",
    "GoldError",
    "ProverLimits",
    "Rounding",
    "Verdict",
    "averify",
    "extract_answer",
    "extract_choice",
    "parse_gold",
    "verify",
    "verify_many",
]
