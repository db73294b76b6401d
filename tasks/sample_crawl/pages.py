"""Pages before they get a skin: title, blocks, formulas and the sentences that must survive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tasks.sample_crawl import expressions
from tasks.sample_crawl.carriers import SOURCELESS
from tasks.sample_crawl.formulas import Node, latex, plain
from tasks.sample_crawl.grammar import Grammar, Inline
from tasks.sample_crawl.lang_de import DE
from tasks.sample_crawl.lang_en import EN
from tasks.sample_crawl.lang_es import ES
from tasks.sample_crawl.lang_fr import FR
from tasks.sample_crawl.lang_ru import RU
from tasks.sample_crawl.lang_zh import ZH

LANGUAGES: dict[str, Grammar] = {g.language: g for g in (EN, DE, FR, ES, ZH, RU)}
MATH_GENRES = frozenset({"lecture", "forum", "encyclopedia", "problems", "blog", "textbook"})
TITLES = {"lecture": "t_math", "forum": "t_ask", "encyclopedia": "t_math", "problems": "t_problem", "blog": "t_math",
          "textbook": "t_math"}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A block of a page. `kind`: p, h2, display (one formula), ol, ul, table, pre or post (author line)."""

    kind: str
    items: tuple[Inline, ...]


@dataclass
class Draft:
    """A planned page. Plants (duplicates, leaks, traps) change it before it is rendered."""

    url: str
    site: str
    month: str
    genre: str
    topic: str
    language: str
    carrier: tuple[str, str]
    """Main carrier of the formulas and the second one, used now and then."""
    title: str
    blocks: list[Block]
    seed: int
    hard: bool = False
    cluster: str | None = None
    cluster_kind: str = "none"
    leaked_item: str | None = None
    trap: str | None = None
    visit: int = 0
    """How many times the page was crawled before: changes dates, counters and advertisements, not the text."""
    wet: bool = False
    keep: tuple[str, ...] = field(default=())

    @property
    def is_math(self) -> bool:
        """Whether the page is mathematics."""
        return self.genre in MATH_GENRES


def make_blocks(rng: Random, language: str, genre: str, topic: str) -> list[Block]:
    """The content of one page."""
    grammar = LANGUAGES[language]
    if genre in BUILDERS:
        return BUILDERS[genre](rng, grammar, topic)
    return _plain_page(rng, grammar, genre, topic)


def make_title(rng: Random, language: str, genre: str, topic: str) -> str:
    """A title, without formulas."""
    return LANGUAGES[language].text(rng, TITLES.get(genre, "t_" + genre), topic).strip()


def _join(grammar: Grammar, sentences: list[Inline]) -> Inline:
    gap = "" if grammar.language == "zh" else " "
    out: list[str | Node] = []
    for i, sentence in enumerate(sentences):
        out += ([gap] if i and gap else []) + list(sentence)
    merged: list[str | Node] = []
    for piece in out:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return tuple(merged)


def _paragraphs(rng: Random, g: Grammar, pool: str, count: int, topic: str = "", size: int = 4) -> list[Block]:
    sentences = g.sentences(rng, pool, count, topic)
    blocks = []
    while sentences:
        take = rng.randint(max(1, size - 2), size + 1)
        blocks.append(Block("p", (_join(g, sentences[:take]),)))
        sentences = sentences[take:]
    return blocks


def _heading(rng: Random, g: Grammar, pool: str, topic: str) -> Block:
    return Block("h2", ((g.text(rng, pool, topic),),))


def _display(rng: Random, topic: str) -> Block:
    return Block("display", ((expressions.display(rng, topic),),))


def _with_displays(rng: Random, blocks: list[Block], topic: str, share: float) -> list[Block]:
    out = []
    for block in blocks:
        out.append(block)
        if rng.random() < share:
            out.append(_display(rng, topic))
    return out


def _lecture(rng: Random, g: Grammar, topic: str) -> list[Block]:
    out = _paragraphs(rng, g, "expo", rng.randint(3, 6), topic)
    for _ in range(rng.randint(2, 4)):
        out.append(_heading(rng, g, "t_math", topic))
        out += _with_displays(rng, _paragraphs(rng, g, "expo", rng.randint(4, 8), topic), topic, 0.7)
        if rng.random() < 0.5:
            out += _paragraphs(rng, g, "proof", rng.randint(2, 5), topic)
    return out


def _textbook(rng: Random, g: Grammar, topic: str) -> list[Block]:
    exercises = Block("ol", tuple(g.sentences(rng, "problem", rng.randint(3, 6), topic)))
    return [*_lecture(rng, g, topic), _table(rng, g, topic), exercises]


def _table(rng: Random, g: Grammar, topic: str) -> Block:
    cells: list[Inline] = [("n",), (g.text(rng, "t_math", topic),), (expressions.inline(rng, topic),)]
    for n in range(1, rng.randint(4, 7)):
        cells += [(str(n),), (expressions.display(rng, topic),), (expressions.inline(rng, topic),)]
    return Block("table", tuple(cells))


