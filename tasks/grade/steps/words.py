"""The words of verbal arithmetic and of caution, English and Chinese."""

# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import re

OPERATORS = {
    "plus": "+", "minus": "-", "times": "*", "加": "+", "加上": "+", "减": "-", "减去": "-", "乘": "*", "乘以": "*",
    "除以": "/",
}  # fmt: skip
"""Words that stand for an operator when a value follows."""

BY_OPERATORS = {"multiplied": "*", "divided": "/"}
"""The same, followed by "by"."""

COPULAS = frozenset("is are was were makes gives yields equals equal 等于 得到 得 是 约等于".split())
"""Words that stand for an equals sign between a computation and a value."""

PLAIN_EQUALS = frozenset(["等于", "约等于"])
"""Copulas that are always an equals sign."""

STOPPERS = frozenset(
    """and or so then therefore thus hence which that because since where but while if when than we get gives giving
    leaving makes making means has have had will would for with from into not find let suppose assume until if
    因为 所以 那么 如果""".split()
)
"""Words no operand reaches across."""

DETERMINERS = frozenset("the a an his her their its these those all my our your total remaining".split())
"""Words between "of" and its value."""

NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100,
}  # fmt: skip
MULTIPLES = {"twice": "2", "double": "2", "triple": "3", "thrice": "3"}
FRACTION_WORDS = {
    "half": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5,
    "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "万": 10**4, "亿": 10**8}
COMPARATIVES = frozenset("more less fewer times greater larger smaller percent percentage % of years year".split())
"""After "5 + 3 is 8 …" these say that the 8 is no result."""

_ROUNDING = re.compile(
    r"\b(?:approx\w*|about|roughly|around|nearly|almost|round\w*|nearest|estimat\w*|decimal places?|significant)\b"
    r"|≈|\\approx|约|大约|近似|四舍五入|取整",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:whole|floor|ceil\w*|full|complete|quotient|remainder|rounded|rounding|round|nearest|remaining|left ?over)\b"
    r"|\\lfloor|\\lceil|余|取整",
    re.IGNORECASE,
)
_REFUTED = re.compile(
    r"\b(?:incorrect\w*|wrong\w*|false|contradict\w*|mistake(?:n|nly)?|impossible|invalid|error|untrue|wait|oops|"
    r"misunderst\w*|miscalculat\w*|recalculate|recheck|instead|extraneous|discard|reject\w*|inconsistent|exceeds?|"
    r"should be|should have|neither|correction|not (?:true|equal|possible|correct|valid|hold))\b"
    r"|\\ne\b|\\neq\b|≠|错|不对|矛盾|不等|不成立|不可能",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|no|never|cannot|fails?|n['’]t)\b|n['’]t\b", re.IGNORECASE)
_TIME, _LENGTH, _METRIC = (60, 3600, 24, 7, 12, 52, 365), (12, 3, 36, 5280), (10, 100, 1000)
CONVERSIONS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys("cent cents penny pennies nickel nickels dime dimes".split(), (100, 5, 10, 20, 25)),
    **dict.fromkeys("dollar dollars quarter quarters".split(), (100, 4, 1000)),
    **dict.fromkeys("minute minutes min mins hour hours hr hrs second seconds".split(), _TIME),
    **dict.fromkeys("day days week weeks month months year years".split(), _TIME),
    **dict.fromkeys("inch inches foot feet yard yards mile miles".split(), _LENGTH),
    **dict.fromkeys("cm m km mm meter meters kilometer kilometers centimeter centimeters".split(), _METRIC),
    **dict.fromkeys("gram grams kg kilogram kilograms g mg liter liters ml".split(), _METRIC),
    **dict.fromkeys("ounce ounces pound pounds gallon gallons quart quarts cup cups pint pints".split(), (16, 4, 2, 8)),
    **dict.fromkeys("dozen dozens pair pairs".split(), (12, 2)),
    **dict.fromkeys("元 角 分".split(), (10, 100)),
    "percent": (100,),
}
"""Ratios by which a text may turn one unit into another without saying so: $0.50 and 50 cents."""

_HYPOTHETICAL = re.compile(
    r"\b(?:if|suppose|assum\w+|whether|unless|try|trying|guess\w*|imagine|would|could|might|such that|instead of|test|"
    r"testing|for example|case|say|when|want|need|condition|must|require\w*)\b|假设|如果|若|设",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"(?:\b(?:if|suppose|supposing|imagine|assum(?:e|ing))(?: for (?:now|a moment|contradiction))?,?(?: that)?|"
    r"假设|如果|假如|若|设)[\s$(]*$",
    re.IGNORECASE,
)
_MODULAR = re.compile(
    r"\\p?mod\b|\\bmod|\\equiv|≡|\bmod(?:ulo)?\b|\bcongruent\b|\bbase[- ]?\s?(?:\d|two|b\b)|\d_\{?\d+\}?|"
    r"\bbinary\b|\bhexadecimal\b|\bdigit\b|模|进制|同余"
)


def is_rounded(text: str) -> bool:
    """Does the text around a claim speak of rounding or approximation?"""
    return _ROUNDING.search(text) is not None


def is_whole(text: str) -> bool:
    """Does it speak of whole numbers, so that a fraction may have been cut or raised to one?"""
    return _WHOLE.search(text) is not None


def is_refuted(step: str, start: int, end: int) -> bool:
    """Does the step deny what it states from `start` to `end`, or take it back?"""
    if _REFUTED.search(step, max(0, start - 60), end + 60):
        return True
    return bool(_NEGATED.search(step, max(0, start - 15), start) or _NEGATED.search(step, end, end + 12))


def is_supposed(step: str, start: int) -> bool:
    """Do the words right before `start` suppose what comes?"""
    return _SUPPOSED.search(step, max(0, start - 40), start) is not None


def is_hypothetical(text: str) -> bool:
    """Does it speak of what is supposed rather than so?"""
    return _HYPOTHETICAL.search(text) is not None


def is_modular(text: str) -> bool:
    """Does it calculate with remainders, other number bases or the clock?"""
    return _MODULAR.search(text) is not None
