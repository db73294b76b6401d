# ruff: noqa: E501 one formula a line
"""Random formulas by topic: what a page about algebra, calculus, … statistics would write."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tasks.sample_crawl.formulas import Node, big, frac, paren, row, signed, sub, sup

Make = Callable[[Random], Node]


def _n(rng: Random, low: int = 2, high: int = 30) -> str:
    return str(rng.randint(low, high))


def _v(rng: Random, letters: str = "xyztuab") -> str:
    return rng.choice(letters)


def _poly(rng: Random, x: str, degree: int) -> Node:
    parts: list[Node | str] = []
    for k in range(degree, -1, -1):
        if parts and rng.random() < 0.25:
            continue
        sign, c = signed(rng)
        if parts:
            parts.append(sign)
        if k == 0 or c != "1":
            parts.append(c)
        if k:
            parts.append(x if k == 1 else sup(x, str(k)))
    return row(*parts)


def _term(rng: Random) -> Node:
    x = _v(rng)
    return rng.choice((
        lambda: _poly(rng, x, rng.randint(1, 3)),
        lambda: frac(_poly(rng, x, 1), _poly(rng, x, rng.randint(1, 2))),
        lambda: Node("sqrt", "", (_poly(rng, x, rng.randint(1, 2)),)),
        lambda: row(_n(rng, 2, 9), rng.choice(("sin", "cos", "ln", "exp")), paren(_poly(rng, x, 1))),
        lambda: sup(paren(_poly(rng, x, 1)), _n(rng, 2, 7)),
    ))()  # fmt: skip


ALGEBRA: tuple[Make, ...] = (
    lambda r: row(_poly(r, _v(r), r.randint(2, 4)), "=", "0"),
    lambda r: row(_term(r), "=", _term(r)),
    lambda r: row(_v(r), "=", frac(row("-", _n(r), r"\pm", Node("sqrt", "", (row(_n(r, 5, 200)),))), _n(r))),
    lambda r: row(paren(_poly(r, (x := _v(r)), 1)), paren(_poly(r, x, 1)), "=", _poly(r, x, 2)),
    lambda r: row(_poly(r, _v(r), 1), r.choice((r"\leq", r"\geq", "<", ">")), _n(r)),
    lambda r: row(r.choice("GHK"), r"\subseteq", sub(r.choice("GHK"), _v(r, "ijk")), r"\cap", r.choice("NMS")),
    lambda r: row(r.choice([r"\varphi", r"f", r"g"]), paren(_v(r), _v(r)), "=",
                  r.choice("fgh"), paren(_v(r)), r"\cdot", r.choice("fgh"), paren(_v(r))),
)  # fmt: skip
CALCULUS: tuple[Make, ...] = (
    lambda r: row(big(r"\int", _n(r, 0, 3), r.choice((r"\infty", r"\pi", _n(r, 4, 9))), row(_term(r), "d", _v(r, "xt"))),
                  "=", frac(_n(r), _n(r))),
    lambda r: row(frac("d", row("d", _v(r, "xt"))), paren(_term(r)), "=", _term(r)),
    lambda r: row(Node("under", "lim", (row(_v(r, "xn"), r"\to", r.choice(("0", r"\infty", _n(r)))), _term(r))), "=", _n(r, 0)),
    lambda r: row(big(r"\sum", row((k := r.choice("kn")), "=", _n(r, 0, 2)), r"\infty", frac(sup("x", k), row(k, "!"))),
                  "=", sup("e", "x")),
    lambda r: row("f", "'", paren(x := _v(r)), "=", _poly(r, x, 2)),
    lambda _: row("|", "f", paren("x"), "-", "f", paren("y"), "|", "<", r"\varepsilon"),
    lambda r: row(frac(sup(r"\partial", "2"), row(r"\partial", sup("x", "2"))), "u", "=", _n(r), frac(r"\partial", row(r"\partial", "t")), "u"),
)  # fmt: skip
LINEAR: tuple[Make, ...] = (
    lambda r: row("A", "=", Node("matrix", "2", tuple(row(_n(r, 0, 19)) for _ in range(4)))),
    lambda r: row("det", paren(r.choice("ABM"), "-", r"\lambda", "I"), "=", _poly(r, r"\lambda", r.randint(2, 3))),
    lambda r: row(Node("matrix", "3", tuple(row(_n(r, 0, 9)) for _ in range(9))), "v", "=", r"\lambda", "v"),
    lambda r: row("dim", "ker", r.choice("ABT"), "=", "n", "-", _n(r, 1, 9)),
    lambda r: row(sup(r.choice("ABPQ"), row("-", "1")), r.choice("AD"), r.choice("PQ"), "=", "D"),
    lambda r: row(sub("v", "1"), "+", _n(r), sub("v", "2"), "-", _n(r), sub("v", "3"), "=", "0"),
)  # fmt: skip
STATISTICS: tuple[Make, ...] = (
    lambda _: row("P", paren("A", r"\mid", "B"), "=", frac(row("P", paren("A", r"\cap", "B")), row("P", paren("B")))),
    lambda r: row("P", paren(r.choice("XYZ"), "=", "k"), "=", Node("binom", "", (row(_n(r)), row("k"))),
                  sup("p", "k"), sup(paren("1", "-", "p"), row(_n(r), "-", "k"))),
    lambda r: row("E", paren(r.choice("XYZ")), "=", big(r"\sum", row("i", "=", "1"), _v(r, "nm"), row(sub("x", "i"), sub("p", "i")))),
    lambda r: row(sup(r"\sigma", "2"), "=", frac("1", row("n", "-", _n(r, 1, 3))),
                  big(r"\sum", row("i", "=", "1"), "n", sup(paren(sub("x", "i"), "-", r"\mu"), "2"))),
    lambda r: row("z", "=", frac(row(_n(r, 30, 90), "-", r"\mu"), row(r"\sigma", "/", Node("sqrt", "", (row(_n(r, 9, 99)),))))),
    lambda r: row(r.choice("XYZ"), r"\sim", "N", paren(_n(r, 1, 200), ",", sup(_n(r), "2"))),
    lambda r: row("P", paren("X", r.choice((r"\leq", ">")), _n(r)), "=", "0." + _n(r, 100, 999)),
)  # fmt: skip
NUMBERS: tuple[Make, ...] = (
    lambda r: row(sup(_n(r), _n(r, 2, 99)), r"\equiv", _n(r), "bmod", _n(r, 3, 101)),
    lambda r: row("gcd", paren(_n(r, 12, 999), ",", _n(r, 12, 999)), "=", _n(r, 1, 12)),
    lambda r: row(r.choice("pq"), r"\mid", sup(r.choice("abmn"), _n(r, 2, 5)), r.choice("+-"), _n(r)),
    lambda r: row(r"\varphi", paren(_n(r, 10, 999)), "=", _n(r, 4, 400)),
    lambda r: row(sup("x", "2"), "-", _n(r), sup("y", "2"), "=", r.choice(("1", _n(r)))),
    lambda r: row(_n(r), "x", "+", _n(r), "y", "=", _n(r, 20, 500)),
    lambda r: row(sup("2", r.choice("npk")), "-", "1", "=", _n(r), r.choice("mqj"), "+", _n(r, 1, 9)),
)  # fmt: skip
GEOMETRY: tuple[Make, ...] = (
    lambda r: row(sup("a", "2"), "+", sup("b", "2"), "=", sup(_n(r), "2")),
    lambda r: row(sup("c", "2"), "=", sup("a", "2"), "+", sup("b", "2"), "-", "2", "a", "b", "cos", paren(r.choice((r"\theta", r"\alpha")))),
    lambda r: row(r"\angle", r.choice(("ABC", "BCD", "PQR", "AOB")), "=", sup(_n(r, 10, 170), r"\circ")),
    lambda r: row(sup(paren("x", "-", _n(r, 1, 9)), "2"), "+", sup(paren("y", "+", _n(r, 1, 9)), "2"), "=", sup(_n(r), "2")),
    lambda r: row(frac(r.choice(("AB", "AP")), r.choice(("BC", "PC"))), "=", frac(_n(r, 1, 19), _n(r))),
    lambda r: row(r"\triangle", r.choice(("ABC", "APQ")), r.choice((r"\cong", r"\sim")), r"\triangle", r.choice(("DEF", "XYZ"))),
    lambda r: row("A", "=", frac("1", "2"), r"\cdot", _n(r), r"\cdot", _n(r), r"\cdot", "sin", paren(r"\beta")),
)  # fmt: skip
COUNTING: tuple[Make, ...] = (
    lambda _: row(Node("binom", "", (row("n"), row("k"))), "=", Node("binom", "", (row("n", "-", "1"), row("k", "-", "1"))),
                  "+", Node("binom", "", (row("n", "-", "1"), row("k")))),
    lambda r: row(sub("a", row("n", "+", _n(r, 1, 3))), "=", _n(r), sub("a", "n"), *signed(r)),
    lambda r: row(big(r"\sum", row("k", "=", _n(r, 0, 3)), "n", Node("binom", "", (row("n"), row("k")))), "=", sup("2", "n")),
    lambda r: row(Node("binom", "", (row(_n(r, 6, 40)), row(_n(r, 2, 5)))), r"\cdot", _n(r), "!", "=", _n(r, 100, 99999)),
    lambda r: row(big(r"\sum", row("k", "=", "1"), _n(r, 5, 200), sup("k", _n(r, 2, 4))), "=", _n(r, 100, 99999)),
)  # fmt: skip
BY_TOPIC = {"algebra": ALGEBRA, "calculus": CALCULUS, "linear": LINEAR, "statistics": STATISTICS,
            "numbers": NUMBERS, "geometry": GEOMETRY, "counting": COUNTING}  # fmt: skip
SMALL: tuple[Make, ...] = (
    lambda r: row(_v(r, "xyznkmp")),
    lambda r: row(_v(r, "nkm"), r.choice((r"\geq", ">", r"\leq")), _n(r, 1, 20)),
    lambda r: row(_v(r, "fgh"), paren(_v(r))),
    lambda r: row(_v(r, "xyz"), r"\in", r.choice((r"\mathbb{R}", r"\mathbb{Z}", r"\mathbb{Q}"))),
    lambda r: row(sub(_v(r, "abxs"), _v(r, "nki"))),
    lambda r: row(_v(r), "=", _n(r)),
    lambda r: sup(_v(r), _n(r, 2, 9)),
    lambda r: row(r.choice((r"\alpha", r"\lambda", r"\varepsilon", r"\theta")), ">", "0"),
)  # fmt: skip


def inline(rng: Random, topic: str) -> Node:
    """A formula for the middle of a sentence: small most of the time."""
    return rng.choice(SMALL if rng.random() < 0.55 else BY_TOPIC[topic])(rng)


def display(rng: Random, topic: str) -> Node:
    """A formula that stands alone."""
    return rng.choice(BY_TOPIC[topic])(rng)
