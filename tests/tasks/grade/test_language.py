# ruff: noqa: E501 the sentences are kept whole
"""The language share on mixed text, on texts of known language, and on what must not count."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tasks.grade.language import LANGUAGES, language_share

TEXTS = {
    "en": "First we compute the sum of all terms. Then we divide it by the number of terms, because the mean is wanted.",
    "de": "Zuerst berechnen wir die Summe aller Zahlen. Danach teilen wir sie durch ihre Anzahl, weil wir den Mittelwert suchen.",
    "fr": "D'abord nous calculons la somme de tous les termes. Ensuite nous la divisons par leur nombre, car on cherche la moyenne.",
    "es": "Primero calculamos la suma de todos los números. Después la dividimos entre la cantidad, porque buscamos la media.",
    "ru": "Сначала мы вычисляем сумму всех чисел. Затем мы делим её на их количество, потому что нам нужно среднее.",
    "zh": "首先我们计算所有数字的总和。然后我们把它除以数字的个数，因为我们要求平均值。",
    "ja": "まず、すべての数の合計を計算します。次に、平均を求めるために、それを個数で割ります。",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_own_language_and_no_other(language: str) -> None:
    for target in LANGUAGES:
        share = language_share(TEXTS[language], target).share  # type: ignore[arg-type]
        assert share >= 0.99 if target == language else share <= 0.25, (language, target, share)


def test_mixed_word_by_word() -> None:
    """`首先 we compute 其次`: four CJK characters (2.67 words) and two English words."""
    mixed = "首先 we compute 其次"
    english, chinese = language_share(mixed, "en"), language_share(mixed, "zh")
    assert english.words == chinese.words == pytest.approx(2 + 4 / 1.5)
    assert english.share == pytest.approx(2 / (2 + 4 / 1.5))
    assert english.share + chinese.share == pytest.approx(1)


def test_more_of_another_language_lowers_the_share() -> None:
    shares = [language_share(TEXTS["en"] + "\n" + TEXTS["zh"] * count, "en").share for count in range(4)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0
    assert shares[3] < 0.4


@pytest.mark.parametrize(
    "noise",
    [
        "```python\nfür = 'Zahl und noch eine Zahl'\n```",
        "`print`",
        "$\\text{si } x \\in \\mathbb{R} \\text{ alors}$",
        "\\[ \\sum_{i=1}^n a_i \\]",
        "\\begin{align} ab &= cd \\end{align}",
        "https://example.com/une-page-en-francais",
        "x y AB ABC dt θ 42 3.14",
        "<think></think>",
    ],
)
def test_code_formulas_and_variables_do_not_count(noise: str) -> None:
    text = TEXTS["en"]
    assert language_share(f"{text} {noise} {text}", "en") == language_share(f"{text} . {text}", "en")
    assert language_share(noise, "en").words == 0


def test_no_words_earn_nothing() -> None:
    assert language_share("", "en").share == 0
    assert language_share("$x = 1$ 12 + 5", "en").share == 0


def test_unknown_language() -> None:
    with pytest.raises(ValueError, match="'xx'"):
        language_share("text", "xx")  # type: ignore[arg-type]


def test_real_texts(rigor_data: Path) -> None:
    """English R1 traces and Chinese exam solutions are what they are, and not the other."""
    english = pl.read_parquet(rigor_data / "longcot" / "math500_r1_and_distill_traces.parquet")["reasoning_trace"]
    for text in [text for text in english.drop_nulls().to_list() if len(text) > 2000][:12]:
        assert language_share(text[:6000], "en").share > 0.93
        assert language_share(text[:6000], "zh").share < 0.02
    chinese = pl.read_parquet(rigor_data / "bilingual" / "cmath_test.parquet")["question"].to_list()
    for text in chinese[:60]:
        assert language_share(text, "zh").share > 0.9, text
        assert language_share(text, "en").share < 0.1, text
