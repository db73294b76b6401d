"""The stage distill with its real child processes: a student comes nearer to its teacher on chats it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.convert import load_folder
from model.losses import Distill
from tasks.distill.config import STUDENT, DistillConfig
from tasks.stage import Inputs
from tasks.train.distill import distill_stage
from tests.tasks.distill.kit import ROW_TOKENS, VOCABULARY, Bench, kl_on_held_out
from tests.tasks.train.corpora_made import tokenizer_folder
from tests.tasks.train.test_fine_tune import Told

RECIPE = {"batch_rows": 8, "looks": 2, "optimizer": {"learning_rate": 1e-2}}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def config_of(**changes: Any) -> DistillConfig:
    fields: dict[str, Any] = {"method": "logits", "epochs": 8, "recipe": RECIPE, "row_tokens": ROW_TOKENS,
                              "held_out_share": 0.2, "seed": 3, "top_k": 64}  # fmt: skip
    return DistillConfig.model_validate(fields | changes)


def run(bench: Bench, folder: Path, config: DistillConfig, **models: Path) -> tuple[Path, Told]:
    stage, notes = distill_stage("synthetic_corpus", "rigor-distill-small", start="rigor-base"), Told()
    given = {"rigor-base": bench.student, "rigor-r1": bench.teacher, **models}
    for name in ("scratch", "work"):
        (folder / name).mkdir(parents=True)
    inputs = Inputs(tables={"synthetic_corpus": bench.table}, models=given, scratch=folder / "scratch",
                    work=folder / "work")  # fmt: skip
    made = stage.run(config, inputs, notes)
    assert isinstance(made, Path)
    return made, notes


def test_logits_bring_the_student_nearer_to_the_teacher(bench: Bench, tmp_path: Path) -> None:
    """Transformers measures it, over the whole vocabulary; 64 of 400 tokens were kept."""
    before = kl_on_held_out(bench, bench.student, tmp_path / "before")
    made, notes = run(bench, tmp_path, config_of())
    after = kl_on_held_out(bench, made, tmp_path / "after")
    assert after < 0.75 * before, (before, after)
    assert notes.values["held_out_loss_drop"] > 0.25
    assert load_folder(made)[0] == load_folder(bench.student)[0]
    card = (made / "README.md").read_text()
    assert "rigor-distill-small" in card
    assert "rigor-r1" in card
    assert (tmp_path / "work" / "teacher" / "held_out").is_dir()


@pytest.mark.slow  # the trainer's test in tests/tasks/distill stays
def test_its_own_answers_bring_it_nearer_too(bench: Bench, tmp_path: Path) -> None:
    """What it learns from its own texts holds on the table's, which it has not seen."""
    before = kl_on_held_out(bench, bench.student, tmp_path / "before", reverse=True)
    sampling = {"epochs": 8, "learning_rate": 1e-2, "max_tokens": 16}
    made, notes = run(bench, tmp_path, config_of(method="on_policy", top_k=VOCABULARY, sampling=sampling))
    after = kl_on_held_out(bench, made, tmp_path / "after", reverse=True)
    assert after < 0.95 * before, (before, after)
    assert notes.values["held_out_loss_drop"] == pytest.approx(1 - after / before, abs=1e-3)
    assert not (tmp_path / "work" / "teacher").exists()


def test_what_cannot_be_taught_is_refused(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fine_tune_stage"):
        run(bench, tmp_path / "sft", config_of(method="sft"))
    other = tokenizer_folder(tmp_path, {"synthetic_corpus": bench.table}, vocab_size=390)[0]
    with pytest.raises(ValueError, match="different tokenizers"):
        run(bench, tmp_path / "other", config_of(), **{"rigor-r1": other})


def test_defaults_are_the_published_ones() -> None:
    """DeepSeek-R1's supplement: batch 64, 1e-4 for 1.5B to a tenth of it, 2 to 3 epochs."""
    config = DistillConfig()
    assert (config.method, config.epochs, STUDENT.batch_rows) == ("sft", 2, 64)
    assert STUDENT.optimizer.learning_rate * STUDENT.schedule.final_share == pytest.approx(1e-5)
    assert config.fine_tune.recipe == STUDENT
    assert DistillConfig(method="logits").objective.divergence == "forward_kl"
    assert DistillConfig(method="on_policy").objective.divergence == "reverse_kl"
    assert DistillConfig(loss=Distill(divergence="jsd")).objective.divergence == "jsd"


def test_fine_tuning_alone_does_not_depend_on_how_a_teacher_would_be_asked() -> None:
    assert config_of(top_k=3).fine_tune == config_of(teacher="online").fine_tune
    assert config_of().fine_tune != config_of(epochs=3).fine_tune
