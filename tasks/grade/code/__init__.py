"""The code judge: runs model-written Python against tests where it can do no harm and cannot cheat.

>>> verdict = run_code("print(int(input()) * 2)", [StdioTest(stdin="4\\n", stdout="8\\n")])
>>> verdict.passed, verdict.reason
(True, <Reason.PASSED: 'passed'>)

Standard-output tests compare whole outputs outside the sandbox. Function tests run in a second sandbox and call the
program over a channel that carries plain data only, so the program never sees an expected value and no object of its
own takes part in a comparison. Without isolation nothing runs: `IsolationError` says what to install.
"""

from tasks.grade.code.compare import same_output
from tasks.grade.code.judge import CodeJudge, Tests, run_code
from tasks.grade.code.verdict import (
    CodeVerdict,
    FunctionTest,
    IsolationError,
    Limits,
    Reason,
    StdioTest,
    TestOutcome,
)

__all__ = [
    "CodeJudge",
    "CodeVerdict",
    "FunctionTest",
    "IsolationError",
    "Limits",
    "Reason",
    "StdioTest",
    "TestOutcome",
    "Tests",
    "run_code",
    "same_output",
]
