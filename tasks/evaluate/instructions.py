r"""IFEval: instructions whose following can be verified by a rule (Zhou et al. 2023, arXiv 2311.07911, table 1).

| verdict | an instruction is followed when |
|-|-|
| strict | its rule says so of the response |
| loose | its rule says so of any of eight readings: with or without the first line, the last line and the asterisks |

The rules are read as the published checker reads them (exactly so many bullets, a text without letters is in every
language). Three things differ: sentences are split by rules of our own instead of Punkt's trained model, languages are
told by lingua and resiliparse instead of langdetect, and what is asked of the "letter" `#` is asked of `#`, where the
published checker draws a letter by chance. Every rule takes time linear in the response.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from resiliparse.parse.lang import detect_fast

from tasks.mine.detect_language import detect_language

Arguments = Mapping[str, Any]
Rule = Callable[[str, Arguments], bool]

_CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_BULLET = re.compile(r"\*[^*]|-")
_HIGHLIGHT = re.compile(r"\*([^\n*]*)\*")
_BOLD = re.compile(r"\*\*([^\n*]*)\*\*")
_FENCE = re.compile(r"^```(?:json|Json|JSON)?|```$")
_POSTSCRIPTS = {"P.S.": re.compile(r"p\.\s?s\."), "P.P.S": re.compile(r"p\.\s?p\.\s?s")}
_PIECE = re.compile(r"[^\s;@#$%&?!*\[\](){}<>\"“”«»‘’…:,]+")
_CLITIC = re.compile(r"(n't|'(?:ll|re|ve|[smd]))$", re.IGNORECASE)

_OPENING, _CLOSING = "([{\"'“‘*_-", ")]}\"'”’*_"
_NEVER_LAST = frozenset(["mr", "mrs", "ms", "messrs", "dr", "prof", "rev", "gen", "sen", "gov", "lt", "col", "sgt",
                         "st", "mt", "vs", "e.g", "i.e", "cf"])  # fmt: skip
"""What stands before a full stop that ends no sentence."""
_SCRIPTS = {"gu": "GUJARATI", "kn": "KANNADA", "pa": "GURMUKHI"}
"""Of languages that `detect_language` does not know; each of these scripts has one."""


def unknown(instructions: str) -> str:
    """The first instruction that has no rule; '' where all have one."""
    return next((given["id"] for given in json.loads(instructions) if given["id"] not in RULES), "")


def followed(instructions: str, response: str) -> tuple[list[bool], list[bool]]:
    """Strict and loose verdicts, one an instruction.

    Args:
        instructions: JSON: `[{"id": "length_constraints:number_words", "relation": "at least", "num_words": 300}, …]`.
        response: what is judged. An empty one follows nothing.

    Raises:
        KeyError: no such instruction, or an argument is missing.
    """
    asked = json.loads(instructions)
    strict = [_follows(given, response) for given in asked]
    loose = [any(_follows(given, reading) for reading in _readings(response)) for given in asked]
    return strict, loose


def _follows(given: Arguments, response: str) -> bool:
    return bool(response.strip()) and RULES[given["id"]](response, given)


def _readings(response: str) -> list[str]:
    lines = response.split("\n")
    cuts = [lines, lines[1:], lines[:-1], lines[1:-1]]
    texts = [response, *("\n".join(cut).strip() for cut in cuts[1:])]
    return texts + [text.replace("*", "") for text in texts]


def _count(relation: str, found: int, wanted: int) -> bool:
    """The two relations of the benchmark: `less than` and `at least`."""
    return found < wanted if relation == "less than" else found >= wanted


def _times(word: str, text: str) -> int:
    return len(re.findall(re.escape(word), text, re.IGNORECASE))


def _whole_word(word: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None


def _paragraphs(text: str, divider: str) -> list[str]:
    """Parts between dividers, empty ones at the two ends left out."""
    parts = [part.strip() for part in text.split(divider)]
    return parts[not parts[0] : len(parts) - (len(parts) > 1 and not parts[-1])]


def _has_paragraphs(text: str, count: int) -> bool:
    parts = _paragraphs(text, "***")
    return len(parts) == count and all(parts)


def _begins_paragraph(text: str, given: Arguments) -> bool:
    """So many paragraphs between empty lines, of which the nth begins with the word."""
    parts = [part.strip() for part in text.split("\n\n")]
    count, place = sum(map(bool, parts)), given["nth_paragraph"]
    if place > count or count != given["num_paragraphs"] or not parts[place - 1]:
        return False
    word = parts[place - 1].split()[0].lstrip("'").lstrip('"').lower()
    return re.split(r"[.,?!'\"]", word)[0] == str(given["first_word"]).lower()


def _two_responses(text: str, _: Arguments) -> bool:
    parts = _paragraphs(text, "******")
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _bullets(text: str) -> int:
    return sum(_BULLET.match(line.lstrip()) is not None for line in text.split("\n"))


def _placeholders(text: str) -> int:
    """Pairs of square brackets within a line."""
    return sum("[" in part for line in text.split("\n") for part in line.split("]")[:-1])


def _has_title(text: str, _: Arguments) -> bool:
    """A line with something between double angular brackets."""
    for line in text.split("\n"):
        first, last = line.find("<<"), line.rfind(">>")
        if 0 <= first < last and line[first + 2 : last].lstrip("<").rstrip(">").strip():
            return True
    return False


def _highlights(text: str) -> int:
    """Texts between single asterisks, and between double ones."""
    return sum(bool(found.strip()) for pattern in (_HIGHLIGHT, _BOLD) for found in pattern.findall(text))


def _is_json(text: str, _: Arguments) -> bool:
    try:
        json.loads(_FENCE.sub("", text.strip()).strip())
    except (ValueError, RecursionError):
        return False
    return True


def capital_words(text: str) -> int:
    """Words without a small letter, as Treebank splits them: DON'T is two, WELL-KNOWN is one."""
    words = [part for piece in _PIECE.findall(text.replace("--", " ")) for part in _CLITIC.split(piece)]
    return sum(word.isupper() for word in words)


