# ruff: noqa: E501 HTML as it is sent
"""The HTML around a page: each site has its own skin, navigation, banners and footers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from random import Random

from tasks.sample_crawl.carriers import CARRIERS, HEADS, SOURCELESS
from tasks.sample_crawl.formulas import latex
from tasks.sample_crawl.grammar import Inline, seeded
from tasks.sample_crawl.pages import LANGUAGES, TITLES, Block, Draft
from tasks.sample_crawl.sites import Site


@dataclass(frozen=True)
class Rendered:
    """A page as HTML, and what it holds: (LaTeX, carrier) of each formula, and the boilerplate sentences."""

    html: str
    formulas: tuple[tuple[str, str], ...]
    drop: tuple[str, ...]


@dataclass(frozen=True)
class _Chrome:
    nav: tuple[str, ...]
    cookie: str
    footer: str
    newsletter: str
    prefix: str


@lru_cache(maxsize=512)
def _chrome(host: str, language: str) -> _Chrome:
    rng = seeded(f"chrome {host} {language}")
    g = LANGUAGES[language]
    words = list(g.words["nav"])
    rng.shuffle(words)
    prefix = rng.choice(("", "x-", "site-", "c" + str(rng.randint(10, 99)) + "-", "tpl_"))
    return _Chrome(tuple(words[:7]), g.text(rng, "cookie"), g.text(rng, "footer"), g.text(rng, "newsletter"), prefix)


def render(draft: Draft, site: Site) -> Rendered:
    """The page in its site's skin."""
    rng = seeded(f"skin {draft.seed}")
    chrome = _chrome(site.host, draft.language)
    body = _Body(draft, rng, site.skin)
    visit = seeded(f"visit {draft.seed} {draft.visit} {draft.month}")
    g = LANGUAGES[draft.language]
    title_pool = TITLES.get(draft.genre, "t_" + draft.genre)
    related = [g.text(visit, title_pool, draft.topic) for _ in range(visit.randint(3, 6))]
    shown = {
        "title": escape(draft.title), "body": body.html, "cookie": escape(chrome.cookie), "footer": escape(chrome.footer),
        "newsletter": escape(chrome.newsletter), "x": chrome.prefix,
        "nav": "".join(f'<li><a href="/{i}/">{escape(w)}</a></li>' for i, w in enumerate(chrome.nav)),
        "flat_nav": " | ".join(f'<a href="/{i}/">{escape(w)}</a>' for i, w in enumerate(chrome.nav)),
        "related": "".join(f'<li><a href="/r{visit.randint(100, 9999)}">{escape(t)}</a></li>' for t in related),
        "date": f"{draft.month}-{visit.randint(1, 28):02} {visit.randint(0, 23):02}:{visit.randint(0, 59):02}",
        "views": str(visit.randint(40, 90000)), "ad": escape(g.text(visit, "t_shop")), "host": site.host,
    }  # fmt: skip
    head = (
        f'<!DOCTYPE html>\n<html lang="{draft.language}">\n<head>\n<meta charset="{site.charset}">\n<title>{escape(draft.title)}'
        f' - {site.host}</title>\n<meta name="viewport" content="width=device-width">\n'
        f'<link rel="stylesheet" href="/static/{chrome.prefix}main.css">\n{HEADS.get(draft.carrier[0], "") if body.formulas else ""}\n'
        f"<script>window.dataLayer=window.dataLayer||[];function gtag(){{dataLayer.push(arguments);}}gtag('js',new Date());</script>\n"
        "</head>\n"
    )
    page = LAYOUTS[site.skin].format_map(shown)
    return Rendered(head + page + "\n</html>\n", tuple(body.formulas), _dropped(page, chrome))


def _dropped(page: str, chrome: _Chrome) -> tuple[str, ...]:
    return tuple(s for s in (chrome.cookie, chrome.footer, chrome.newsletter) if escape(s) in page)


