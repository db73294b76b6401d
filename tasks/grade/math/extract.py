"""Where in a response the answer stands.

Order: what follows `</think>`; the last of `<answer>…</answer>`, `\\boxed{…}` and "the final answer is …";
then "the answer is …", in several languages; then, by policy, the last formula or number.
"""

from __future__ import annotations

import re
from typing import Literal

from tasks.grade.math.clean import signs

Fallback = Literal["last", "none"]

_TAIL_CHARS = 20_000
_MENTIONS = 8
_BLANKS = re.compile(r"\s{3,}")
_BOX_START = re.compile(r"\\{1,4}(?:boxed|fbox)(?=\s{0,3}[{\w])")
_ANSWER_TAG = re.compile(r"<answer>", re.IGNORECASE)
_FINAL = re.compile(r"####|final answer(?: to [^.:]{0,60})?\s*(?:is|:|：|\*\*)+\s*:?", re.IGNORECASE)
_ANSWER_IS = re.compile(
    r"(?:answer|result|solution|réponse|respuesta|antwort|risposta|resposta|ответ|答案|结果)"
    r"(?:\s{1,3}(?:choice|option|correcte|correcta|correct|finale?|final))?\s{0,3}\*{0,3}\s{0,3}"
    r"(?:(?:should be|must be|would be|is|are|was|est|es|ist|è|é|be|=|equals|是|为|為|应该是|应为|：|:)\s{0,3})+"
    r"(?:for sure|definitely|therefore|simply|just|clearly|probably)?\s*[:：]?",
    re.IGNORECASE,
)
_HOPE = re.compile(r"\.?\s*I hope (?:it|this) is correct.*", re.DOTALL | re.IGNORECASE)
_CONTROL = re.compile(r"<\|[a-z_]{1,20}\|>.*", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<!\d)\.(?=\s|$|\*)|(?<=\d)\.(?=\s|$|\*)|。|\n\s*\n|；|;\s(?=[a-zA-Z]{3})|(?<=[\w)}$])\n")
_FORMULA = re.compile(
    r"\$\$(.{1,1500}?)\$\$|\\\[(.{1,1500}?)\\\]|\\\((.{1,500}?)\\\)|(?<![\\$])\$(?!\s*[.,]?\s*$)([^$\n]{1,400}?)(?<!\\)\$",
    re.DOTALL,
)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9.\\^{_-])[-−]?(?:\$\s?)?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+,\d{1,2}(?=\s*[$€])|"
    r"\d+(?:\.\d+)?(?:\s*/\s*\d+(?:\.\d+)?)?|\.\d+)(?:[eE][-+]?\d+)?(?:\s*\\?%)?(?![\d])"
)
_SIGN_AS_OPERATOR = re.compile(r"(?:[\d)\]}]|(?<![^\W\d_])[A-Za-z])\s*$")
_SCALE_AFTER = re.compile(r"\s{1,2}(?:thousand|million|billion|trillion)\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"[,(]\s{0,3}(?:or\s{1,3})?(?:which is\s{1,3})?(?:approximately|approx\.?|roughly|about|not|rather than|instead of)"
    r"\s(?:[^.\n]|\.\d)*",
    re.IGNORECASE,
)
_CHANGED_BEFORE = re.compile(
    r"(?:\bnot|n't|\b(?:less|more|fewer|greater|smaller|larger|other) than|\bhalf(?: of)?|\btwice|\btimes|\broot of"
    r"|\bpower of|\bdivided by|\b(?:cannot|can't) be|\d\s?over|\bbetween\s\S{1,20}\sand)"
    r"(?:\s{1,3}equal to)?\s{0,3}\}?[$\\(\s]{0,4}(?:[a-z]\s?=\s?)?$",
    re.IGNORECASE,
)
_CHANGED_AFTER = re.compile(
    r"[$\\)\s]{0,4}(?:\\text\{\s?)?(?:squared|cubed|to the power|over \d|divided by|(?:more|less) than \w\b)",
    re.IGNORECASE,
)
"""Words that make another number of one: it is not what the text ends with."""
_CORRECTED = re.compile(
    r"[.!?](?=\s)|[。！？]|\b(?:wait|no|not|actually|rather|better|then|thus|hence|so|but|instead|sorry|correction)\b",
    re.I,
)
"""Between two boxes: the second is not listed with the first, it replaces it."""
_CONNECTOR = re.compile(r"\band\b|\bor\b|,|;|和|或|、", re.IGNORECASE)
_PERCENT_AFTER = re.compile(r"\s{0,3}[$)\]\\]{0,4}\s{0,3}(?:\\?%|percent\b|per cent\b)")
_CHOICE = r"[\s(*:\"'$]{0,6}([A-J])(?![A-Za-z0-9_'’])(?!\s+[a-z]{2,}\s+[a-z])"
_CHOICE_IS = re.compile(
    r"(?i:answer|option|choice|réponse|respuesta|antwort|risposta|resposta|ответ|答案|选项|选择|选)\W{0,4}"
    r"(?i:(?:is|are|est|es|ist|is clearly|è|é|should be|must be|would be|是|为|应为|应该是|choice|option)\W{0,4})*"
    r"(?i:for sure|definitely|clearly|probably)?" + _CHOICE
)
_CHOICE_TEXT = re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mathbf)\s*\{\s*(\(?[A-J]\)?)\s*\}")
_CHOICE_FIRST = re.compile(r"\s*[\"'(*]{0,3}([A-J])(?:[).:,*。，：、]|\s*$|\s+(?![a-z])|(?=[^\x00-\x7f]))")
_SECOND_CHOICE = re.compile(
    r"[)*]{0,3}\s{0,2}(?:,|;|&|/|and|or)\s{0,2}(?:and|or)?\s{0,2}[(*]{0,3}[A-J](?![A-Za-z0-9_'’])"
)
_CHOICE_BEFORE = re.compile(r"(?<![A-Za-z])[A-J][)*]{0,3}\s{0,2}(?:,|;|&|/|and|or)\s{0,2}(?:and|or)?[\s(*]{0,4}$")
_RULED_OUT_BEFORE = re.compile(
    r"(?:\b(?:not|neither|nor|except|exclude|eliminate|rule out|rules out|reject)|n['’]t|不是|不选|排除)\W{0,4}$", re.I
)
_RULED_OUT_AFTER = re.compile(r"[)*.\"']{0,3}\s(?:is|are|was) (?:wrong|incorrect|false|not)\b|(?:是错|不对|错误)", re.I)
_ALL_CHOICES = re.compile(r"\W*(?:[A-J]\W+)+[A-J]\W*")
_CHOICE_ALONE = re.compile(
    r"(?<![A-Za-z0-9\\+/^=_-])(?:\(([A-J])\)|([B-HJ])(?![A-Za-z0-9_'’])|A(?![A-Za-z0-9_'’]|\s+[a-z]))"
)


