"""Name the language of a page's text: scripts first, then profiles of character n-grams.

Most scripts name their language outright. Among the languages that share the Latin, Cyrillic, Arabic or
Devanagari script, resiliparse's rank profiles decide (about 0.02 ms a page); only short texts and close calls
go to lingua in low-accuracy mode (about 0.2 ms), which is better at sentence length.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache, lru_cache
from typing import cast
from unicodedata import normalize

from lingua import Language, LanguageDetector, LanguageDetectorBuilder
from resiliparse.parse.lang import detect_fast

UNDETERMINED = "und"
READ_CHARS = 2_500
"""Only this much of the page's text is read; formulas and code are cut out of it."""
PROFILE_CHARS = 1_000
"""Characters given to the rank profiles, after the cut."""
CLOSE_CALL_CHARS = 200
"""Characters given to lingua: its time grows with the text."""
SURE_CHARS = 150
SURE_MARGIN = 20
"""A best rank this far ahead of the second, on a text of at least `SURE_CHARS`, is believed."""
WORST_RANK = 1_150
MIN_LETTERS = 6

_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?(?:\$\$|\Z)|\$[^$\n]{1,400}\$|\\[([].{0,400}?\\[)\]]|\\[A-Za-z]+"
    r"|(?:https?://|www\.)\S+",
    re.DOTALL,
)
_NOT_LETTERS = re.compile(r"[\W\d_]+")
# (first and last code point, script, how many letters of an alphabet one letter is worth in running text)
_SCRIPTS: tuple[tuple[int, int, str, float], ...] = (
    (0x41, 0x5A, "latin", 1.0),
    (0x61, 0x7A, "latin", 1.0),
    (0xC0, 0x24F, "latin", 1.0),
    (0x370, 0x3FF, "greek", 1.0),
    (0x400, 0x52F, "cyrillic", 1.0),
    (0x531, 0x587, "armenian", 1.0),
    (0x5D0, 0x5F2, "hebrew", 1.2),
    (0x620, 0x6FF, "arabic", 1.2),
    (0x750, 0x77F, "arabic", 1.2),
    (0x904, 0x97F, "devanagari", 1.0),
    (0x985, 0x9FE, "bengali", 1.0),
    (0xB83, 0xBFA, "tamil", 1.0),
    (0xC05, 0xC7F, "telugu", 1.0),
    (0xE01, 0xE4E, "thai", 1.0),
    (0x10A0, 0x10FF, "georgian", 1.0),
    (0x1100, 0x11FF, "hangul", 1.0),
    (0x1E00, 0x1EFF, "latin", 1.0),
    (0x1F00, 0x1FFF, "greek", 1.0),
    (0x3041, 0x30FF, "kana", 2.0),
    (0x3130, 0x318F, "hangul", 1.0),
    (0x31F0, 0x31FF, "kana", 2.0),
    (0x3400, 0x4DBF, "han", 3.0),
    (0x4E00, 0x9FFF, "han", 3.0),
    (0xAC00, 0xD7A3, "hangul", 2.5),
    (0xF900, 0xFAFF, "han", 3.0),
    (0xFF66, 0xFF9D, "kana", 2.0),
    (0x20000, 0x3134F, "han", 3.0),
)
_ONE_LANGUAGE = {
    "hangul": "ko",
    "greek": "el",
    "hebrew": "he",
    "bengali": "bn",
    "tamil": "ta",
    "telugu": "te",
    "thai": "th",
    "georgian": "ka",
    "armenian": "hy",
}
_CANDIDATES = {
    "latin": "en de fr es pt it nl pl sv da no fi cs sk sl hr ro hu tr vi id ca et lv lt sq eu",
    "cyrillic": "ru uk be bg sr mk kk mn",
    "arabic": "ar fa ur",
    "devanagari": "hi mr ne",
}


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of the language of `text`'s prose, or `und` where there is too little prose.

    Formulas (`$…$`, `$$…$$`, TeX commands), code, URLs and digits do not count. The same text has the same
    code on every machine: no randomness, no state.
    """
    prose = _NOT_LETTERS.sub(" ", _NOT_PROSE.sub(" ", normalize("NFC", text[:READ_CHARS])))[:PROFILE_CHARS].strip()
    scripts = _scripts(prose)
    if not scripts or max(scripts.values()) < MIN_LETTERS:
        return UNDETERMINED
    script = max(scripts, key=lambda name: scripts[name])
    if script in _ONE_LANGUAGE:
        return _ONE_LANGUAGE[script]
    if script in ("han", "kana"):
        return "ja" if scripts.get("kana", 0.0) * 10 > scripts.get("han", 0.0) else "zh"
    return _among(_CANDIDATES[script], prose)


def _scripts(prose: str) -> dict[str, float]:
    """Script → its letters in the text, weighted."""
    if prose.isascii():
        return {"latin": float(len(prose) - prose.count(" "))}
    weights: dict[str, float] = {}
    for char, count in Counter(prose).items():
        script, weight = _script_of(char)
        if script:
            weights[script] = weights.get(script, 0.0) + weight * count
    return weights


@lru_cache(maxsize=1 << 16)
def _script_of(char: str) -> tuple[str, float]:
    point = ord(char)
    return next(((script, weight) for first, last, script, weight in _SCRIPTS if first <= point <= last), ("", 0.0))


def _among(candidates: str, prose: str) -> str:
    """Tell the languages of one script apart."""
    ranked = detect_fast(prose, cutoff=10**6, n_results=2, langs=candidates.split())
    (best, rank), (_, second) = cast("list[tuple[str, int]]", ranked)
    if rank <= WORST_RANK and len(prose) >= SURE_CHARS and second - rank >= SURE_MARGIN:
        return best
    found = _lingua(candidates).detect_language_of(prose[:CLOSE_CALL_CHARS])
    return UNDETERMINED if found is None else _iso(found)


@cache
def _lingua(candidates: str) -> LanguageDetector:
    """A detector for these languages, in low-accuracy mode (one small model a language)."""
    wanted = set(candidates.split())
    languages = [x for x in sorted(Language.all(), key=lambda x: x.name) if _iso(x) in wanted]
    return LanguageDetectorBuilder.from_languages(*languages).with_low_accuracy_mode().build()


def _iso(language: Language) -> str:
    """The ISO 639-1 code; both written forms of Norwegian are `no`."""
    code = language.iso_code_639_1.name.lower()
    return "no" if code in ("nb", "nn") else code
