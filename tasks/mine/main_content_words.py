"""What an element's tag, class, id, role and style say about its being content: a few words, matched whole.

Class names are split at hyphens, underscores, digits and capitals (`RelatedPosts`, `related-posts`), so `ad` never
matches `header`. Sets of words take a microsecond an element; CSS substring selectors match too much.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Flags: invisible; part of the site rather than of the page (navigation, selling, sharing); so only if it holds little
# prose; a discussion of the page; the page's own text by its own account; a picture's caption or credit.
HIDDEN, CHROME, WEAK, COMMENT, CONTENT, CAPTION = 1, 2, 4, 8, 16, 32


def words(text: str) -> frozenset[str]:
    """The words of a text, for constants that read better in prose."""
    return frozenset(text.split())


_NAMING = frozenset((" class=", " id=", " role=", " itemprop=", " property="))
_READ = _NAMING | {" style=", " hidden=", " aria-hidden="}
_CAPITAL = re.compile(r"(?<![A-Z])([A-Z])")
_SEPARATORS = str.maketrans(dict.fromkeys("-_:./|0123456789", " "))
_DISPLAY_NONE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

PRUNED_TAGS = {
    "nav": CHROME,
    "footer": CHROME,
    "aside": CHROME,
    "menu": CHROME,
    "dialog": CHROME,
    "button": CHROME,
    "noscript": HIDDEN,
    "audio": HIDDEN,
    "video": HIDDEN,
    "canvas": HIDDEN,
    "header": WEAK,
    "form": WEAK,
    "time": WEAK,
    "figcaption": CAPTION,
    "article": CONTENT,
    "main": CONTENT,
}

_CHROME_WORDS = words(
    # navigation
    "nav navbar navigation navigational subnav topnav sitenav menu menus submenu dropdown breadcrumb breadcrumbs"
    " pagination pager paginator toolbar sitemap skiplink skip navbox"
    # furniture
    " footer footers masthead sidebar sidebars rail copyright cookie cookies consent gdpr popup popups modal"
    " overlay lightbox dialog alertdialog contentinfo complementary banner search searchbox login signin logo"
    # sharing
    " share shares sharing sharedaddy sharebar sharethis addthis addtoany social socials socialbar follow"
    " likes"
    # other pages
    " related relatedposts recommended recommendation recommendations recirc recirculation trending popular"
    " outbrain taboola zergnet revcontent mostpopular mostread upnext jumplinks teaser teasers"
    # selling
    " promo promos promotion newsletter newsletters subscribe subscription signup donate donation"
    " sponsor sponsored sponsors advert adverts advertisement advertisements advertising ad ads adsbygoogle adslot"
    " dfp gpt cta"
    # about the text
    " byline bylines bio authorbox tags taglist tagcloud timestamp dateline pubdate postmeta"
    " printfriendly noprint gutter lineno linenos"
)
_WEAK_WORDS = words(
    "header widget widgets meta author authors date published category categories tag label"
    " image media video disclaimer print email buttons button toc more read next previous prev info"
    " rating ratings form topic topics"
)
_COMMENT_WORDS = words("comment comments commentlist commentarea disqus respond livefyre fbcomments replies")
_CAPTION_WORDS = words("caption captions figcaption credit credits gallery slideshow carousel")
_HIDDEN_CLASSES = re.compile(
    r"\b(?:sr-only|visually-?hidden|screen-reader-text|mw-editsection|element-invisible|print-only)\b"
)
_CONTENT_CLASSES = re.compile(
    r"\b(?:article|entry|post|story|page|blog|news)[-_]*(?:body|content|text)\b|\barticlebody\b", re.IGNORECASE
)
_SUBJECT = re.compile(r"(?:category|tag|post_tag|topic)-\w")
_ALL, _LOOK_CLOSER = 63, 64
_FLAGS_OF_WORD: dict[str, int] = {}
for _names, _flag in (
    (_CHROME_WORDS, CHROME),
    (_WEAK_WORDS, WEAK),
    (_COMMENT_WORDS, COMMENT),
    (_CAPTION_WORDS, CAPTION),
    (
        words("body content text articlebody sr visually visuallyhidden screen invisible only editsection"),
        _LOOK_CLOSER,
    ),
):
    for _word in _names:
        _FLAGS_OF_WORD[_word] = _FLAGS_OF_WORD.get(_word, 0) | _flag


_CLOSER_SHIFT = 8
"""Flags that a name has by its spelling, moved out of the way: they count where a word says to look closer."""
_MAX_CACHED_CHARS = 80


def _flags_of_name(name: str) -> int:
    """Flags of one class name, id or role, from its words."""
    words = (name if name.islower() else _CAPITAL.sub(r" \1", name).lower()).translate(_SEPARATORS).split()
    flags = 0
    for word in words:
        flags |= _FLAGS_OF_WORD.get(word, 0)
    if _HIDDEN_CLASSES.search(name):
        flags |= HIDDEN << _CLOSER_SHIFT
    if _CONTENT_CLASSES.search(name):
        flags |= CONTENT << _CLOSER_SHIFT
    return flags


_known_flags = lru_cache(maxsize=1 << 15)(_flags_of_name)
"""The web repeats its class names: within a page, a site, and a framework's users."""


def _names_of(value: str) -> list[str]:
    """The names in an attribute, without an article's subjects, which WordPress writes there: `tag-social-choice`."""
    names = value.split()
    return [n for n in names if not _SUBJECT.match(n)] if "hentry" in names or "type-post" in names else names


@lru_cache(maxsize=1 << 15)
def _flags_of_class(value: str) -> int:
    """Flags of a class attribute of at most `_MAX_CACHED_CHARS`: its value is repeated more than any other."""
    flags = 0
    for name in _names_of(value):
        flags |= _known_flags(name)
    return flags


def classify(tag: str, attributes: str) -> int:
    """Flags of one element, from its tag and its serialised attributes (`' class="a b" id="c"'`)."""
    if tag == "body" or tag == "html":
        return 0
    flags = PRUNED_TAGS.get(tag, 0)
    pieces = iter(attributes.split('"'))  # exact: a serialised value is always quoted, and holds no quote
    for kind, value in zip(pieces, pieces, strict=False):
        if kind not in _READ:
            continue
        if kind == " class=" and len(value) <= _MAX_CACHED_CHARS:
            flags |= _flags_of_class(value)
        elif kind in _NAMING:
            for name in _names_of(value):
                flags |= _known_flags(name) if len(name) <= _MAX_CACHED_CHARS else _flags_of_name(name)
        elif kind == " style=":
            if "none" in value or "hidden" in value:
                flags |= HIDDEN if _DISPLAY_NONE.search(value) else 0
        elif kind == " hidden=" or value == "true":
            flags |= HIDDEN
    if flags & _LOOK_CLOSER:
        flags |= flags >> _CLOSER_SHIFT
    return flags & _ALL
