"""IFEval's rules: by hand, and against recorded verdicts of lm-eval's checkers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.evaluate.further_scores import instruction_scores
from tasks.evaluate.grading import can_judge, grade
from tasks.evaluate.instructions import RULES, as_json, capital_words, followed, sentences, unknown
from tasks.evaluate.questions import _instructions
from tasks.evaluate.suites import SUITES
from tests.tasks.evaluate.made import file_inputs, sampled, scored, tiny_model, write_suite
from tests.tasks.evaluate.recorded import RECORDED
from tests.tasks.evaluate.test_suites import from_file

WORKED: list[tuple[str, dict[str, Any], str, str]] = [
    # instruction, arguments, a response that follows it, one that does not
    ("keywords:existence", {"keywords": ["sea", "hill"]}, "Hills by the SEA", "hills alone"),
    ("keywords:frequency", {"keyword": "the", "frequency": 2, "relation": "at least"}, "The other", "the end"),
    ("keywords:frequency", {"keyword": "c++", "frequency": 2, "relation": "less than"}, "C++ is c", "c++ and C++"),
    ("keywords:forbidden_words", {"forbidden_words": ["can", "ride"]}, "candles, rides", "Yes we Can!"),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 3, "let_relation": "at least"}, "Eel eel", "elk"),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": "less than"}, "# a", "## a"),
    ("language:response_language", {"language": "de"}, "Das ist ein kurzer Satz über das Wetter von heute.",
     "This is a short sentence about the weather of today."),
    ("language:response_language", {"language": "pa"}, "ਪੰਜਾਬ ਭਾਰਤ ਦਾ ਇੱਕ ਰਾਜ ਹੈ ਅਤੇ ਇੱਥੋਂ ਦੇ ਲੋਕ ਪੰਜਾਬੀ ਬੋਲਦੇ ਹਨ।",
     "भारत एक विशाल देश है और यहाँ की संस्कृति बहुत पुरानी है।"),
    ("language:response_language", {"language": "sw"}, "Tanzania ni nchi kubwa ya Afrika Mashariki na watu wake wengi.",
     "Tanzania is a large country of East Africa with many people."),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "He. B c! D?", "One. Two"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Dr. No met J. Fox\nat 5.3",
     "He ran. She did not."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\na\n***\nb\n", "a\n***\n***\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "two words", "well-known men"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "weekend"},
     "Now.\n\n\"Weekend's here", "Weekend.\n\nNow."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] of [place]", "[name\n] of [place]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\np. s. More", "Bye. PS More"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.P.S more", "P.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "So:\n* 1\n  - 2\n** no", "* one\n* two\n* three"),
    ("detectable_format:constrained_response", {}, "I think: My answer is no. ", "My answer is: no."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b**", "* a\n**  ** *b*"),
    ("detectable_format:multiple_sections", {"num_sections": 2, "section_spliter": "Day"}, "Day 1\nx\nDay 2\ny",
     "Day 1\nx\nDay two"),
    ("detectable_format:json_format", {}, '```json\n{"a": [1, 2]}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "<<poem of joy>>\nO joy", "<<\njoy>> << >>"),
    ("combination:two_responses", {}, "Yes.\n******\nIt is.", "Yes.******Yes."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi. "}, "say HI. Hello", "Hello. Say hi."),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, 'Done. any questions?"', "Any questions? No."),
    ("startend:quotation", {}, ' "It is." ', '"'),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}, "SO-SO facts",
     "DON'T!"),
    ("change_case:english_capital", {}, "THE SUN IS WARM AND SO ARE WE.", "THE SUN IS WARM, AND SO ARE We."),
    ("change_case:english_lowercase", {}, "the sun is warm today, and so are we.", "el sol brilla hoy en la ciudad."),
    ("punctuation:no_comma", {}, "one; two", "one, two"),
]  # fmt: skip


def test_every_rule_by_hand() -> None:
    assert {name for name, *_ in WORKED} == RULES.keys()
    for name, arguments, right, wrong in WORKED:
        asked = as_json([name], [arguments])
        assert followed(asked, right)[0] == [True], (name, right)
        assert followed(asked, wrong)[0] == [False], (name, wrong)
        for empty in ("", " \n "):
            assert followed(asked, empty) == ([False], [False]), name


def test_loose_readings_leave_out_the_frame_and_the_asterisks() -> None:
    asked = as_json(["punctuation:no_comma", "startend:quotation"], [{}, {}])
    for text, strict, loose in (
        ('"a"', [True, True], [True, True]),
        ('Sure, here:\n"a"', [False, False], [True, True]),
        ('"a"\nWell, bye', [False, False], [True, True]),
        ('Sure, here:\n*"a"*\nWell, bye', [False, False], [True, True]),
        ('Sure, here:\n"a, b"\nWell, bye', [False, False], [False, True]),
    ):
        assert followed(asked, text) == (strict, loose), text


def test_sentences_and_words_by_hand() -> None:
    for text, count in (
        ("", 0), ("no end", 1), ("One.\nTwo", 2), ("a\nb\nc", 1), ('He said "Stop!" and ran.', 2), ("At 3.5 m. Up", 2),
        ("Mr. Poe, e.g. J. K. Fox.", 1), ("Wait... what?! Yes", 3), ("1. One\n2. Two", 3),
    ):  # fmt: skip
        assert sentences(text) == count, text
    for text, count in (
        ("I'm OK", 2), ("DON'T", 2), ("NASA's USA.", 2), ("AT&T", 2), ("a B2B (HI) *YO* 3D X", 5), ("well-KNOWN", 0),
    ):  # fmt: skip
        assert capital_words(text) == count, text


def test_what_a_model_writes_cannot_stall_or_break_a_rule() -> None:
    """Quadratic patterns would take minutes here."""
    for part in ("<<", "[", "*", "\n", '[{"a":', "P.", "((", " ***", "- ", "'"):
        text = part * (100_000 // len(part))
        for name, arguments, *_ in WORKED:
            followed(as_json([name], [arguments]), text)


def test_an_unknown_instruction_is_refused(rigor_data: Path) -> None:
    assert unknown(as_json(["keywords:existence", "keywords:rhyme"], [{"keywords": ["a"]}, {}])) == "keywords:rhyme"
    questions = from_file(rigor_data, SUITES["ifeval"], 1_000)
    assert len(questions) == 541
    assert not any(map(can_judge, questions))
    assert sum(len(json.loads(q.gold)) for q in questions) == 834
    (told,) = grade([(questions[0], "<think>\nhm\n</think>\n")])
    assert told.correct is False


@pytest.mark.parametrize("column", ["kwargs", "kwargs_json"])
def test_the_hubs_form_and_ours_are_one(column: str) -> None:
    given = [{"num_words": 3, "relation": "less than", "keyword": None}, {}]
    row = {"instruction_id_list": ["length_constraints:number_words", "punctuation:no_comma"],
           column: json.dumps(given) if column == "kwargs_json" else given}  # fmt: skip
    assert json.loads(_instructions(pl.DataFrame([row]).row(0, named=True))) == [
        {"id": "length_constraints:number_words", "num_words": 3, "relation": "less than"},
        {"id": "punctuation:no_comma"},
    ]


def test_recorded_verdicts_of_the_published_checkers() -> None:
    assert {name for name, *_ in RECORDED} == RULES.keys()
    for name, arguments, response, strict, loose in RECORDED:
        assert followed(as_json([name], [arguments]), response) == ([strict], [loose]), (name, arguments, response)


def test_accuracies_by_hand() -> None:
    """Two prompts of two and one instructions; strictly 1 of 2 prompts and 2 of 3 instructions, loosely all."""
    two = as_json(["punctuation:no_comma", "startend:quotation"], [{}, {}])
    one = as_json(["detectable_format:title"], [{}])
    told = [("a", two, 'Sure: here\n"a; b"'), ("b", one, "<<joy>>")]
    answers = pl.DataFrame([{"id": q, "question": q, "cluster": q, "gold": gold, "response": text}
                            for q, gold, text in told])  # fmt: skip
    found = {row["metric"]: (row["value"], row["questions"], row["samples"]) for row in instruction_scores(answers)}
    assert found == {
        "prompt_level_strict_acc": (1 / 2, 2, 2), "inst_level_strict_acc": (pytest.approx(2 / 3), 2, 2),
        "prompt_level_loose_acc": (1, 2, 2), "inst_level_loose_acc": (1, 2, 2),
    }  # fmt: skip


def test_accuracies_of_sampled_answers_are_scored(tmp_path: Path) -> None:
    """Through both stages: four answers a prompt by a tiny model, whose scores are those of its rows."""
    rows = pl.DataFrame([{"key": i, "prompt": f"Say {i}.", "instruction_id_list": ids, "kwargs_json": args}
                         for i, (ids, args) in enumerate([
                             (["punctuation:no_comma", "length_constraints:number_words"],
                              '[{}, {"relation": "less than", "num_words": 4}]'),
                             (["punctuation:no_comma"], "[{}]"), (["startend:quotation"], "[{}]")])])  # fmt: skip
    suite = SUITES["ifeval"].model_copy(update={"k": 4})
    data = write_suite(tmp_path / "data", rows, suite)
    samples = sampled(suite, file_inputs(suite, data, tmp_path / "a", tiny_model(tmp_path)))
    scores, notes = scored(tmp_path / "s", samples)
    value = {row["metric"]: row["value"] for row in scores.iter_rows(named=True)}
    assert value["prompt_level_strict_acc"] == pytest.approx(value["pass@1"])
    judged = [followed(row["gold"], row["answer"]) for row in samples.filter(mode="sampled").iter_rows(named=True)]
    for name, place in (("strict", 0), ("loose", 1)):
        told = [verdict for both in judged for verdict in both[place]]
        assert value[f"inst_level_{name}_acc"] == pytest.approx(sum(told) / len(told))
        assert value[f"prompt_level_{name}_acc"] == pytest.approx(
            sum(all(both[place]) for both in judged) / len(judged)
        )
    assert notes.metrics["ifeval.inst_level_loose_acc"] == value["inst_level_loose_acc"]
    assert set(samples["reason"].str.replace_all(r"\d", "N")) <= {
        "N of N instructions followed, N loosely",
        "no answer",
    }
