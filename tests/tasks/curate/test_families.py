"""Gold answers against Python itself and brute force; worked reasoning against the gold."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys

import pytest
from matplotlib.colors import CSS4_COLORS

from tasks.curate.families import FAMILIES, Draft, Family, Pad
from tasks.curate.solutions import work_out

WORKED = [family for family in FAMILIES.values() if family.work is not None]
CELLS = [
    (family, level, language)
    for family in FAMILIES.values()
    for level in range(1, family.levels + 1)
    for language in family.languages
]


def draws(family: Family, level: int, language: str, count: int) -> list[Draft]:
    rng = random.Random(f"{family.name}{level}{language}")
    return [family.make(rng, level, language) for _ in range(count)]


def all_draws(name: str, count: int = 25) -> list[Draft]:
    return [d for f, level, language in CELLS if f.name == name for d in draws(f, level, language, count)]


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def python_says(programs: list[str]) -> list[str]:
    """What each program prints, in an interpreter of its own kind: one process runs them all."""
    runner = "import json,sys\nfor p in json.load(sys.stdin):\n print('@@')\n exec(p,{})"
    done = subprocess.run(
        [sys.executable, "-I", "-c", runner], input=json.dumps(programs), capture_output=True, text=True, check=True
    )
    return [part.strip() for part in done.stdout.split("@@\n")[1:]]


def test_at_least_eight_families_are_worked_at_every_level() -> None:
    assert len(WORKED) >= 8
    for level in range(1, 4):
        assert sum(family.levels >= level for family in WORKED) >= 8
    assert {family.category for family in FAMILIES.values()} == {
        "math", "proof", "code", "logic", "stem", "general", "safety"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["running_sums", "differences", "products", "expressions"])
def test_arithmetic_golds_are_pythons(name: str) -> None:
    made = all_draws(name)
    shown = [re.search(r"[\d(][\d+*() -]*[\d)]", draft.prompt) for draft in made]
    assert python_says([f"print({found[0]})" for found in shown if found]) == [draft.gold for draft in made]


def test_programs_print_their_golds() -> None:
    made = all_draws("output_prediction")
    programs = [re.search(r"x = .*?print\([^)]*\)", draft.prompt, re.DOTALL) for draft in made]
    assert python_says([found[0] for found in programs if found]) == [draft.gold for draft in made]


def test_linear_golds_solve_the_equation_alone() -> None:
    for draft in all_draws("linear_equations"):
        found = re.search(r"(\d*)x ([+-]) (\d+) = (\d+)", draft.prompt)
        assert found
        a, b, c = int(found[1] or 1), int(found[3]), int(found[4])
        solutions = [x for x in range(-500, 500) if a * x + (b if found[2] == "+" else -b) == c]
        assert list(map(str, solutions)) == [draft.gold]


def test_clock_golds_by_ticking() -> None:
    for draft in all_draws("clock"):
        hour, hours = sorted(draft.params.items())[1][1], sorted(draft.params.items())[0][1]
        assert set(numbers(draft.prompt)) == {hour, hours}
        for _ in range(hours):
            hour = 1 if hour == 12 else hour + 1
        assert draft.gold == str(hour)


def test_list_golds() -> None:
    for draft in all_draws("sorting"):
        assert numbers(draft.gold) == sorted(numbers(draft.prompt))
    for draft in all_draws("comparison"):
        sums = [sum(numbers(part)) for part in draft.prompt.split(",")]
        assert draft.gold == str(max(sums))
    for draft in all_draws("remainders"):
        number, divisor = numbers(draft.prompt)
        assert int(draft.gold) == number - divisor * max(k for k in range(number + 1) if k * divisor <= number)
    for draft in all_draws("parity"):
        assert draft.gold == ("odd" if sum(n % 2 for n in numbers(draft.prompt)) % 2 else "even")
    for draft in all_draws("reversal"):
        assert draft.gold[::-1] in draft.prompt


def test_truth_golds_by_substitution() -> None:
    made = all_draws("truth")
    programs = []
    for draft in made:
        values = dict(re.findall(r"([A-H]) is (true|false)", draft.prompt))
        formula = re.findall(r"\(?(?:not )?[A-H]\)? (?:and|or) [A-H() a-z]*", draft.prompt)[0]
        text = re.sub(r"[A-H]", lambda m, v=values: str(v[m[0]] == "true"), formula)
        programs.append(f"print(str({text}).lower())")
    assert python_says(programs) == [draft.gold for draft in made]


def test_word_problems_follow_their_sentences() -> None:
    for draft in all_draws("word_problems"):
        total, *amounts = numbers(draft.prompt)
        sentences = re.split(r"[.。] ?", draft.prompt)[1:]
        for amount, sentence in zip(amounts, sentences, strict=False):
            assert str(amount) in sentence
            if re.search(r"times|trades|倍", sentence):
                total *= amount
            elif re.search(r"away|loses|takes|送出|拿走", sentence):
                total -= amount
            else:
                total += amount
            assert total >= 0
        assert draft.gold == str(total), draft.prompt


def test_list_edits_by_reading_them() -> None:
    """Every sentence says one thing: `put 5 at place 2` could be to replace or to insert."""
    for draft in (d for level in (1, 2, 3) for d in draws(FAMILIES["list_editing"], level, "en", 200)):
        found = re.fullmatch(r"(?:List:|Start with) ([\d ]+)\. (.*)\.", draft.prompt)
        assert found
        now = found[1].split()
        for said in found[2].split(". "):
            word, *_ = said.split()
            figures = re.findall(r"\d", said)
            if said == "Drop the first":
                now = now[1:]
            elif said == "Drop the last":
                now = now[:-1]
            elif word == "Replace":
                now[int(figures[0]) - 1] = figures[1]
            else:
                now = {"Append": [*now, *figures], "Prepend": [*figures, *now],
                       "Remove": [n for n in now if n not in figures]}[word]  # fmt: skip
        assert draft.gold == " ".join(now), draft.prompt


def test_choices_have_one_right_option() -> None:
    """An orange is a fruit, and orange a colour: by the names that CSS gives colours."""
    colours = 0
    for draft in (d for level in (1, 2) for d in draws(FAMILIES["choices"], level, "en", 4_000)):
        if "colour" in draft.prompt:
            options = json.loads(draft.tests)["options"]
            assert [letter for letter, word in options.items() if word in CSS4_COLORS] == [draft.gold], draft.prompt
            colours += 1
    assert colours > 1_000


def test_a_request_has_one_answer() -> None:
    keywords: dict[str, set[str]] = {}
    for draft in draws(FAMILIES["lookalikes"], 1, "en", 20_000):
        keywords.setdefault(str(draft.key[0]), set()).add(draft.tests)
    assert len(keywords) > 150
    assert [said for said, found in keywords.items() if len(found) > 1] == []


def test_prompts_say_their_language_and_the_form_of_the_answer() -> None:
    for family, level, language in CELLS:
        for draft in draws(family, level, language, 40):
            if language == "zh":
                assert re.search("[\u4e00-\u9fff]", draft.prompt), draft.prompt
            if family.name == "truth":  # `yes` is no less right where it is not ruled out
                assert "true" in re.split(r"[.。：] ?", draft.prompt, maxsplit=1)[1].lower(), draft.prompt
            if family.name == "clock" and language == "zh":  # 16 点 is no less right where the dial is not named
                assert draft.prompt.count("钟面") == 2


@pytest.mark.parametrize(("family", "level", "language"), CELLS, ids=lambda v: v.name if isinstance(v, Family) else v)
def test_reasoning_ends_at_the_gold(family: Family, level: int, language: str) -> None:
    for draft in draws(family, level, language, 10):
        assert "{" not in draft.prompt or family.name == "code_functions"
        if family.work is None:
            assert draft.reference
            assert draft.rejected != draft.reference
            continue
        assert family.work(json.loads(json.dumps(draft.params)), Pad(language, random.Random(1))) == draft.gold


def test_levels_grow_from_tiny_ones() -> None:
    sums = [sum(int(d.gold) for d in draws(FAMILIES["running_sums"], level, "en", 200)) for level in range(1, 6)]
    assert sums == sorted(sums)
    for draft in draws(FAMILIES["running_sums"], 1, "en", 100):
        assert len(draft.prompt) < 25
        assert len(numbers(draft.prompt)) == 3
        assert max(numbers(draft.prompt)) <= 9


def test_planted_errors_are_the_only_false_lines() -> None:
    """Judged by plain integer arithmetic on `a op b = c` lines, not by the step checker."""
    operations = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}
    styles = 0
    for name in ("running_sums", "differences", "clock", "linear_equations", "products"):
        for index, draft in enumerate(all_draws(name, 10)):
            for style in ("steps", "full", "repair", "wrong"):
                made = work_out(FAMILIES[name], draft.params, "en", style, random.Random(index))
                if made is None:
                    continue
                false = [
                    n
                    for n, line in enumerate(made.steps)
                    if (found := re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)", line))
                    and operations[found[2]](int(found[1]), int(found[3])) != int(found[4])
                ]
                assert false == ([] if made.planted is None else [made.planted])
                assert (made.planted is not None) == (style in ("repair", "wrong"))
                assert (made.answer != draft.gold) == (style == "wrong")
                styles += 1
    assert styles > 800
