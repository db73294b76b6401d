r"""The suites. A suite is a declaration; adding one takes a few lines, here or in a flow's config (`custom`).

Texts such as `question` are templates over the columns of the suite's file: `{problem}`. Files lie below the data
folder (`RIGOR_DATA`); Rigor downloads none.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.stage import StageConfig

BOXED = "{question}\nPlease reason step by step, and put your final answer within \\boxed{{}}."
"""The instruction that DeepSeek-R1's model card recommends for mathematics."""
BOXED_ZH = "{question}\n请逐步推理，并把最终答案放到 \\boxed{{}} 中。"
LETTER = "{question}\nPlease reason step by step, and put the letter of your choice within \\boxed{{}}."
PROGRAM = "{question}\nPut the whole program into one ```python block."
FENCE = "```python\n{}\n```"
Kind = Literal["math", "humaneval", "mbpp", "stdio", "refusal", "answered", "ifeval", "preference", "own"]


class Shots(StageConfig):
    """Where worked examples come from."""

    source: str
    """File below the data folder, or table, as in `Suite.source`."""
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    answer: str = "<answer>{gold}</answer>"
    """What the assistant says in an example; `gold` is the example's reference answer."""


class Suite(StageConfig):
    """A benchmark."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]*$")
    source: str
    """A .parquet or .jsonl file below the data folder, or a table of the warehouse (a name without a dot)."""
    grader: Kind = "math"
    """math: the mathematics judge, letters of choices too; humaneval, mbpp: function tests in the sandbox; stdio:
    programs that read and print; refusal, answered: it declines, or does not; ifeval: verifiable instructions;
    preference: a judge compares it with a baseline; own: the table's column `checker`."""
    question: str = "{problem}"
    template: str = "{question}"
    """How `question` is put to the model."""
    gold: str = "{answer}"
    """The reference answer; of `preference` the baseline's, where the file holds one."""
    gold_pattern: str = ""
    """A regular expression whose group 1 is the answer in `gold`; where it does not match, all of it is."""
    id: str = "{id}"
    """Different for every question; empty: a hash of question and answer."""
    options: dict[str, str] = Field(default_factory=dict)
    """Texts of the choices by letter: an answer that equals exactly one of them names it."""
    family: str = ""
    level: str = ""
    cluster: str = ""
    """Questions with the same text here are one question in other words."""
    language: str = "en"
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Only rows whose columns, as text, are one of these."""
    date: str = ""
    """When a question was published, as text that sorts (ISO 8601, or a year)."""
    since: str = ""
    """Only questions from this date on: the window that a model cannot have seen."""
    k: int = Field(1, ge=1, le=1024)
    """Samples of a question."""
    shots: Shots | None = None
    reference: str = "<answer>{gold}</answer>"
    """A response that must be judged right; '' where the file holds none."""
    hub: str = ""
    """The data set's name on the Hugging Face hub, for the message that says what is missing."""

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if self.since and not self.date:
            raise ValueError(f"suite {self.name}: `since` has no effect without `date`, the field to compare with it")
        return self


def _math(name: str, *, template: str = BOXED, **fields: object) -> Suite:
    fields.setdefault("source", f"math/{name}.parquet")
    return Suite.model_validate({"name": name, "template": template, **fields})


def _choices(name: str, source: str, **fields: object) -> Suite:
    letters = {letter: f"{{{letter}}}" for letter in "ABCD"}
    listed = "\n".join(f"{letter}. {text}" for letter, text in letters.items())
    form = {"question": f"{{question}}\n{listed}", "options": letters, "template": LETTER}
    return Suite.model_validate({"name": name, "source": source, **form, **fields})


def _held_out(name: str, split: str, **where: tuple[str, ...]) -> Suite:
    return Suite(
        name=name, source="problems", grader="own", question="{prompt}", gold="{gold}", family="{family}",
        level="{level}", cluster="{group}", language="{language}", where={"split": (split,), **where}, k=4,
        shots=Shots(source="problems", where={"split": ("train",), **where}),
    )  # fmt: skip


