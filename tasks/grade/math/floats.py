"""The cheap refutation: both sides in float64 at seeded points, with a bound on what rounding can do."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Mapping

from tasks.grade.math.nodes import Add, Fn, Mul, Node, Num, Pow, Quantity, Sym, children

POINTS = 6
_TOLERANCE = 1e-9
_CONSTANTS: dict[str, complex] = {"pi": math.pi, "e": math.e, "i": 1j}


class NoValueError(Exception):
    """The expression has no float64 value at this point."""


def free_symbols(node: Node) -> set[str]:
    """Names of the variables in an expression."""
    found: set[str] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, Sym) and current.name not in _CONSTANTS:
            found.add(current.name)
        stack.extend(children(current))
    return found


def sample(names: set[str], seed: int) -> dict[str, complex]:
    """A seeded value for each variable, positive at even seeds and of either sign at odd ones."""
    values: dict[str, complex] = {}
    for name in sorted(names):
        generator = random.Random(f"{name}/{seed}")  # noqa: S311 - sample points, not secrets
        value = generator.uniform(0.3, 2.7)
        values[name] = -value if seed % 2 and generator.random() < 0.6 else value
    return values


def differ(a: Node, b: Node) -> bool | None:
    """True: proved different, up to rounding. False: agree wherever both have values. None: no values."""
    names = free_symbols(a) | free_symbols(b)
    if "oo" in names or any(n.startswith(("set_", "...")) for n in names):
        return None
    valued = False
    for seed in range(POINTS * 4 if names else 1):
        point = sample(names, seed)
        try:
            value_a, size_a = evaluate(a, point, real=bool(names))
            value_b, size_b = evaluate(b, point, real=bool(names))
        except NoValueError:
            continue
        except OverflowError:
            return None
        if not (cmath.isfinite(value_a) and cmath.isfinite(value_b)):
            continue
        if abs(value_a - value_b) > _TOLERANCE * max(size_a, size_b, 1e-300):
            return True
        valued = True
        if seed >= POINTS:
            break
    return False if valued else None


def real_value(node: Node) -> float | None:
    """The value of a constant real expression, infinities included."""
    if node == Sym("oo"):
        return math.inf
    if isinstance(node, Mul) and Sym("oo") in node.items and all(isinstance(x, Num | Sym) for x in node.items):
        sign = math.prod(float(x.value) for x in node.items if isinstance(x, Num))
        return math.copysign(math.inf, sign)
    if free_symbols(node):
        return None
    try:
        value, size = evaluate(node, {}, real=False)
    except (NoValueError, OverflowError):
        return None
    return value.real if abs(value.imag) <= 1e-12 * max(size, 1e-300) and math.isfinite(value.real) else None


def evaluate(node: Node, point: Mapping[str, complex], *, real: bool) -> tuple[complex, float]:
    """Value and the size of the largest intermediate result, which scales the rounding error."""
    match node:
        case Num(value):
            number = _to_float(value.numerator, value.denominator)
            return number, abs(number)
        case Sym(name):
            constant = _CONSTANTS.get(name)
            found = point[name] if constant is None and name in point else constant
            if found is None:
                raise NoValueError
            return found, abs(found)
        case Add(items):
            parts = [evaluate(item, point, real=real) for item in items]
            total = sum((v for v, _ in parts), 0j)
            return total, max(abs(total), *(s for _, s in parts))
        case Mul(items):
            product, size = 1 + 0j, 1.0
            for item in items:
                v, s = evaluate(item, point, real=real)
                product, size = product * v, size * s
            return product, max(size, abs(product))
        case Pow(base, exp):
            return _power(evaluate(base, point, real=real), evaluate(exp, point, real=real), real)
        case Fn(name, args):
            return _function(name, [evaluate(arg, point, real=real) for arg in args], real)
        case Quantity(value, "%"):
            v, s = evaluate(value, point, real=real)
            return v / 100, s / 100
        case _:
            raise NoValueError


def _to_float(top: int, bottom: int) -> float:
    try:
        return top / bottom
    except OverflowError as error:
        raise NoValueError from error


def _power(base: tuple[complex, float], exp: tuple[complex, float], real: bool) -> tuple[complex, float]:
    (b, b_size), (e, e_size) = base, exp
    if not (cmath.isfinite(b) and cmath.isfinite(e)):
        raise NoValueError
    if b == 0:
        if e.real <= 0:
            raise NoValueError
        return 0j, b_size
    if real and b.imag == 0 and b.real < 0 and (e.imag != 0 or e.real != round(e.real)):
        raise NoValueError
    if e == round(e.real) and abs(e) <= 64:
        value = b ** int(e.real)
    else:
        try:
            value = cmath.exp(e * cmath.log(b))
        except (OverflowError, ValueError) as error:
            raise NoValueError from error
    growth = (b_size / abs(b)) * (1 + abs(e)) * max(1.0, e_size / max(abs(e), 1e-300))
    return value, abs(value) * max(growth, abs(e * cmath.log(b)), 1.0)


def _function(name: str, args: list[tuple[complex, float]], real: bool) -> tuple[complex, float]:
    x, size = args[0]
    try:
        value = _call(name, [v for v, _ in args], real)
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise NoValueError from error
    spread = max((s / max(abs(v), 1e-300) for v, s in args), default=1.0)
    del x
    return value, max(abs(value) * spread, abs(value) * size, 1e-300, abs(value))


def _call(name: str, values: list[complex], real: bool) -> complex:
    x = values[0]
    if name in _COMPLEX:
        return _COMPLEX[name](x)
    if name in ("ln", "log", "root") and real and x.imag == 0 and x.real <= 0 and name != "root":
        raise NoValueError
    if name in ("ln", "log"):
        base = values[1] if len(values) == 2 else (math.e if name == "ln" else 10.0)
        return cmath.log(x) / cmath.log(base)
    if name == "root" and len(values) == 2:
        degree, inner = values
        if inner.imag == 0 and inner.real < 0 and degree.imag == 0 and degree.real % 2 == 1:
            return complex(-((-inner.real) ** (1 / degree.real)))
        return _power((inner, abs(inner)), (1 / degree, abs(1 / degree)), real)[0]
    if name == "ratio" and len(values) == 2:
        return values[0] / values[1]
    if name == "fact" and x.imag == 0 and 0 <= x.real < 170:
        return complex(math.gamma(x.real + 1))
    if name == "binom":
        n, k = values[0].real, values[1].real
        return complex(math.gamma(n + 1) / math.gamma(k + 1) / math.gamma(n - k + 1))
    raise NoValueError


_COMPLEX = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "sinh": cmath.sinh, "cosh": cmath.cosh,
    "tanh": cmath.tanh, "arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan,
    "cot": lambda z: 1 / cmath.tan(z), "sec": lambda z: 1 / cmath.cos(z), "csc": lambda z: 1 / cmath.sin(z),
    "coth": lambda z: 1 / cmath.tanh(z), "arccot": lambda z: cmath.atan(1 / z),
    "arsinh": cmath.asinh, "arcosh": cmath.acosh, "artanh": cmath.atanh,
    "abs": lambda z: complex(abs(z)), "Re": lambda z: complex(z.real), "Im": lambda z: complex(z.imag),
}  # fmt: skip
