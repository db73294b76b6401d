"""Units of measure: names, conversion factors and the reading of unit words."""

from __future__ import annotations

import re
from fractions import Fraction

# canonical name -> (dimension, factor to that dimension's base unit)
_SCALES: dict[str, tuple[str, Fraction]] = {
    "mm": ("length", Fraction(1, 1000)),
    "cm": ("length", Fraction(1, 100)),
    "dm": ("length", Fraction(1, 10)),
    "m": ("length", Fraction(1)),
    "km": ("length", Fraction(1000)),
    "inch": ("length", Fraction(254, 10000)),
    "foot": ("length", Fraction(3048, 10000)),
    "yard": ("length", Fraction(9144, 10000)),
    "mile": ("length", Fraction(1609344, 1000)),
    "mg": ("mass", Fraction(1, 1_000_000)),
    "g": ("mass", Fraction(1, 1000)),
    "kg": ("mass", Fraction(1)),
    "lb": ("mass", Fraction(45359237, 100_000_000)),
    "ounce": ("mass", Fraction(45359237, 1_600_000_000)),
    "ms": ("time", Fraction(1, 1000)),
    "s": ("time", Fraction(1)),
    "minute": ("time", Fraction(60)),
    "hour": ("time", Fraction(3600)),
    "day": ("time", Fraction(86400)),
    "week": ("time", Fraction(604800)),
    "month": ("month", Fraction(1)),
    "year": ("month", Fraction(12)),
    "ml": ("volume", Fraction(1, 1000)),
    "liter": ("volume", Fraction(1)),
    "cent": ("money", Fraction(1, 100)),
    "dollar": ("money", Fraction(1)),
    "euro": ("euro", Fraction(1)),
    "pound": ("pound", Fraction(1)),
    "yuan": ("yuan", Fraction(1)),
    "rupee": ("rupee", Fraction(1)),
    "degree": ("angle", Fraction(1)),
    "celsius": ("celsius", Fraction(1)),
    "fahrenheit": ("fahrenheit", Fraction(1)),
    "am": ("am", Fraction(1)),
    "pm": ("pm", Fraction(1)),
    "newton": ("newton", Fraction(1)),
    "joule": ("joule", Fraction(1)),
    "watt": ("watt", Fraction(1)),
    "volt": ("volt", Fraction(1)),
    "hertz": ("hertz", Fraction(1)),
    "acre": ("acre", Fraction(1)),
    "gallon": ("gallon", Fraction(1)),
}

_ALIASES: dict[str, str] = {
    **{name: name for name in _SCALES},
    "millimeter": "mm", "millimetre": "mm", "centimeter": "cm", "centimetre": "cm", "decimeter": "dm",
    "meter": "m", "metre": "m", "kilometer": "km", "kilometre": "km", "in": "inch", "inches": "inch",
    "feet": "foot", "ft": "foot", "yd": "yard", "mi": "mile", "milligram": "mg", "gram": "g",
    "kilogram": "kg", "kilo": "kg", "lbs": "lb", "oz": "ounce", "millisecond": "ms", "sec": "s",
    "second": "s", "min": "minute", "hr": "hour", "h": "hour", "milliliter": "ml", "millilitre": "ml",
    "l": "liter", "litre": "liter", "¢": "cent", "$": "dollar", "usd": "dollar", "€": "euro", "eur": "euro",
    "£": "pound", "¥": "yuan", "rmb": "yuan", "rs": "rupee", "deg": "degree", "°": "degree",
    "mph": "mile/hour", "a.m": "am", "p.m": "pm", "n": "newton", "j": "joule", "w": "watt", "v": "volt", "hz": "hertz",
    "厘米": "cm", "毫米": "mm", "分米": "dm", "千米": "km", "公里": "km", "米": "m", "千克": "kg", "公斤": "kg",
    "克": "g", "吨": "tonne", "秒": "s", "分钟": "minute", "小时": "hour", "天": "day", "年": "year",
    "元": "yuan", "美元": "dollar", "角": "jiao", "升": "liter", "毫升": "ml", "度": "degree",
    **dict.fromkeys(("个", "只", "岁", "人", "本", "支", "张", "枚", "页", "棵", "辆"), "count"),
    "平方厘米": "cm^2", "平方米": "m^2", "平方分米": "dm^2", "立方厘米": "cm^3", "立方米": "m^3",
}  # fmt: skip

# Words that read as units right after a number even outside \text{}; shorter ones would eat variables.
BARE_UNITS = frozenset(name for name in _ALIASES if len(name) > 1 and name.isascii() and name != "in") | {"%"}
CHINESE_UNITS = tuple(sorted((u for u in _ALIASES if not u.isascii() and len(u) > 0), key=len, reverse=True))

_POWER_WORDS = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3}
_WORD = re.compile(r"[^\W\d_]+(?:\.[a-z])?|[$€£¥¢°]|\^?\{?-?\d+\}?|/")


def read_unit(words: str) -> str:
    """Canonical unit of `words`: `cm^2`, `mile/hour`, else the words in lower case, singular."""
    parts: list[str] = []
    pending = 0
    for raw in _WORD.findall(words.lower()):
        if raw in _POWER_WORDS:
            if raw in ("squared", "cubed") and parts:
                parts[-1] += f"^{_POWER_WORDS[raw]}"
            else:
                pending = _POWER_WORDS[raw]
            continue
        if raw[0] in "^{-" or raw[0].isdigit():
            power = int(re.sub(r"[^\d-]", "", raw)[:4] or "1")
            if parts and power != 1:
                parts[-1] += f"^{power}"
            continue
        if raw in ("/", "per"):
            parts.append("/")
            continue
        if raw in ("of", "the", "a", "an"):
            continue
        name = _ALIASES.get(raw) or _ALIASES.get(raw.removesuffix("s")) or raw.removesuffix("s") or raw
        parts.append(f"{name}^{pending}" if pending else name)
        pending = 0
    return " ".join(parts).replace(" / ", "/")


def _scale(unit: str) -> tuple[str, Fraction] | None:
    dimension, factor = [], Fraction(1)
    for part in re.split(r"[ ]", unit.replace("/", " / ")):
        if part == "/":
            dimension.append("/")
            continue
        name, _, exponent = part.partition("^")
        if name not in _SCALES or not re.fullmatch(r"(?:-?[1-6])?", exponent):
            return None
        power = int(exponent or "1")
        kind, size = _SCALES[name]
        dimension.append(f"{kind}^{power}")
        factor = factor / size**power if "/" in dimension[:-1] else factor * size**power
    return " ".join(dimension), factor


def conversion(unit_a: str, unit_b: str) -> Fraction | None:
    """Factor from `unit_a` to `unit_b`; None when they measure different things.

    Two nouns that are no known unit (9 values, 9 integers) describe rather than measure: factor 1.
    """
    if unit_a == unit_b:
        return Fraction(1)
    if "%" in (unit_a, unit_b):
        return None
    known_a, known_b = _scale(unit_a), _scale(unit_b)
    if known_a and known_b:
        return known_a[1] / known_b[1] if known_a[0] == known_b[0] else None
    return Fraction(1) if known_a is None and known_b is None else None