def _encyclopedia(rng: Random, g: Grammar, topic: str) -> list[Block]:
    out = _paragraphs(rng, g, "expo", rng.randint(4, 7), topic)
    for _ in range(rng.randint(2, 3)):
        out.append(_heading(rng, g, "t_math", topic))
        out += _with_displays(rng, _paragraphs(rng, g, "expo", rng.randint(4, 7), topic), topic, 0.4)
    return [*out, Block("ul", tuple(((g.text(rng, "t_math", topic)),) for _ in range(3)))]


def _forum(rng: Random, g: Grammar, topic: str) -> list[Block]:
    def author() -> Block:
        name = rng.choice(g.words["person"])
        return Block(
            "post",
            ((f"{name}{rng.randint(1, 99)} · {rng.randint(1, 28)}.{rng.randint(1, 12)}.{rng.randint(2009, 2025)}",),),
        )

    out = [author(), *_paragraphs(rng, g, "ask", rng.randint(3, 5), topic), _display(rng, topic)]
    for _ in range(rng.randint(2, 4)):
        out.append(author())
        out += _paragraphs(rng, g, "answer", rng.randint(3, 5), topic)
        out += _with_displays(rng, _paragraphs(rng, g, "expo", rng.randint(1, 3), topic), topic, 0.4)
    if rng.random() < 0.3:
        name, limit = rng.choice("nkmt"), rng.randint(50, 5000)
        test = f"({name}**{rng.randint(2, 5)} + {rng.randint(1, 40)}) % {rng.randint(3, 97)} == 0"
        code = f"for {name} in range(1, {limit}):\n    if {test}:\n        print({name})"
        out.append(Block("pre", ((code,),)))
    return out


def _problems(rng: Random, g: Grammar, topic: str) -> list[Block]:
    out = _paragraphs(rng, g, "expo", 2, topic)
    out.append(Block("ol", tuple(g.sentences(rng, "problem", rng.randint(7, 13), topic))))
    if rng.random() < 0.6:
        out += _with_displays(rng, _paragraphs(rng, g, "proof", rng.randint(3, 6), topic), topic, 0.4)
    return out


def _blog(rng: Random, g: Grammar, topic: str) -> list[Block]:
    out = _paragraphs(rng, g, "expo", rng.randint(3, 5), topic) + _paragraphs(rng, g, "news", 2)
    out += _with_displays(rng, _paragraphs(rng, g, "proof", rng.randint(5, 9), topic), topic, 0.6)
    out += _with_displays(rng, _paragraphs(rng, g, "expo", rng.randint(4, 8), topic), topic, 0.4)
    return out + _paragraphs(rng, g, "answer", rng.randint(2, 3), topic, size=1)


def _plain_page(rng: Random, g: Grammar, genre: str, topic: str) -> list[Block]:
    """Everything that is not mathematics."""
    out = _paragraphs(rng, g, genre, rng.randint(9, 18), topic, size=1 if genre == "poem" else 4)
    if genre in ("shop", "sports", "finance", "admin"):
        cells: list[Inline] = []
        for _ in range(rng.randint(3, 7)):
            label = g.expand(
                rng, {"shop": "{product}", "sports": "{team}", "finance": "{firm}", "admin": "{room}"}[genre]
            )
            cells += [label, (str(rng.randint(1, 99)),), (f"{rng.randint(1, 400)}.{rng.randint(10, 99)}",)]
        out.insert(rng.randint(1, len(out)), Block("table", tuple(cells)))
    if genre == "coding":
        field, factor = f"{rng.choice('abcdef')}{rng.randint(1, 99)}", rng.randint(2, 40)
        loop = f"foreach ($rows as $row) {{\n  $total += $row['{field}'] * {factor};\n}}"
        code = f'$total_{rng.randint(1, 99)} = 0;\n{loop}\necho "$total $currency";'
        out.insert(rng.randint(1, len(out)), Block("pre", ((code,),)))
    if genre == "recipe":
        amounts = ("1/2", "3/4", "1 1/3", "2", "250 g", "2/3", "1/4")
        out.insert(
            1,
            Block(
                "ul", tuple((f"{rng.choice(amounts)} {rng.choice(g.words['food'])}",) for _ in range(rng.randint(4, 8)))
            ),
        )
    if rng.random() < 0.4:
        out.insert(rng.randint(1, len(out)), _heading(rng, g, "t_" + genre, topic))
    return out


BUILDERS: dict[str, Callable[[Random, Grammar, str], list[Block]]] = {
    "lecture": _lecture, "textbook": _textbook, "encyclopedia": _encyclopedia, "forum": _forum,
    "problems": _problems, "blog": _blog,
}  # fmt: skip


def inline_text(items: Inline, carrier: str) -> str:
    """What the text of a run should be: formulas as `$…$`, as Unicode, or absent where the carrier has no source."""
    if carrier == "unicode_text":
        return "".join(p if isinstance(p, str) else plain(p) for p in items)
    hidden = carrier in SOURCELESS
    return "".join(p if isinstance(p, str) else "" if hidden else f"${latex(p)}$" for p in items)


def draft_text(draft: Draft) -> str:
    """The main text of a page, without its title, one line a paragraph, list entry or cell row."""
    return "\n".join(inline_text(item, draft.carrier[0]) for block in draft.blocks for item in block.items)
