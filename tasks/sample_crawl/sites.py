# ruff: noqa: E501 one template, site or problem a line
"""The sample web: domains that are all, part or never mathematical, and their sections."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """A part of a site: URL path, genre, language, topics and its weight in pages."""

    path: str
    genre: str
    language: str
    topics: tuple[str, ...]
    weight: float


class Site(NamedTuple):
    """A host: its skin, character set, formula carriers (main, second) and sections."""

    host: str
    skin: str
    charset: str
    carriers: tuple[str, str]
    sections: tuple[Section, ...]


EASY_TOPICS = frozenset({"algebra", "calculus", "linear"})
EASY_GENRES = frozenset({"lecture", "textbook", "encyclopedia", "blog"})
ALL_TOPICS = ("algebra", "calculus", "linear", "statistics", "numbers", "geometry", "counting")
_TOPIC = {
    "a": "algebra",
    "c": "calculus",
    "l": "linear",
    "s": "statistics",
    "n": "numbers",
    "g": "geometry",
    "k": "counting",
}

# host skin charset carriers | path genre language topics(initials, * all, - none) weight | …
_TABLE = """
calculus-atlas-sample.org semantic utf-8 katex,annotation | /calculus/ lecture en c 16 | /matrices/ lecture en l 12
algebra-notebook-sample.org blog utf-8 wordpress,wordpress | /2019/ blog en al 14 | /2021/ blog en ncg 10 | /life/ news en - 4
planet-proof-sample.org wiki utf-8 wikipedia,wikipedia | /wiki/ encyclopedia en * 24 | /de/wiki/ encyclopedia de * 10 | /fr/wiki/ encyclopedia fr * 9 | /zh/wiki/ encyclopedia zh * 9 | /biographies/ bio en - 9
open-mathbook-sample.org semantic utf-8 alttext,alttext | /book/ textbook en acl 16 | /libro/ textbook es acl 9 | /exercises/ problems en nkg 10
mathquestions-sample.com forum utf-8 dollars,dollars | /questions/ forum en * 30 | /tags/ lecture en a 4 | /meta/ typesetting en * 5
number-forum-sample.net forum utf-8 asciimath,asciimath | /t/ forum en nk 16 | /guide/ lecture en an 7
olympiad-corner-sample.org table utf-8 brackets,unicode_text | /en/ problems en ngk 12 | /zh/ problems zh ngk 12 | /ru/ problems ru ngk 11 | /theory/ lecture en ac 9
visual-math-sample.pub semantic utf-8 d_math,d_math | /articles/ lecture en lc 8
mathe-skripte-sample.de divs iso-8859-1 script,script | /analysis/ lecture de c 10 | /stochastik/ lecture de s 8 | /english/ lecture en c 5
stochastik-lernen-sample.de blog utf-8 unicode_text,unicode_text | /thema/ lecture de s 14 | /aufgaben/ problems de sk 16
cours-prepa-sample.fr semantic utf-8 brackets,brackets | /cours/ textbook fr acl 11 | /notes/ lecture en l 4
enigmes-sample.be blog utf-8 unicode_text,unicode_text | /enigmes/ problems fr ngk 15
exos-maths-sample.fr divs iso-8859-1 codecogs,codecogs | /exercices/ problems fr * 11 | /forum/ forum fr * 7
apuntes-mates-sample.es table iso-8859-1 mimetex,mimetex | /apuntes/ lecture es cls 10 | /problemas/ problems es * 8
olimpiada-sample.mx blog utf-8 unicode_text,unicode_text | /problemas/ problems es ngk 15 | /foro/ forum es ngk 10
zadachi-sample.ru table windows-1251 unicode_text,unicode_text | /zadachi/ problems ru * 18 | /forum/ forum ru nkg 10
matan-lektsii-sample.ru divs utf-8 dollars,dollars | /lektsii/ lecture ru cl 11 | /seminar/ textbook ru as 6
shuxue-jingsai-sample.cn divs gb18030 mathjax_svg,unicode_text | /timu/ problems zh ngk 18 | /luntan/ forum zh nkg 11
gaodeng-shuxue-sample.cn semantic utf-8 katex,brackets | /jiangyi/ lecture zh cls 11 | /xiti/ textbook zh al 7
statistics-course-sample.org semantic utf-8 mathjax_assistive,bare_mathml | /lessons/ lecture en s 12 | /practice/ problems en s 7
geometry-proofs-sample.org divs utf-8 mathjax_chtml,mathjax_chtml | /proofs/ blog en g 10 | /puzzles/ problems en gk 14
homework-help-sample.com divs utf-8 data_tex,data_tex | /solutions/ problems en * 14 | /lessons/ textbook en acl 8 | /tutors/ tutoring en - 8
combinatorics-club-sample.org blog utf-8 bare_mathml,bare_mathml | /posts/ blog en kn 9
science-board-sample.com forum utf-8 itex,itex | /math/ forum en * 14 | /offtopic/ news en - 9 | /jobs/ finance en - 4
uni-nordheim-sample.de divs utf-8 brackets,brackets | /~weber/skript/ lecture de ascn 9 | /~weber/english/ lecture en ac 6 | /aktuelles/ news de - 9 | /institut/ admin de - 8
univ-valmont-sample.fr semantic utf-8 script,dollars | /~moreau/cours/ lecture fr csl 9 | /~moreau/english/ lecture en lc 5 | /actualites/ news fr - 9 | /departement/ admin fr - 7
univ-altamira-sample.es divs utf-8 dollars,dollars | /~ruiz/apuntes/ lecture es sln 8 | /~ruiz/english/ textbook en ac 5 | /noticias/ news es - 9 | /departamento/ admin es - 7
eastfield-college-sample.edu table utf-8 annotation,annotation | /~hartley/notes/ lecture en cls 12 | /news/ news en - 9 | /math-dept/ admin en - 12 | /athletics/ sports en - 8
univer-sever-sample.ru divs windows-1251 dollars,dollars | /~petrov/kurs/ lecture ru acn 9 | /~petrov/english/ lecture en al 5 | /novosti/ news ru - 9 | /kafedra/ admin ru - 7
donghu-daxue-sample.cn semantic utf-8 brackets,brackets | /~wang/jiangyi/ lecture zh acn 9 | /~wang/english/ lecture en cl 5 | /xinwen/ news zh - 9 | /shuxuexi/ admin zh - 7
daily-post-sample.com semantic utf-8 unicode_text,unicode_text | /news/ news en - 18 | /sports/ sports en - 14 | /puzzles/ problems en ngk 14 | /money/ finance en - 10
teacher-blog-sample.net blog utf-8 wordpress,wordpress | /maths/ blog en cgk 10 | /kitchen/ recipe en - 9 | /poems/ poem en - 6
code-garden-sample.dev blog utf-8 katex,katex | /tutorials/ coding en - 16 | /math-for-programmers/ lecture en lkn 9
qanda-hub-sample.com forum utf-8 brackets,dollars | /math/ forum en acn 12 | /coding/ coding en - 10 | /cooking/ recipe en - 8
quant-desk-sample.com semantic utf-8 mathjax_assistive,katex | /markets/ finance en - 14 | /quant/ lecture en s 8
encyclo-sample.info wiki utf-8 wikipedia,wikipedia | /science/mathematics/ encyclopedia en ans 11 | /places/ news en - 9 | /people/ bio en - 9 | /food/ recipe en - 7
lernwelt-sample.at divs utf-8 codecogs,codecogs | /mathe/ textbook de cgl 9 | /mathe/forum/ forum de * 8 | /kochen/ recipe de - 6
blog-cafe-sample.fr blog utf-8 wordpress,wordpress | /maths/ blog fr nga 8 | /cuisine/ recipe fr - 8 | /bourse/ finance fr - 5
tablon-sample.ar forum utf-8 itex,itex | /mates/ forum es * 9 | /deportes/ sports es - 8 | /economia/ finance es - 5
shequ-sample.cn forum utf-8 dollars,unicode_text | /shuxue/ forum zh * 9 | /tiyu/ sports zh - 8 | /meishi/ recipe zh - 6
obschenie-sample.ru forum utf-8 mimetex,mimetex | /matematika/ forum ru * 9 | /sport/ sports ru - 8 | /kuhnya/ recipe ru - 6
gear-store-sample.com shop utf-8 dollars,dollars | /p/ shop en - 26
home-goods-sample.co.uk shop utf-8 dollars,dollars | /shop/ shop en - 16 | /recipes/ recipe en - 6
laden-sample.de shop utf-8 dollars,dollars | /artikel/ shop de - 14
boutique-sample.fr shop utf-8 dollars,dollars | /produit/ shop fr - 12
tienda-sample.es shop iso-8859-1 dollars,dollars | /producto/ shop es - 11
shangcheng-sample.cn shop gb18030 dollars,dollars | /item/ shop zh - 12
magazin-sample.ru shop windows-1251 dollars,dollars | /tovar/ shop ru - 11
stat-sports-sample.com table utf-8 dollars,dollars | /match/ sports en - 20
market-ticker-sample.com semantic utf-8 dollars,dollars | /story/ finance en - 18
kitchen-table-sample.com blog utf-8 dollars,dollars | /recipe/ recipe en - 18
star-numbers-sample.com blog utf-8 dollars,dollars | /numerology/ numerology en - 16 | /horoscope/ numerology en - 8
php-howto-sample.net table utf-8 dollars,dollars | /howto/ coding en - 16 | /latex/ typesetting en * 6
tutor-finder-sample.com divs utf-8 dollars,dollars | /city/ tutoring en - 10
verse-sample.org semantic utf-8 dollars,dollars | /poem/ poem en - 12
nachrichten-sample.de semantic utf-8 dollars,dollars | /lokal/ news de - 11 | /sport/ sports de - 8 | /geld/ finance de - 8
journal-sample.fr divs utf-8 dollars,dollars | /locale/ news fr - 10 | /sport/ sports fr - 8
diario-sample.es table utf-8 dollars,dollars | /local/ news es - 10 | /recetas/ recipe es - 7
xinwen-sample.cn divs gb18030 dollars,dollars | /bendi/ news zh - 10 | /caijing/ finance zh - 8
vesti-sample.ru semantic utf-8 dollars,dollars | /gorod/ news ru - 10 | /dengi/ finance ru - 8
city-gazette-sample.com divs utf-8 dollars,dollars | /local/ news en - 16
exam-office-sample.edu table utf-8 dollars,dollars | /schedule/ admin en - 14
"""


def _section(text: str) -> Section:
    path, genre, language, topics, weight = text.split()
    names = ALL_TOPICS if topics == "*" else () if topics == "-" else tuple(_TOPIC[t] for t in topics)
    return Section(path, genre, language, names, float(weight))


def _site(line: str) -> Site:
    head, *sections = line.split(" | ")
    host, skin, charset, carriers = head.split()
    main, second = carriers.split(",")
    return Site(host, skin, charset, (main, second), tuple(map(_section, sections)))


SITES = {site.host: site for site in map(_site, _TABLE.strip().splitlines())}
MIRROR = Site("mirror-archive-sample.net", "plain", "utf-8", ("annotation", "annotation"), ())
"""Holds copies of other sites' pages under another skin; has no pages of its own."""
