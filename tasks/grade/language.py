"""Share of words in the target language: DeepSeek-R1's language consistency reward (arXiv 2501.12948, section 2.3.2).

Code, formulas, links and names of variables are no words of any language and are left out. Scripts decide where they
can (Chinese, Japanese, Russian); among languages with Latin letters, function words decide clause by clause, and
lingua where they tie; a clause that cannot be told from the target (short ones, names, terms) counts as the target.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from lingua import Language, LanguageDetector, LanguageDetectorBuilder

LanguageCode = Literal["en", "zh", "ja", "ru", "de", "fr", "es"]
LANGUAGES: tuple[str, ...] = get_args(LanguageCode)
_LATIN: dict[str, Language] = {
    "en": Language.ENGLISH,
    "de": Language.GERMAN,
    "fr": Language.FRENCH,
    "es": Language.SPANISH,
}
_COMMON_WORDS = {
    "en": "the of and to in is that it we for as with are this by be on so if then which where not can have there from "
    "let at or but what how i a an was will would should these those",
    "de": "der die das und ist wir nicht ein eine zu den mit von für auf sich dem es als auch dann wenn durch sie sind "
    "wird aus bei nach über zum zur im ich oder aber daher einer",
    "fr": "le la les de des et est nous un une du que qui dans pour pas sur par on ce donc si alors sont avec il elle "
    "au aux cette ces ou mais je se en leur",
    "es": "el la los las de y es un una que en por para con se del lo como su más entonces si son al esta este pero "
    "cada o hay tiene ser sea todos",
}
FUNCTION_WORDS = {code: frozenset(words.split()) for code, words in _COMMON_WORDS.items()}
"""The commonest short words: in running text, every second or third word is one."""
MIN_CLAUSE_WORDS = 4
"""A shorter clause without function words says too little."""
MIN_MARGIN = 0.5
"""How far another language's confidence must exceed the target's."""
CHARS_PER_CJK_WORD = 1.5
"""Mean length of a Chinese word in running text; makes characters comparable with words between spaces."""
MIN_HAN_CHARS = 6
"""A line of so many Han characters without kana is Chinese."""
MAX_CHARS = 400_000

_NOT_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?(?:\$\$|\Z)|\$[^$\n]{1,400}\$|\\\[.*?(?:\\\]|\Z)|\\\(.*?(?:\\\)|\Z)"
    r"|\\begin\{(\w+\*?)\}.*?(?:\\end\{\1\}|\Z)|\\[A-Za-z]+(?:\{[^{}\n]*\})*|(?:https?://|www\.)\S+|</?\w+>",
    re.DOTALL,
)
_CLAUSE_END = re.compile(r"[.!?;:。！？；：，、,\n()（）\[\]\"“”]+")
_KANA = r"\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff"
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff々"
_KANA_CHAR, _HAN_CHAR = re.compile(f"[{_KANA}]"), re.compile(f"[{_HAN}]")
_RUN = re.compile(
    rf"(?P<cjk>[{_HAN}{_KANA}]+)|(?P<latin>[A-Za-zÀ-ÖØ-öø-ɏ][A-Za-zÀ-ÖØ-öø-ɏ'’-]*)|(?P<cyrillic>[\u0400-\u052f]+)"
    r"|(?P<other>[^\W\d_]{2,})|[^\W\d_]"
)
_VARIABLE = re.compile(r"^(?:[A-Za-z]|[A-Z]{2,4}|[b-df-hj-np-tv-xz]{2,4})$")
"""Single letters, points and segments such as ABC, and consonants only (`xy`, `dt`): no words."""


@dataclass(frozen=True)
class LanguageShare:
    """Words of a text, and how many of them are in the target language."""

    words: float
    target_words: float

    @property
    def share(self) -> float:
        """Between 0 and 1; 0 for a text without words, so that silence earns nothing."""
        return self.target_words / self.words if self.words else 0.0


def language_share(text: str, target: LanguageCode) -> LanguageShare:
    """Count words of a chain of thought by language.

    Args:
        text: at most 400,000 characters are read.
        target: one of `LANGUAGES`. ValueError for another.
    """
    if target not in LANGUAGES:
        raise ValueError(f"no language {target!r}: one of {', '.join(LANGUAGES)}")
    words = hits = 0.0
    for line in _NOT_PROSE.sub(" ¶ ", text[:MAX_CHARS]).split("\n"):
        japanese = _is_japanese(line, target)
        for clause in _CLAUSE_END.split(line):
            latin: list[str] = []
            for match in _RUN.finditer(clause):
                word = match.group()
                if match.lastgroup is None:
                    continue  # one letter of another alphabet: θ
                if match.lastgroup == "latin":
                    if not _VARIABLE.match(word):
                        latin.append(word)
                    continue
                size = len(word) / CHARS_PER_CJK_WORD if match.lastgroup == "cjk" else 1.0
                words += size
                if match.lastgroup == "cjk":
                    hits += size if target == ("ja" if japanese else "zh") else 0.0
                else:
                    hits += size if (match.lastgroup, target) == ("cyrillic", "ru") else 0.0
            words += len(latin)
            hits += len(latin) if latin and _is_latin_target(latin, target) else 0.0
    return LanguageShare(words, hits)


def _is_japanese(line: str, target: LanguageCode) -> bool:
    """Han characters are Japanese in a line with kana, and in a line too short to need any (if that is wanted)."""
    return bool(_KANA_CHAR.search(line)) or (target == "ja" and len(_HAN_CHAR.findall(line)) < MIN_HAN_CHARS)


def _is_latin_target(words: list[str], target: LanguageCode) -> bool:
    """Whether a clause is in the target language, or does not say: its function words decide, then lingua."""
    if target not in _LATIN:
        return False
    lowered = [word.lower() for word in words]
    counts = {code: sum(word in known for word in lowered) for code, known in FUNCTION_WORDS.items()}
    own = counts.pop(target)
    others = max(counts.values())
    if own != others:
        return own > others
    if len(words) < MIN_CLAUSE_WORDS:
        return True
    values = _detector().compute_language_confidence_values(" ".join(words))
    confidence = {value.language: value.value for value in values}
    return values[0].value - confidence[_LATIN[target]] < MIN_MARGIN


@cache
def _detector() -> LanguageDetector:
    return LanguageDetectorBuilder.from_languages(*_LATIN.values()).with_low_accuracy_mode().build()
