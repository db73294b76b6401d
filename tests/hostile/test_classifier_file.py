"""A damaged classifier never reaches fastText, which would end this very process (hazards: fastText#1087)."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import fasttext
import pytest

from tasks.mine.classifier_file import CARD_FILE, MODEL_FILE, ClassifierError, load_classifier, save_classifier

FACTS = {"round": 1, "threshold": 0.5, "validation": {"f1": 1.0}, "examples": {"positives": 40}, "config": {"dim": 8}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    lines = ["__label__math prove the lemma $ x = 0 $", "__label__other buy the cheap shoes online"] * 40
    (folder / "examples.txt").write_text("\n".join(lines) + "\n")
    model = fasttext.train_supervised(
        str(folder / "examples.txt"), dim=8, bucket=1_000, epoch=5, lr=0.5, wordNgrams=2, thread=1, verbose=0
    )
    save_classifier(folder / "classifier", model, **FACTS)
    return folder / "classifier"


def mutate(data: bytes, random_: random.Random) -> bytes:
    """One of: flipped bits, a cut, an appended or removed run, a zeroed or overwritten region (often the header)."""
    kind = random_.randrange(6)
    at = random_.randrange(200 if random_.random() < 0.5 else len(data))
    size = random_.choice((1, 4, 64, 4_096))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << random_.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data + random_.randbytes(size)
    if kind == 3:
        return data[:at] + data[at + size :]
    if kind == 4:
        return data[:at] + bytes(size) + data[at + size :]
    return data[:at] + random_.randbytes(size) + data[at + size :]


def refuse_mutants(trained: Path, folder: Path, count: int) -> None:
    data = (trained / MODEL_FILE).read_bytes()
    shutil.copytree(trained, folder)
    random_ = random.Random(17)
    for index in range(count):
        mutant = mutate(data, random_)
        if mutant == data:
            continue
        (folder / MODEL_FILE).write_bytes(mutant)
        with pytest.raises(ClassifierError, match="sha256"):
            load_classifier(folder).score(f"mutant {index}")


def test_50_mutants_are_refused(trained: Path, tmp_path: Path) -> None:
    refuse_mutants(trained, tmp_path / "mutant", 50)


@pytest.mark.slow
def test_500_mutants_are_refused(trained: Path, tmp_path: Path) -> None:
    refuse_mutants(trained, tmp_path / "mutant", 500)


def test_the_untouched_file_loads_and_scores(trained: Path) -> None:
    classifier = load_classifier(trained)
    assert classifier.score("Prove the lemma: $x = 3$") > 0.5 > classifier.score("Buy cheap shoes online!")
    assert classifier.score("") == classifier.score("!?") == 0.0


def test_another_model_with_its_own_card_is_refused_where_the_hash_is_known(trained: Path) -> None:
    with pytest.raises(ClassifierError, match="expected 0000"):
        load_classifier(trained, "0" * 64)


def test_incomplete_and_odd_folders_are_named(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="holds no classifier"):
        load_classifier(tmp_path)
    folder = shutil.copytree(trained, tmp_path / "odd")
    card = json.loads((folder / CARD_FILE).read_text())
    for change, message in (
        ({"normalisation": "0"}, "train it again"),
        ({"labels": ["__label__a"]}, "train it again"),
        ({"threshold": 2}, "not a classifier's card"),
        ({"sha256": "x"}, "not a classifier's card"),
        ({"surprise": 1}, "not a classifier's card"),
    ):
        (folder / CARD_FILE).write_text(json.dumps({**card, **change}))
        with pytest.raises(ClassifierError, match=message):
            load_classifier(folder)
    for text in (b"", b"[]", b"\xff\xfe", b"[" * 100_000):
        (folder / CARD_FILE).write_bytes(text)
        with pytest.raises(ClassifierError, match="not a classifier's card"):
            load_classifier(folder)
    (folder / CARD_FILE).write_text(json.dumps(card))
    (folder / MODEL_FILE).unlink()
    with pytest.raises(ClassifierError, match="holds no classifier"):
        load_classifier(folder)


def test_a_page_cannot_forge_a_label_or_end_its_line(trained: Path) -> None:
    classifier = load_classifier(trained)
    plain = classifier.score("buy shoes math")
    assert classifier.score("buy shoes __label__math") < 0.5
    assert classifier.score("buy\nshoes\r\0</s>math\n") < 0.5
    assert plain < 0.5
    for text in ("\ud800", "\0" * 100_000, "a" * 1_000_000, "$" * 100_000, "数" * 100_000, "\\" * 50_000):
        assert 0.0 <= classifier.score(text) <= 1.0
