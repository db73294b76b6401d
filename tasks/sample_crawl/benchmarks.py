# ruff: noqa: E501 one template, site or problem a line
r"""Benchmark items written for the sample crawl: word problems, contest problems with formulas, short items.

`$…$` marks a formula. Items are worded so that no page generator writes ten of their words in a row.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tasks.sample_crawl.formulas import Node
from tasks.sample_crawl.grammar import Inline


class Item(NamedTuple):
    """A benchmark item."""

    id: str
    problem: str
    answer: str
    language: str


_FILES = {
    "grade_school": """
Beatrix bakes forty scones for the village fair and sells three quarters of them before noon; how many scones does she carry home if she also drops two? = 8
A lighthouse flashes every 12 seconds and a buoy blinks every 18 seconds. If both light up at midnight, how many times do they light up together before five past midnight? = 9
Old Cornelius plants seven rows of leeks with nineteen leeks per row, but slugs eat every leek in the last row. How many leeks survive the night? = 114
The school choir has twice as many altos as sopranos and five fewer basses than altos. With 45 singers in total, how many sopranos sing in the choir? = 10
Quentin reads 23 pages on Sunday evening and then 4 pages more each evening than the evening before. On which evening does he finish a 230 page novel? = Saturday
A ferry carries at most 14 cars and each crossing takes 25 minutes there and back. What is the least number of minutes needed to ferry 80 cars across? = 150
Three sisters share a barrel of 96 walnuts so that Odile receives half as many as Ursula and Winifred receives 16 more than Odile. How many walnuts does Ursula receive? = 40
A snail climbs 5 feet up a well wall by day and slides back 2 feet by night. The well is 32 feet deep, so after how many days is the snail out? = 10
Philippa cycles to work at 15 miles an hour and home against the wind at 10 miles an hour; the round trip lasts one hour. How far away is her office? = 6
A baker has enough yeast for 27 loaves or 36 rolls. After making 15 loaves, for how many rolls will the remaining yeast be sufficient? = 16
Each of the nine drawers in an apothecary cabinet contains either 6 or 11 vials, and altogether there are 74 vials. How many drawers contain 11 vials? = 4
Rosamund paints a fence in 6 hours while her brother needs 9 hours for the same fence. How many minutes do they need when painting side by side? = 216
The clock in the attic loses four minutes every hour. It was set correctly at eight in the morning; what does it show when the true time is two in the afternoon? = 1:36
A parrot costs as much as four canaries, and two parrots plus three canaries cost 132 florins. What does a single canary cost? = 12
Twelve monks drink a cask of cider in twenty days. After eight days three monks depart on pilgrimage; how many further days does the cider last? = 16
A square quilt is sewn from 144 patches, and all patches touching the border are crimson. How many patches of the quilt are not crimson? = 100
""",
    "contest": """
Let $u$ and $v$ be positive integers with $uv + 3u + 5v = 2025$ and suppose further that $u$ exceeds $v$ by the smallest possible amount. Determine the sum $u + v$. = 83
How many ordered triples $(a, b, c)$ of nonnegative integers smaller than 50 make the decimal number formed by writing $a$, then $b$, then $c$ divisible by 7? = 17858
In trapezoid $KLMN$ with bases $KL = 39$ and $MN = 52$ the legs are $KN = 5$ and $LM = 12$. Compute the area of the trapezoid. = 210
The polynomial $p(t) = t^3 - 7t^2 + 11t + k$ has three roots in arithmetic progression for exactly one real constant $k$. Express that constant as a common fraction. = -7/27
A fair die is rolled until the running total first becomes a multiple of 6. What is the expected number of rolls that this experiment takes? = 6
Find the last two digits of $7^{7^{7}} + 3^{2025}$ and explain why the answer does not depend on the base in which the exponent tower is written. = 86
Points $D$ and $E$ trisect the hypotenuse of a right triangle whose legs are 9 and 12. What is the sum of the squares of the distances from the right angle to $D$ and $E$? = 125
A frog starts at lily pad 0 and hops forward by 1, 3 or 4 pads each second, never making two equal hops in succession. In how many manners might it land exactly on pad 11? = 9
Let $S(n)$ denote the sum of the decimal digits of $n$. For how many positive integers $n$ below 1000 does the equality $S(n) + S(n + 1) = 20$ hold true? = 6
Each vertex of a regular heptagon is coloured amber, jade or violet such that no three consecutive vertices wear the same colour. Count the colourings. = 1134
The sequence satisfies $s_1 = 4$ and $s_{n+1} = s_n^2 - 2$. What is the remainder when the two hundredth member of this sequence is divided by 31? = 2
For which real values of the parameter $w$ does the system $x + wy = 3$, $wx + 4y = 6$ possess infinitely many solutions $(x, y)$? = 2
The numbers 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 are written on a blackboard and in every move two of them are erased and replaced by their absolute difference. Is the final number odd? = yes
Eleven lanterns a, b, c, d, e, f, g, h, i, j, k hang in a circle and initially only lantern a burns; a switch toggles three neighbouring lanterns. Can all eleven lanterns burn? = yes
Two circles of radius 5 and 8 are externally tangent and share a common external tangent line. Find the radius of the small circle squeezed between them and this line, written as $(m - n\\sqrt{10})/9$ with integers. = (520-160\\sqrt{10})/9
A palindrome between 10000 and 99999 is chosen at random. Determine the probability that it is divisible by eleven, as a reduced fraction. = 41/450
""",
    "short": """
