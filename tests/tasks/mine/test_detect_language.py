"""Languages: worked examples written by native rules, a second library on real pages, and odd input."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from lingua import LanguageDetectorBuilder
from resiliparse.extract.html2text import extract_plain_text

from tasks.mine.detect_language import detect_language

EXAMPLES = {
    "en": "Let $f$ be a continuous function on the closed interval. Show that it attains its maximum, and give an "
    "example of a function that does not.",
    "de": "Sei $f$ eine stetige Funktion auf dem abgeschlossenen Intervall. Zeigen Sie, dass sie ihr Maximum annimmt.",
    "fr": "Soit $f$ une fonction continue sur un intervalle fermé. Montrer qu'elle atteint son maximum.",
    "es": "Sea $f$ una función continua en el intervalo cerrado. Demuestra que alcanza su máximo.",
    "pt": "Seja $f$ uma função contínua no intervalo fechado. Mostre que ela atinge o seu máximo e dê um exemplo.",
    "it": "Sia $f$ una funzione continua su un intervallo chiuso. Dimostrare che essa raggiunge il massimo.",
    "nl": "Zij $f$ een continue functie op het gesloten interval. Toon aan dat zij haar maximum aanneemt.",
    "pl": "Niech $f$ będzie funkcją ciągłą na przedziale domkniętym. Wykaż, że osiąga ona swoje maksimum.",
    "cs": "Nechť $f$ je spojitá funkce na uzavřeném intervalu. Dokažte, že nabývá svého maxima.",
    "sv": "Låt $f$ vara en kontinuerlig funktion på det slutna intervallet. Visa att den antar sitt maximum.",
    "tr": "$f$ kapalı aralıkta sürekli bir fonksiyon olsun. Maksimum değerine ulaştığını gösterin.",
    "ru": "Пусть $f$ — непрерывная функция на замкнутом отрезке. Докажите, что она достигает своего максимума.",
    "uk": "Нехай $f$ — неперервна функція на замкненому відрізку. Доведіть, що вона досягає свого максимуму.",
    "el": "Έστω $f$ συνεχής συνάρτηση σε κλειστό διάστημα. Να αποδειχθεί ότι λαμβάνει μέγιστη τιμή.",
    "zh": "设 $f$ 是闭区间上的连续函数。证明它能取得最大值。",
    "ja": "関数 $f$ を閉区間上の連続関数とする。最大値をとることを示せ。",
    "ko": "$f$를 닫힌구간에서 연속인 함수라고 하자. 최댓값을 가짐을 보여라.",
    "ar": "لتكن الدالة مستمرة على الفترة المغلقة. أثبت أنها تبلغ قيمتها العظمى وأعط مثالا على ذلك.",
    "he": "תהי פונקציה רציפה בקטע סגור. הוכיחו כי היא מקבלת בו את המקסימום שלה.",
    "hi": "मान लीजिए कि यह फलन बंद अंतराल पर सतत है। सिद्ध कीजिए कि यह अपना अधिकतम मान प्राप्त करता है।",
}


@pytest.mark.parametrize("code", sorted(EXAMPLES))
def test_each_language_is_named_at_sentence_and_at_page_length(code: str) -> None:
    assert detect_language(EXAMPLES[code]) == code
    assert detect_language((EXAMPLES[code] + "\n") * 12) == code


@pytest.mark.parametrize("code", ["de", "zh", "ru", "fr"])
def test_formulas_code_and_links_do_not_outvote_the_prose(code: str) -> None:
    noise = (
        "$$\\text{where the function is not continuous and the limit does not exist}$$\n"
        "```\nfor each item in the list: return the value of this item\n```\n"
        "https://example.org/this/is/the/english/name/of/the/page \\frac{a}{b} 12,345.67 "
    )
    assert detect_language(noise * 3 + EXAMPLES[code] + noise * 3) == code


@pytest.mark.parametrize("text", ["", " \n\t", "12 + 30 = 42", "$x^2 + y^2 = z^2$", "\\alpha \\beta", "— … !?", "ab"])
def test_no_prose_is_undetermined(text: str) -> None:
    assert detect_language(text) == "und"


def test_chinese_with_some_english_words_stays_chinese() -> None:
    assert detect_language("用 Python 的 numpy 库计算矩阵的特征值 eigenvalue 和特征向量，结果见下面的表格。") == "zh"


def test_hostile_text_is_answered() -> None:
    for text in ("\\(" * 9_000, "$" * 9_001, "`" * 9_001, "\\[" * 9_000, "\ud800" * 50, "\0" * 9_000, "é" * 9_000):
        assert len(detect_language(text)) in (2, 3)


def test_agrees_with_lingua_on_real_pages(rigor_data: Path) -> None:
    """91 article pages of several languages; lingua over all of its 75 languages is the second opinion."""
    judge = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()
    files = sorted((rigor_data / "web/plain_html/scrapinghub").rglob("*.html.gz"))[::2]
    pages = [gzip.decompress(file.read_bytes()).decode("utf-8", "replace") for file in files]
    texts = [text for page in pages if len(text := extract_plain_text(page, main_content=True)) >= 300]
    second = [judge.detect_language_of(text[:600]) for text in texts]
    agreed = [
        x is not None and x.iso_code_639_1.name.lower() == detect_language(t)
        for x, t in zip(second, texts, strict=True)
    ]
    assert len(texts) >= 80
    assert sum(agreed) / len(agreed) >= 0.97
