"""The prover's child process: reads pairs of trees as JSON lines, answers whether they are equal.

Started by path (`python -I worker.py`), so it imports nothing of ours and nothing of the caller's. Trees come
as nested lists and become mpmath values and SymPy objects by constructor calls; no string is ever parsed or
evaluated. The process holds itself to limits on memory, files and CPU
time; the parent kills it when it is late.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import signal
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

Tree = Any  # nested JSON lists: ["n", "3/4"], ["s", "x"], ["+", …], ["*", …], ["^", b, e], ["f", name, …]

_DIGITS = 60
_POINTS = 4
_HUGE = 10**7


class NoValueError(Exception):
    """No numeric value at this point."""


def confine(memory_bytes: int) -> None:
    """Memory, no core dumps, no files."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def symbols(tree: Tree) -> set[str]:
    """Variable names in a tree."""
    if tree[0] == "s":
        return set() if tree[1] in ("pi", "e", "i") else {tree[1]}
    if tree[0] == "n":
        return set()
    return set().union(*(symbols(t) for t in tree[1:] if isinstance(t, list)))


def has_operator(tree: Tree) -> bool:
    """Does a sum, product or integral over a bound variable occur?"""
    if tree[0] in ("n", "s"):
        return False
    return (tree[0] == "f" and tree[1] in ("sum", "prod", "int")) or any(
        has_operator(t) for t in tree[1:] if isinstance(t, list)
    )


def alternates(tree: Tree) -> bool:
    """Is a negative number raised to a variable power, as in (-1)^n? Then the variables are whole numbers."""
    if tree[0] in ("n", "s"):
        return False
    if tree[0] == "^" and tree[1][0] == "n" and tree[1][1].startswith("-") and symbols(tree[2]):
        return True
    return any(alternates(t) for t in tree[1:] if isinstance(t, list))


def evaluate(tree: Tree, point: dict[str, Any], mp: Any, real: bool) -> Any:
    """The mpmath value of a tree; on the real line only, when `real`."""
    kind = tree[0]
    if kind == "n":
        value = Fraction(tree[1])
        return mp.mpf(value.numerator) / value.denominator
    if kind == "s":
        if tree[1] in ("pi", "e", "i"):
            return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1)}[tree[1]]
        if tree[1] == "oo" or tree[1].startswith(("set_", "...")):
            raise NoValueError
        return point[tree[1]]
    if kind == "+":
        return mp.fsum(evaluate(t, point, mp, real) for t in tree[1:])
    if kind == "*":
        return mp.fprod(evaluate(t, point, mp, real) for t in tree[1:])
    if kind == "^":
        return power(evaluate(tree[1], point, mp, real), evaluate(tree[2], point, mp, real), mp, real)
    values = [evaluate(t, point, mp, real) for t in tree[2:]]
    return call(tree[1], values, mp, real)


def power(base: Any, exp: Any, mp: Any, real: bool) -> Any:
    """base ** exp, refusing results too large to hold."""
    if base == 0:
        if mp.re(exp) <= 0:
            raise NoValueError
        return mp.mpf(0)
    if real and mp.im(base) == 0 and mp.re(base) < 0 and not mp.isint(exp):
        raise NoValueError
    if abs(exp) > _HUGE or abs(mp.log(abs(base))) * abs(exp) > _HUGE:
        raise NoValueError
    return mp.power(base, exp)