def sentences(text: str) -> int:
    """How many: each ends with `.`, `!` or `?` (and closing marks) before white space, never with a line alone."""
    words = text.split()
    return bool(words) + sum(_ends(word) for word in words[:-1])


def _ends(word: str) -> bool:
    bare = word.rstrip(_CLOSING)
    if not bare.endswith((".", "!", "?")):
        return False
    word = bare.lstrip(_OPENING)[:-1]
    initial = len(word) == 1 and word.isupper() and word != "I"
    return not bare.endswith(".") or not (word.lower() in _NEVER_LAST or initial)


def _in_language(text: str, code: str) -> bool:
    """Either detector will do: short texts fool one or the other."""
    letters = [char for char in text if char.isalpha()]
    if code in _SCRIPTS:
        return 2 * sum(unicodedata.name(char, "").startswith(_SCRIPTS[code]) for char in letters) >= len(letters)
    return not letters or code in (detect_language(text), detect_fast(text, cutoff=10**6)[0])


RULES: dict[str, Rule] = {
    "keywords:existence": lambda text, given: all(_times(word, text) for word in given["keywords"]),
    "keywords:frequency": lambda text, given: _count(
        given["relation"], _times(given["keyword"], text), given["frequency"]
    ),
    "keywords:forbidden_words": lambda text, given: not any(_whole_word(w, text) for w in given["forbidden_words"]),
    "keywords:letter_frequency": lambda text, given: _count(
        given["let_relation"], text.lower().count(given["letter"].lower()), given["let_frequency"]
    ),
    "language:response_language": lambda text, given: _in_language(text, given["language"]),
    "length_constraints:number_sentences": lambda text, given: _count(
        given["relation"], sentences(text), given["num_sentences"]
    ),
    "length_constraints:number_paragraphs": lambda text, given: _has_paragraphs(text, given["num_paragraphs"]),
    "length_constraints:number_words": lambda text, given: _count(
        given["relation"], len(re.findall(r"\w+", text)), given["num_words"]
    ),
    "length_constraints:nth_paragraph_first_word": _begins_paragraph,
    "detectable_content:number_placeholders": lambda text, given: _placeholders(text) >= given["num_placeholders"],
    "detectable_content:postscript": lambda text, given: (
        _POSTSCRIPTS[given["postscript_marker"]].search(text.lower()) is not None
    ),
    "detectable_format:number_bullet_lists": lambda text, given: _bullets(text) == given["num_bullets"],
    "detectable_format:constrained_response": lambda text, _: any(choice in text for choice in _CHOICES),
    "detectable_format:number_highlighted_sections": lambda text, given: _highlights(text) >= given["num_highlights"],
    "detectable_format:multiple_sections": lambda text, given: (
        len(re.findall(rf"{re.escape(given['section_spliter'].strip())}\s?\d+", text)) >= given["num_sections"]
    ),
    "detectable_format:json_format": _is_json,
    "detectable_format:title": _has_title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": lambda text, given: (
        text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())
    ),
    "startend:end_checker": lambda text, given: (
        text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())
    ),
    "startend:quotation": lambda text, _: len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] == '"',
    "change_case:capital_word_frequency": lambda text, given: _count(
        given["capital_relation"], capital_words(text), given["capital_frequency"]
    ),
    "change_case:english_capital": lambda text, _: text.isupper() and _in_language(text.lower(), "en"),
    "change_case:english_lowercase": lambda text, _: text.islower() and _in_language(text, "en"),
    "punctuation:no_comma": lambda text, _: "," not in text,
}
"""Instruction → its rule, by the benchmark's own names."""


def as_json(ids: Sequence[str], arguments: Sequence[Arguments]) -> str:
    """The instructions of a prompt with their arguments as one text; arguments that are null are left out."""
    told = [{"id": name, **{key: value for key, value in given.items() if value is not None}}
            for name, given in zip(ids, arguments, strict=True)]  # fmt: skip
    return json.dumps(told, ensure_ascii=False)