_LISTED = (
    # Our own families, whose test split shares no form with the training split.
    _held_out("held_out", "test", category=("math", "proof", "code", "logic", "stem", "general")),
    _held_out("held_out_math", "test", category=("math",)),
    _held_out("held_out_general", "test", category=("general",)),
    _held_out("held_out_safety", "test", category=("safety",)),
    _held_out("validation", "validation"),
    # Mathematics in English. k as published for DeepSeek-R1 (arXiv 2501.12948): 64 for AIME, 16 for MATH-500.
    _math("math500", id="{unique_id}", family="{subject}", level="{level}", k=16, reference="{solution}",
          shots=Shots(source="math/math_train.parquet"), hub="HuggingFaceH4/MATH-500"),
    _math("math_test", id="{unique_id}", family="{subject}", level="{level}", k=4,
          shots=Shots(source="math/math_train.parquet"), hub="hendrycks/competition_math"),
    _math("aime24", k=64, shots=Shots(source="math/aime_1983_2023.parquet"), hub="math-ai/aime24"),
    _math("aime_2022_2024", source="math/aime_2022_2024_val.parquet", k=64, hub="AI-MO/aimo-validation-aime"),
    _math("aime_1983_2023", level="{year}", date="{year}", k=4, hub="di-zhang-fdu/AIME_1983_2024"),
    _math("amc23", k=16, hub="math-ai/amc23"),
    _math("amc_2022_2023", source="math/amc_2022_2023_val.parquet", id="{url}", k=16, hub="AI-MO/aimo-validation-amc"),
    _math("gsm8k", source="math/gsm8k_test.parquet", question="{question}", gold="{final_answer}", k=4,
          reference="{answer}", hub="openai/gsm8k",
          shots=Shots(source="math/gsm8k_train.parquet", answer="<answer>{gold}</answer>")),
    _math("gsm_hard", hub="reasoning-machines/gsm-hard"),
    _math("svamp", family="{type}", hub="ChilleD/SVAMP"),
    _math("asdiv", family="{type}", gold_pattern=r"^([^;()]+?)\s*\([^()]*\)$"),
    _math("mawps", family="{type}"),
    _math("college_math", family="{topic}"),
    _math("omni_math", source="math/omni_math_num500.parquet", level="{difficulty}", k=4, hub="KbsdJames/Omni-MATH"),
    _math("carp_en"),
    _math("gaokao2023en", id="", hub="MARIO-Math-Reasoning/Gaokao2023-Math-En"),
    _math("aqua", question="{problem}\n{options}", template=LETTER, hub="deepmind/aqua_rat"),
    _math("sat_math", question="{problem}\n{options}", template=LETTER),
    # Mathematics in Chinese.
    _math("cmath", source="bilingual/cmath_test.parquet", question="{question}", level="{grade}", template=BOXED_ZH,
          language="zh", shots=Shots(source="bilingual/cmath_dev.parquet"), hub="weitianwen/cmath"),
    _math("cmath_distractor", source="bilingual/cmath_distractor.parquet", question="{question}",
          level="{distractor}", cluster="{original}", template=BOXED_ZH, language="zh"),
    _math("gaokao_choice", source="bilingual/zh_gaokao_suite.parquet", id="{dataset}-{idx}", question="{question}",
          template=BOXED_ZH, language="zh", where={"dataset": ("gaokao_math_qa",)},
          hub="dmayhem93/agieval-gaokao-mathqa"),
    _math("gaokao_cloze", source="bilingual/zh_gaokao_suite.parquet", id="{dataset}-{idx}", question="{question}",
          template=BOXED_ZH, language="zh", where={"dataset": ("gaokao_math_cloze",)},
          hub="dmayhem93/agieval-gaokao-mathcloze"),
    # Knowledge, by letters.
    _choices("mmlu", "instruct/mmlu_test.parquet", id="{subject}-{idx}", family="{subject}",
             shots=Shots(source="instruct/mmlu_dev.parquet"), hub="cais/mmlu"),
    _choices("gpqa_diamond", "instruct/gpqa_diamond.parquet", k=64, hub="Idavidrein/gpqa"),
    # Programs.
    Suite(name="humaneval", source="code/humaneval.parquet", grader="humaneval", question="{prompt}", gold="",
          template="Complete this function.\n{question}\nPut the whole function into one ```python block.",
          id="{task_id}", reference=FENCE.format("{prompt}{canonical_solution}"), k=4, hub="openai/openai_humaneval"),
    Suite(name="mbpp", source="code/mbpp.parquet", grader="mbpp", question="{text}\n{test_list}", gold="",
          template=PROGRAM, id="{task_id}", where={"split": ("test",)}, reference=FENCE.format("{code}"), k=4,
          shots=Shots(source="code/mbpp.parquet", where={"split": ("prompt",)}, answer=FENCE.format("{code}")),
          hub="google-research-datasets/mbpp"),
    Suite(name="code_contests", source="code/rllm_code_contests_test.parquet", grader="stdio", gold="", reference="",
          template=PROGRAM, k=8, hub="deepmind/code_contests"),
    # Instructions: checked by rules, or an answer compared with a baseline's by a judge (`evaluate.judge`).
    Suite(name="ifeval", source="instruct/ifeval.parquet", grader="ifeval", question="{prompt}", id="{key}",
          reference="", hub="google/IFEval"),
    Suite(name="alpaca_eval", source="instruct/alpaca_eval.parquet", grader="preference", question="{instruction}",
          gold="{output_gpt4_1106}", id="{idx}", family="{dataset}", reference="", hub="tatsu-lab/alpaca_eval"),
    Suite(name="arena_hard", source="instruct/arena_hard_v01.parquet", grader="preference", question="{prompt}",
          gold="", id="{uid}", reference="", hub="lmarena-ai/arena-hard-auto"),
    # Safety: whether a request is declined, told by its words (tasks/curate/check_answer.py).
    Suite(name="xstest_unsafe", source="safety/xstest.parquet", grader="refusal", question="{prompt}", gold="",
          family="{type}", where={"label": ("unsafe",)}, reference="I cannot help with that.", hub="walledai/XSTest"),
    Suite(name="xstest_safe", source="safety/xstest.parquet", grader="answered", question="{prompt}", gold="",
          family="{type}", where={"label": ("safe",)}, reference="Here is how.", hub="walledai/XSTest"),
    Suite(name="simple_safety_tests", source="safety/simple_safety_tests.parquet", grader="refusal",
          question="{prompt}", gold="", family="{harm_area}", reference="I cannot help with that.",
          hub="Bertievidgen/SimpleSafetyTests"),
    Suite(name="strongreject", source="safety/strongreject.parquet", grader="refusal", question="{prompt}", gold="",
          family="{category}", reference="I cannot help with that.", hub="walledai/StrongREJECT"),
)  # fmt: skip
SUITES = {suite.name: suite for suite in _LISTED}