def call(name: str, values: list[Any], mp: Any, real: bool) -> Any:
    """A function's value; an unknown one gets a value fixed by its name and arguments."""
    x = values[0]
    if any(abs(v) > _HUGE**2 for v in values) or (name in ("fact", "binom") and abs(x) > 10**6):
        raise NoValueError
    if name in ("ln", "log"):
        if (real and mp.im(x) == 0 and mp.re(x) <= 0) or x == 0:
            raise NoValueError
        base = values[1] if len(values) == 2 else (mp.e if name == "ln" else mp.mpf(10))
        return mp.log(x) / mp.log(base)
    if name == "root":
        degree, inner = values
        if mp.im(inner) == 0 and mp.re(inner) < 0 and mp.isint(degree) and int(degree) % 2:
            return -mp.power(-mp.re(inner), 1 / degree)
        return power(inner, 1 / degree, mp, real)
    if name in ("max", "min"):
        if any(mp.im(v) for v in values):
            raise NoValueError
        return (max if name == "max" else min)(mp.re(v) for v in values)
    table: dict[str, Callable[..., Any]] = {
        "arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan, "arccot": lambda z: mp.atan(1 / z),
        "arsinh": mp.asinh, "arcosh": mp.acosh, "artanh": mp.atanh, "abs": abs, "floor": mp.floor,
        "ceil": mp.ceil, "Re": mp.re, "Im": mp.im, "fact": mp.factorial, "fact2": mp.fac2,
        "binom": mp.binomial, "ratio": lambda a, b: a / b, "sgn": mp.sign, "arg": mp.arg,
        **{n: getattr(mp, n) for n in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth")},
    }  # fmt: skip
    if name in table:
        return table[name](*values)
    text = f"{name}({','.join(mp.nstr(v, 25) for v in values)})"
    return mp.mpf(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")) / 2**48 + 1


def sample(names: set[str], seed: int, mp: Any, whole: bool) -> dict[str, Any]:
    """Seeded values, positive at even seeds; whole numbers where the pair asks for them."""
    values = {}
    for name in sorted(names):
        if whole:
            values[name] = mp.mpf(seed + 1 + random.Random(f"{name}/{seed}").randrange(2))  # noqa: S311 - a sample point
            continue
        generator = random.Random(f"prove/{name}/{seed}")  # noqa: S311 - sample points, not secrets
        value = mp.mpf(generator.randrange(10**8, 29 * 10**7)) / 10**8
        values[name] = -value if seed % 2 and generator.random() < 0.6 else value
    return values


def numeric(a: Tree, b: Tree, mp: Any) -> tuple[bool | None, str]:
    """Agreement to 100 digits at every point with a value proves; one disagreement refutes."""
    names = symbols(a) | symbols(b)
    whole = alternates(a) or alternates(b)
    wanted = _POINTS * (4 if whole else 1)
    valued = 0
    for real in (True, False) if names else (False,):
        for seed in range(_POINTS * 6 if names else 1):
            try:
                mp.dps = 2 * _DIGITS
                point = sample(names, seed, mp, whole)
                x, y = evaluate(a, point, mp, real), evaluate(b, point, mp, real)
                scale = max(abs(x), abs(y))
            except (NoValueError, ZeroDivisionError, ValueError, OverflowError, TypeError, mp.NoConvergence):
                continue
            if not mp.isfinite(scale):
                continue
            gap = abs(x - y)
            if gap > scale * mp.mpf(10) ** -30 and gap > mp.mpf(10) ** -90:
                return False, "values differ"
            if gap > scale * mp.mpf(10) ** -80 and gap > mp.mpf(10) ** -100:
                return None, "values too close to tell"
            valued += 1
            if valued == wanted:
                break
        if valued:
            return True, f"equal to 80 digits at {valued} point{'s' * (valued > 1)}"
    return None, "no numeric value"


def to_sympy(tree: Tree, sp: Any) -> Any:
    """The SymPy object of a tree, built by constructors."""
    kind = tree[0]
    if kind == "n":
        value = Fraction(tree[1])
        return sp.Rational(value.numerator, value.denominator)
    if kind == "s":
        constants = {"pi": sp.pi, "e": sp.E, "i": sp.I, "oo": sp.oo}
        return constants[tree[1]] if tree[1] in constants else sp.Symbol(tree[1])
    args = [to_sympy(t, sp) for t in tree[1 if kind != "f" else 2 :]]
    if kind == "+":
        return sp.Add(*args)
    if kind == "*":
        return sp.Mul(*args)
    if kind == "^":
        return sp.Pow(*args)
    name = tree[1]
    if name in ("sum", "prod", "int"):
        head = {"sum": sp.Sum, "prod": sp.Product, "int": sp.Integral}[name]
        return head(args[0], (args[1], args[2], args[3])).doit()
    table = {
        "ln": sp.log, "log": lambda x, b=10: sp.log(x, b), "root": lambda n, x: sp.real_root(x, n),
        "fact": sp.factorial, "binom": sp.binomial, "arcsin": sp.asin, "arccos": sp.acos, "arctan": sp.atan,
        "abs": sp.Abs, "floor": sp.floor, "ceil": sp.ceiling, "max": sp.Max, "min": sp.Min,
        "ratio": lambda a, b: a / b, "Re": sp.re, "Im": sp.im,
    }  # fmt: skip
    if name in table:
        return table[name](*args)
    if name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth"):
        return getattr(sp, name)(*args)
    return sp.Function(name)(*args)


def symbolic(a: Tree, b: Tree) -> tuple[bool | None, str]:
    """SymPy's verdict on a - b."""
    import sympy as sp

    gap = sp.simplify(sp.expand(to_sympy(a, sp) - to_sympy(b, sp)))
    if gap == 0:
        return True, "SymPy: the difference simplifies to 0"
    zero = gap.equals(0)
    return (None, "SymPy cannot tell") if zero is None else (bool(zero), "SymPy: difference decided")


def prove(a: Tree, b: Tree) -> tuple[bool | None, str]:
    """Numbers first, because they are quick and exact enough; SymPy for what has no number."""
    import mpmath  # type: ignore[import-untyped]

    if has_operator(a) or has_operator(b):
        return symbolic(a, b)
    verdict, how = numeric(a, b, mpmath.mp)
    return symbolic(a, b) if how == "values too close to tell" else (verdict, how)


def main() -> None:
    """Serve requests until standard input closes."""
    confine(int(sys.argv[1]))
    sys.setrecursionlimit(3000)
    for line in sys.stdin:
        request = json.loads(line)
        if has_operator(request["a"]) or has_operator(request["b"]):
            import sympy  # noqa: F401 - half a second that is not this pair's
        # SIGPROF is left to its default action: the process ends, whatever C code it is in.
        signal.setitimer(signal.ITIMER_PROF, request["cpu_seconds"])
        try:
            verdict, how = prove(request["a"], request["b"])
        except MemoryError:
            verdict, how = None, "memory limit"
        except Exception as error:  # noqa: BLE001 - whatever SymPy raises, this pair is undecided
            verdict, how = None, f"undecided: {type(error).__name__}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps({"equal": verdict, "how": how}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