Compute $\\int_{0}^{\\pi} x \\sin x \\, dx$ exactly. = pi
What is seventeen times twenty-three minus forty? = 351
Factor $x^4 + 64$ over the integers. = (x^2+4x+8)(x^2-4x+8)
How many zeros end $125!$ written out? = 31
Find the smallest prime exceeding one thousand. = 1009
Solve $\\log_3(x - 5) = 4$ for $x$. = 86
Which perfect cube equals $11^3 + 397$? = 1728
Name the only even prime palindrome. = 2
What fraction of eighty-four is sixty-three? = 3/4
Evaluate the determinant of Hilbert's order-two matrix. = 1/12
""",
    "other_languages": """
Auf einem Dachboden hausen Spinnen und Käfer, zusammen 34 Tiere mit 236 Beinen; wie viele Spinnen spannen dort ihre Netze? = 16
Ein Uhrmacher stellt zwei Pendel auf, eines schlägt alle 14 Sekunden, das andere alle 21 Sekunden. Wie oft schlagen beide in einer halben Stunde gemeinsam? = 42
Une tortue et un escargot partent du même potager; la tortue avance de 90 mètres chaque heure, l'escargot de 12 mètres. Quelle avance a la tortue après 90 minutes? = 117
Un molinero reparte ciento veinte sacos de trigo entre tres burros de modo que cada burro lleva diez sacos más que el anterior; ¿cuántos lleva el último burro? = 50
В сундуке у мельника лежат золотые и серебряные пуговицы, золотых втрое меньше; когда он потерял восемь серебряных, золотых стало вдвое меньше. Сколько было золотых пуговиц? = 8
笼子里关着若干只仙鹤和乌龟,数一数共有三十五个脑袋和九十四只脚,请问仙鹤比乌龟多几只? = 11
老渔夫每天清晨撒网七次,每次捕到的鲤鱼都比前一次少两条,第一次捕到二十条,那么他一个清晨总共捕到多少条鲤鱼? = 98
把一根绳子连续对折五次后从正中间剪一刀,绳子会被剪成多少段?请写出推理过程。 = 33
""",
}
_PARQUET = """
Let $T$ be a nilpotent operator on a complex vector space of dimension nine whose kernel has dimension four. What is the largest conceivable index of nilpotency of $T$? = 6
Give the order of the automorphism group of the direct product of two cyclic groups whose orders are eight and nine respectively. = 24
A function that is holomorphic in the punctured plane satisfies $|h(z)| \\leq |z|^{5/2}$ everywhere. Which functions $h$ are possible under this growth restriction? = h=0
Count the subgroups of index two in the free group on four generators, not up to conjugacy but as honest subgroups. = 15
Independent exponential clocks with rates 2, 3 and 7 start simultaneously. What is the probability that the slowest clock is the first one to ring? = 1/6
Suppose that a connected planar graph has girth five and precisely 32 vertices. At most how many edges may such a graph possess? = 50
Find the residue at the origin of the function $z^3 \\cos(1/z)$ and simplify the resulting rational number. = 1/24
A continuous martingale starts at three and is stopped upon hitting zero or eleven. How likely is it that absorption happens at eleven? = 3/11
The curve with polar equation $r = 4\\sin(3\\theta)$ encloses several petals; calculate the total area enclosed by all of its petals. = 4*pi
How many monic irreducible polynomials of degree six exist over the field with two elements? = 9
Let $M$ be a real skew-symmetric matrix of odd size fifteen; what can be said about the determinant of $M$, and why is the conclusion false in characteristic two? = 0
"""


def _items(prefix: str, text: str) -> list[Item]:
    out = []
    for n, line in enumerate(text.strip().splitlines()):
        problem, answer = line.rsplit(" = ", 1)
        script = "zh" if re.search(r"[\u4e00-\u9fff]", problem) else "ru" if re.search(r"[а-я]", problem) else ""
        latin = {"Auf": "de", "Ein": "de", "Une": "fr", "Un": "es"}.get(problem.split()[0], "en")
        out.append(Item(f"{prefix}/{n:02}", problem, answer, script or latin))
    return out


JSONL = {name: _items(name, text) for name, text in _FILES.items()}
PARQUET = _items("college", _PARQUET)
ITEMS: tuple[Item, ...] = tuple(item for items in (*JSONL.values(), PARQUET) for item in items)


def write_benchmarks(folder: Path) -> None:
    """Write one JSON-lines file a set and the college set as Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in JSONL.items():
        lines = (json.dumps(item._asdict(), ensure_ascii=False) for item in items)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pl.DataFrame([item._asdict() for item in PARQUET]).write_parquet(folder / "college.parquet")


def as_inline(problem: str) -> Inline:
    """The problem's words and, between dollars, its formulas."""
    parts = problem.split("$")
    return tuple(p if i % 2 == 0 else Node("raw", p) for i, p in enumerate(parts) if p)