def extract_answer(response: str, *, fallback: Fallback = "last") -> str:
    """The answer's text as written, empty when there is none.

    Args:
        response: a model's whole output; only its last 20,000 characters are searched.
        fallback: `last` takes the last formula or number when nothing is marked; `none` does not.
    """
    text = _CONTROL.sub("", _tail(response))
    marked: list[tuple[int, str]] = []
    _, *tagged = _ANSWER_TAG.split(text)
    if tagged:
        inner = tagged[-1].partition("</")[0].strip()
        return extract_answer(inner, fallback="none") or inner
    if (box := last_boxes(text)) is not None:
        marked.append(box)
    if finals := list(_FINAL.finditer(text)):
        start = finals[-1].end()
        region = first_sentence(_HOPE.sub("", text[start:]))
        if "\\boxed" not in region and (found := within(region, fallback)):
            marked.append((start, found))
    if marked:
        return max(marked)[1]
    text = _ASIDE.sub("", text)
    for mention in reversed(list(_ANSWER_IS.finditer(text))[-_MENTIONS:]):
        region = first_sentence(text[mention.end() :])
        if not region.startswith("not ") and (found := within(region, fallback)):
            return found
    return last_value(_HOPE.sub("", text)) if fallback == "last" else ""


def _tail(response: str) -> str:
    """The end of a response, after its thinking, with runs of blanks shortened: patterns may be quadratic in them."""
    text = signs(_BLANKS.sub(lambda m: "\n\n" if "\n" in m[0] else "  ", response[-_TAIL_CHARS:]))
    _, closed, after = text.rpartition("</think>")
    return after if closed and after.strip() else text


def last_boxes(text: str) -> tuple[int, str] | None:
    """Position and content of the last box; boxes listed together (`1} and \\boxed{2`) are one list."""
    starts = list(_BOX_START.finditer(text))[-12:]
    if not starts:
        return None
    found: list[tuple[int, int, str]] = []
    for start in starts:
        content, end = _group(text, start.end())
        if content.strip() and not (found and start.start() < found[-1][1]):
            found.append((start.start(), end, content.strip()))
    if not found:
        return None
    chosen = [found[-1]]
    for earlier in reversed(found[:-1]):
        between = text[earlier[1] : chosen[0][0]]
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"\\[a-zA-Z]+|\band\b|\bor\b", " ", between))
        if len(between) > 40 or len(words) > 1 or not _CONNECTOR.search(between) or _CORRECTED.search(between):
            break
        chosen.insert(0, earlier)
    last = chosen[-1]
    percent = "\\%" if _PERCENT_AFTER.match(text, last[1]) and "%" not in last[2] else ""
    return last[0], ", ".join(content for _, _, content in chosen) + percent


