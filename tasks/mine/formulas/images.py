"""Formulas drawn as images: the TeX is in the address of the image service, or in the alternative text."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

from tasks.mine.formulas.mathml import attribute_to_latex
from tasks.mine.formulas.tex import clean, is_prose, is_tex, may_be_math

NOT_TEX = frozenset(["true", "false", "inline", "block", "display", "math", "0", "1", "yes", "no", "none"])
"""What a data attribute named after TeX says where it does not hold TeX."""

SOURCE = re.compile(
    rb"<img(?:[^<\\$^%&]++|%(?!5[ce])|&(?!#92;)|<(?!img|/?[a-z]+[\s/>]))*+[\\$^%&]",
)
"""An image with TeX, as in the bytes of a page that does not otherwise speak of mathematics: up to the next tag."""
_TELLING = ("tex", "math", "eq", "formula", "%5c", "\\", "$", "^", "eeimg", "ee_img", "upmath", "sciweavers",
            "codecogs", "numberempire", "cht=tx", "render", "ltx_", "ql-img", "sympy")  # fmt: skip

_QUERY = re.compile(r"[?&](?:latex|tex|chl|formula|math|eq|equation|f|q|s|code|expression)=([^&#]+)", re.I)
_SERVICE = re.compile(
    r"latex\.php|codecogs\.com|mimetex|mathtex|latexrender|cht=tx|/equation\?tex=|/svg/?\?(?:tex|math|latex)=|"
    r"latex\.(?:cgi|pl|aspx|png|gif|svg|image)|render(?:er)?\.(?:php|cgi)\?|texify|(?:tex|math|latex|formula|eqn?)2?"
    r"(?:img|png|gif|svg|render)|/(?:formula|equation|tex|latex|math)/|\.(?:cgi|php|dll|exe)\?.*(?:%5c|\\)|math\.now\.sh|"
    r"render\.githubusercontent\.com/render/math|i\.upmath\.me|quicklatex|sciweavers|numberempire",
    re.I,
)
_BARE_QUERY = re.compile(
    r"(?:codecogs\.com/[\w./-]*|mimetex\.\w+|mathtex\.\w+|\.latex|\.image|\.(?:cgi|pl))\?(.+)", re.S | re.I
)
_PATH = re.compile(r"/(?:formula|equation|tex|latex|math|svg|png)/([^/]*(?:%5c|\\).*)", re.S | re.I)
_UPMATH = re.compile(r"upmath\.me/(?:svg|png)/(.+)$", re.I)
_MATH_CLASS = re.compile(
    r"\b(?:latex\w*|tex|texinline|texrender|math\w*|mwe-math\S*|\w*equation\w*|formula\w*|ee_img\w*|inline-?formula|display-?formula|"
    r"wp-?latex|ql-img\S*|katex\S*|eqn?|wirisformula|imgmath|ltx_\S+|x-ck12-math|sympy|latex-img)\b",
    re.I,
)
_DISPLAY_CLASS = re.compile(r"display|block|latexcenter|\bdisp", re.I)
_SOURCES = ("data-lazy-src", "data-src", "data-original", "src")
_ALTERNATIVES = ("data-mathml", "data-equation-content", "data-latex", "data-tex", "data-formula", "data-equation",
                 "alt", "title")  # fmt: skip
_HABR = re.compile(r"\${1,2}(?:inline|display)\${1,2}")
_CANVAS = re.compile(r"LaTeX:\s*")
_EXTENSION = re.compile(r"\.(?:png|gif|svg|jpe?g|webp)$", re.I)
_COGS_LEAD = re.compile(r"^(?:\\(?:dpi|bg|fn|fg)_?\{?\w*\}?\s*|\\(?:inline|large|Large|LARGE|huge|small|tiny)\b\s*)+")


def may_hold_tex(image: str) -> bool:
    """Whether `tex_of_image` may find anything in an image of this markup: a cheap first look."""
    lower = image.lower()
    return any(word in lower for word in _TELLING)


def tex_of_image(attributes: dict[str, str]) -> tuple[str, bool, str] | None:
    """TeX, whether it is a display formula, and the carrier's name; None for an image that is no formula."""
    classes = attributes.get("class", "")
    drawn = attributes.get("data-tex", "").lower()
    display = drawn == "display" or "$display$" in attributes.get("alt", "") or bool(_DISPLAY_CLASS.search(classes))
    alternative, certain = _alternative(attributes)
    if certain:
        return alternative, display, "image-alt"
    for name in _SOURCES:
        address = attributes.get(name, "")
        if not address or address.startswith("data:") or len(address) > 20_000:
            continue
        tex = _tex_of_address(address)
        if tex:
            carrier = "wordpress" if "latex.php" in address else "image-url"
            better = alternative and carrier == "wordpress" and _looks(alternative)
            return (alternative if better else tex), display, carrier
    if not alternative:
        return None
    named = drawn in ("inline", "display") or attributes.get("role") == "math" or "eeimg" in attributes
    if named or _MATH_CLASS.search(classes):
        if _looks(alternative):
            return alternative, display, "wikipedia-image" if "mwe-" in classes or classes == "tex" else "image-alt"
    elif is_tex(alternative) and ("\\" in alternative or _wrapped(attributes.get("alt", ""))):
        return alternative, display, "image-alt"
    return None


def _looks(tex: str) -> bool:
    return bool(tex) and (is_tex(tex) or may_be_math(tex) or ("\\" in tex and not is_prose(tex)))


def _wrapped(text: str) -> bool:
    text = text.strip()
    return len(text) > 2 and text[0] == "$" == text[-1]


def _alternative(attributes: dict[str, str]) -> tuple[str, bool]:
    """The TeX that stands beside the image, and whether its carrier leaves no doubt that it is TeX."""
    for name in _ALTERNATIVES:
        value = attributes.get(name, "").strip()
        if value.startswith(("<math", "«math")):
            if tex := clean(attribute_to_latex(value)):
                return tex, True
        elif value and name != "data-mathml" and not (name.startswith("data-") and value.lower() in NOT_TEX):
            mark = _HABR.match(value)
            if mark is not None and value.endswith(mark[0]):
                tex = clean(value[mark.end() : -mark.end()])
                return tex, bool(tex)
            return clean(_CANVAS.sub("", value, count=1) if value.startswith("LaTeX:") else value), False
    return "", False


def _tex_of_address(address: str) -> str:
    """The TeX that a formula service was asked to draw, '' for any other address."""
    if not _SERVICE.search(address):
        return ""
    query = _QUERY.search(address)
    if query:
        tex = unquote_plus(query[1])
    elif (bare := _BARE_QUERY.search(address)) is not None:
        tex = unquote(bare[1].replace("&space;", " ")).replace("\\space ", " ")
        tex = tex.replace("+", " ") if " " not in tex and "%2B" in bare[1] else tex
    elif (path := _UPMATH.search(address) or _PATH.search(re.split("[?#]", address)[-1])) is not None:
        tex = _EXTENSION.sub("", unquote(path[1]))
    else:
        return ""
    tex = clean(_COGS_LEAD.sub("", clean(tex)))
    return tex if _looks(tex) else ""