class _Body:
    """Blocks to HTML, remembering the formulas in document order."""

    def __init__(self, draft: Draft, rng: Random, skin: str) -> None:
        self.draft, self.rng = draft, rng
        self.formulas: list[tuple[str, str]] = []
        self.open_post = False
        old = skin == "table"
        self.html = "\n".join(self._block(b, old) for b in draft.blocks)
        if self.open_post:
            self.html += "\n</div></div>"

    def _inline(self, items: Inline, display: bool = False) -> str:
        out = []
        for piece in items:
            if isinstance(piece, str):
                out.append(escape(piece, quote=False))
                continue
            main, second = self.draft.carrier
            carrier = main if main == second or self.rng.random() < 0.85 else second
            if main in SOURCELESS:
                carrier = main
            if carrier not in SOURCELESS:
                self.formulas.append((latex(piece), carrier))
            out.append(CARRIERS[carrier](piece, display))
        return "".join(out)

    def _block(self, block: Block, old: bool) -> str:
        kind, items = block.kind, block.items
        if kind == "p":
            text = self._inline(items[0])
            return f"{text}<br><br>" if old else f"<p>{text}</p>"
        if kind == "display":
            text = self._inline(items[0], display=True)
            return f"<center>{text}</center>" if old else f'<div class="equation">{text}</div>'
        if kind == "h2":
            return (
                f"<b><font size=4>{self._inline(items[0])}</font></b><br>"
                if old
                else f"<h2>{self._inline(items[0])}</h2>"
            )
        if kind == "pre":
            return f"<pre><code>{escape(str(items[0][0]), quote=False)}</code></pre>"
        if kind == "post":
            close = "</div></div>\n" if self.open_post else ""
            self.open_post = True
            return f'{close}<div class="post"><div class="post-author">{self._inline(items[0])}</div><div class="post-body">'
        if kind == "table":
            rows = (items[i : i + 3] for i in range(0, len(items), 3))
            return (
                "<table>"
                + "".join("<tr>" + "".join(f"<td>{self._inline(c)}</td>" for c in r) + "</tr>" for r in rows)
                + "</table>"
            )
        return f"<{kind}>" + "\n".join(f"<li>{self._inline(item)}</li>" for item in items) + f"</{kind}>"


LAYOUTS = {
    "semantic": """<body><header><a href="/">{host}</a><nav><ul>{nav}</ul></nav></header>
<div class="{x}cookie-banner" role="dialog"><p>{cookie}</p><button>OK</button></div>
<main><article><h1>{title}</h1><time>{date}</time>
{body}
</article></main>
<aside><h3>&bull;</h3><ul>{related}</ul><div class="ad"><a href="/ad">{ad}</a></div><p>{newsletter}</p></aside>
<footer><p>{footer}</p></footer></body>""",
    "divs": """<body><div id="{x}top" class="{x}header"><div class="{x}menu"><ul>{nav}</ul></div></div>
<div id="{x}wrap"><div class="{x}sidebar"><ul>{related}</ul><div class="{x}promo">{newsletter}</div></div>
<div id="{x}content" class="{x}content"><h1>{title}</h1><div class="{x}meta">{date} &middot; {views}</div>
{body}
</div></div><div class="{x}footer">{footer}</div><div class="{x}cookie">{cookie}</div></body>""",
    "table": """<body bgcolor="#ffffff"><table width="100%" border="0"><tr><td colspan="2">{flat_nav}</td></tr>
<tr><td width="160" valign="top"><ul>{related}</ul></td><td valign="top"><h1>{title}</h1>
{body}
</td></tr><tr><td colspan="2" align="center"><small>{footer}</small></td></tr></table></body>""",
    "wiki": """<body class="mediawiki"><div id="mw-page-base"></div><div id="content" class="mw-body"><h1 id="firstHeading">{title}</h1>
<div id="bodyContent"><div id="mw-content-text"><div class="mw-parser-output">
{body}
</div></div><div id="catlinks"><ul>{related}</ul></div></div></div>
<div id="mw-navigation"><div id="mw-panel"><ul>{nav}</ul></div></div>
<div id="footer" role="contentinfo"><ul><li id="footer-info-lastmod">{date}</li><li>{footer}</li></ul></div></body>""",
    "forum": """<body><div class="{x}topbar"><ul class="nav">{nav}</ul></div><div class="{x}container"><div id="page-body">
<h1 class="topic-title">{title}</h1><div class="{x}stats">{views}</div>
{body}
</div><div class="{x}sidebar"><ul>{related}</ul></div></div><div class="{x}notice">{cookie}</div>
<div id="page-footer">{footer}</div></body>""",
    "blog": """<body class="single post"><div id="page"><div id="masthead" class="site-header"><div class="main-navigation"><ul>{nav}</ul></div></div>
<div id="primary"><div class="entry"><h1 class="entry-title">{title}</h1><div class="entry-meta">{date}</div><div class="entry-content">
{body}
</div></div></div><div id="secondary" class="widget-area"><div class="widget"><ul>{related}</ul></div>
<div class="widget newsletter">{newsletter}</div></div><div id="colophon" class="site-footer">{footer}</div>
<div class="cookie-notice">{cookie}</div></div></body>""",
    "shop": """<body><div class="topnav"><ul>{nav}</ul></div><div class="breadcrumb">{flat_nav}</div><div class="product-page"><h1>{title}</h1>
<div class="product-description">
{body}
</div><button>+</button></div><div class="recommendations"><ul>{related}</ul></div>
<div class="newsletter">{newsletter}</div><div class="footer">{footer}</div><div class="cookie">{cookie}</div></body>""",
    "plain": """<body><h1>{title}</h1><hr>
{body}
<hr><address>{host} | {flat_nav}</address></body>""",
}