def _group(text: str, start: int) -> tuple[str, int]:
    """The brace group at `start`, up to the end of the text when it never closes."""
    while start < len(text) and text[start] == " ":
        start += 1
    if start >= len(text) or text[start] != "{":
        end = start
        while end < len(text) and (text[end].isalnum() or text[end] in "-._"):
            end += 1
        return text[start:end], end
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if depth == 0:
            return text[start + 1 : end], end + 1
    return text[start + 1 :], len(text)


def first_sentence(text: str) -> str:
    """Up to the first full stop outside formulas, blank line or line end."""
    text = text.lstrip(" \t\n*:：")[:1500]
    formulas = [m.span() for m in _FORMULA.finditer(text)]
    for stop in _SENTENCE_END.finditer(text):
        if not any(low < stop.start() < high for low, high in formulas):
            return text[: stop.start()].strip()
    return text.strip()


def within(region: str, fallback: Fallback) -> str:
    """The answer inside the words that follow "the answer is"."""
    region = region.replace('\\"', "").strip().strip("*\"'“”").strip()
    if not region:
        return ""
    words = re.sub(r"\\[a-zA-Z]+|\$[^$]*\$|\\\(.*?\\\)", " ", region)
    if len(re.findall(r"[^\W\d_]{3,}", words)) <= 1 and len(region) <= 300 and not re.search(r"[\u4e00-\u9fff]", words):
        return region
    return last_value(region) if fallback == "last" else region


def last_value(text: str) -> str:
    """The last formula or the last number outside formulas, whichever comes later."""
    best = (-1, "")
    spans: list[tuple[int, int]] = []
    for match in _FORMULA.finditer(text):
        spans.append(match.span())
        content = next((g for g in match.groups() if g), "").strip()
        if len(re.findall(r"(?<![\\{a-z])[a-z]{3,}", content)) > 1 and "\\" not in content:
            spans.pop()
            continue
        if _is_changed(text, match):
            continue
        if re.search(r"[\d=<>\\]|^[A-Za-z]$|^[({\[]", content) or len(content) <= 12:
            percent = "\\%" if _PERCENT_AFTER.match(text, match.end()) else ""
            best = (match.start(), content + percent)
    for match in re.finditer(r"(?<!\\)\(?(\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\})", text):
        if match.start() > best[0] and not any(low <= match.start() < high for low, high in spans):
            best = (match.start(), match[1])
    for match in _NUMBER.finditer(text):
        if match.start() > best[0] and not any(low <= match.start() < high for low, high in spans):
            if _is_changed(text, match):
                continue
            value = match[0].strip()
            if value[0] in "-−" and _SIGN_AS_OPERATOR.search(text[max(0, match.start() - 6) : match.start()]):
                value = value[1:]
            if best[0] >= 0 and match.start() - best[0] < 12 and "frac" in best[1]:
                continue
            scale = _SCALE_AFTER.match(text, match.end())
            best = (match.start(), re.sub(r",(?=\d{1,2}$)", ".", value) + (scale[0] if scale else ""))
    return best[1]


def _is_changed(text: str, value: re.Match[str]) -> bool:
    """Whether the words around a value deny it or make another one of it: `not 5`, `half of 5`, `5 squared`."""
    before = text[max(0, value.start() - 40) : value.start()]
    return bool(_CHANGED_BEFORE.search(before) or _CHANGED_AFTER.match(text, value.end()))


def extract_choice(response: str) -> str:
    """The option's letter in a response to a multiple-choice question, empty when none is named."""
    text = _tail(response)
    text = _CHOICE_TEXT.sub(r" \1 ", text)
    if (box := last_boxes(text)) is not None:
        letter = re.fullmatch(
            r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?\s*\(?([A-Ja-j])\)?[.:]?\s*\}?(?:[).:\s].*)?", box[1], re.DOTALL
        )
        return letter[1].upper() if letter and not _SECOND_CHOICE.match(box[1], letter.end(1)) else ""
    if named := [m for m in _CHOICE_IS.finditer(text) if not _is_ruled_out(text, m)]:
        chosen = named[-1] if len(named) == 1 or len(text) > 400 else named[0]
        return "" if _SECOND_CHOICE.match(text, chosen.end()) else chosen[1]
    first = _CHOICE_FIRST.match(text)
    if first and not _is_ruled_out(text, first):
        return "" if _SECOND_CHOICE.match(text, first.end(1)) or _ALL_CHOICES.fullmatch(text) else first[1]
    alone = [m for m in _CHOICE_ALONE.finditer(text) if not _is_ruled_out(text, m)]
    if not alone or _CHOICE_BEFORE.search(text[max(0, alone[-1].start() - 16) : alone[-1].start()]):
        return ""
    return alone[-1][1] or alone[-1][2] or "A"


def _is_ruled_out(text: str, letter: re.Match[str]) -> bool:
    """Whether the words around a letter say that it is not the one: `not B`, `B is wrong`, `不是B`."""
    end = letter.end(letter.lastindex or 0)
    before = text[max(0, end - 20) : end - 1]
    return bool(_RULED_OUT_BEFORE.search(before) or _RULED_OUT_AFTER.match(text, end))
