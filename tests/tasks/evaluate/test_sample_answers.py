"""Sampling: what is asked, that nothing depends on the batch, and that every sample is a judged row."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from aiohttp import web

from model.convert import load_folder
from model.sample import LocalSampler, SamplingParams
from model.sample.serve import make_app
from model.tokenizer import Message, Tokenizer
from tasks.evaluate.ask import FolderAsker
from tasks.evaluate.sample_answers import SampleAnswersConfig, Server, sample_answers
from tasks.evaluate.suites import Shots
from tasks.stage import SourceFile
from tests.tasks.curate.made import Notes
from tests.tasks.evaluate.made import SUMS, file_inputs, sampled, scored, sums, tiny_model, write_suite
from warehouse.schema_eval import EVAL_SAMPLES


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def test_every_sample_is_a_row(model: Path, tmp_path: Path) -> None:
    data = write_suite(tmp_path, sums(7))
    rows = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "a", model))
    assert rows.columns == EVAL_SAMPLES.arrow.names
    assert rows.height == 7 * (3 + 1)
    assert rows["id"].n_unique() == rows.height
    assert rows.group_by("mode").len().sort("mode").rows() == [("greedy", 7), ("sampled", 21)]
    # Each row can be made again from what it says: the prompt, the seed and the sample's number.
    tokenizer, (shape, state) = Tokenizer.load(model), load_folder(model)
    sampler = LocalSampler(shape, state, tokenizer, max_rows=4)
    row = rows.filter(mode="sampled", sample=2).row(4, named=True)
    prompt = tokenizer.chat([{"role": "user", "content": row["prompt"]}], add_generation_prompt=True)
    params = SamplingParams(temperature=0.6, top_p=0.95, max_tokens=24)
    again = sampler.generate([prompt], params, 3, [row["seed"]])[0][2]
    assert (list(again.tokens), again.text, again.finish) == (row["tokens"], row["response"], row["finish"])
    assert set(rows["finish"]) <= {"stop", "length"}
    assert row["tokens"]
    # A chat template may have opened the thinking: of a text that was cut off no number in its midst is the answer.
    cut = rows.filter((pl.col("finish") == "length") & ~pl.col("response").str.contains(r"</think>|</answer>|boxed"))
    assert cut.height > 5
    assert set(cut["answer"]) == {""}
    assert set(cut["reason"]) == {"no answer"}


def test_samples_and_scores_do_not_depend_on_batch_or_order(model: Path, tmp_path: Path) -> None:
    data, mixed = (
        write_suite(tmp_path / "a", sums(10)),
        write_suite(tmp_path / "b", sums(10).sample(10, shuffle=True, seed=1)),
    )
    one = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "1", model, layout={"sample_rows": 1}), batch_samples=1)
    many = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "2", model, layout={"sample_rows": 16}))
    shuffled = sampled(
        SUMS, file_inputs(SUMS, mixed, tmp_path / "3", model, layout={"sample_rows": 5}), batch_samples=7
    )
    assert one["response"].n_unique() > 5
    order = ["mode", "question", "sample"]
    for other in (many, shuffled):
        assert one.sort(order).equals(other.sort(order))
    scores = [scored(tmp_path / f"s{i}", part)[0].sort("id") for i, part in enumerate((one, many, shuffled))]
    assert scores[0].equals(scores[1])
    assert scores[0].equals(scores[2])
    few = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "4", model), limit=4)
    assert few.sort(order).equals(one.filter(pl.col("question").is_in(few["question"].unique().implode())).sort(order))
    less = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "5", model), limit=2)
    assert less["question"].n_unique() == 2
    assert set(less["question"]) < set(few["question"])


def test_a_killed_call_goes_on_where_it_was(model: Path, tmp_path: Path) -> None:
    data = write_suite(tmp_path, sums(6))
    config = SampleAnswersConfig(model="tiny", suite=SUMS, max_tokens=8, batch_samples=6)
    whole = pl.concat(list(sample_answers(config, file_inputs(SUMS, data, tmp_path / "a", model), Notes())))
    inputs = file_inputs(SUMS, data, tmp_path / "b", model)
    call = sample_answers(config, inputs, Notes())
    first = next(call)
    call.close()
    (kept,) = inputs.work.iterdir()
    first.with_columns(reason=pl.lit("from before")).write_parquet(kept)
    again = pl.concat(list(sample_answers(config, inputs, Notes())))
    assert (again["reason"] == "from before").sum() == first.height
    assert again.drop("reason").equals(whole.drop("reason"))


def test_a_prompt_without_room_is_a_wrong_answer_and_a_broken_gold_is_refused(model: Path, tmp_path: Path) -> None:
    rows = sums(4).with_columns(
        problem=pl.when(pl.col("id") == "q1").then(pl.lit("many words " * 200)).otherwise("problem"),
        answer=pl.when(pl.col("id") == "q2").then(pl.lit("")).otherwise("answer"),
    )
    notes, data = Notes(), write_suite(tmp_path, rows)
    config = SampleAnswersConfig(model="tiny", suite=SUMS, max_tokens=8)
    made = pl.concat(list(sample_answers(config, file_inputs(SUMS, data, tmp_path / "a", model), notes)))
    told = made.filter(question="q1")
    assert set(told["finish"]) == set(told["reason"]) == {"no room"}
    assert not told["correct"].any()
    assert notes.read == 16 == made.height + sum(r.reject.count for r in notes.rejected)
    assert [(r.row, r.reject.reason) for r in notes.rejected] == [("sums/q2", "gold answer cannot be read")]


def test_examples_come_before_the_question(model: Path, tmp_path: Path) -> None:
    suite = SUMS.model_copy(update={"shots": Shots(source="math/examples.parquet")})
    data = write_suite(tmp_path, sums(3), suite)
    sums(5).write_parquet(data / "math" / "examples.parquet")
    given = file_inputs(suite, data, tmp_path / "a", model)
    examples = (SourceFile(str(data / "math" / "examples.parquet"), "", 0),)
    inputs = replace(given, files={**given.files, "sums.shots": examples})
    rows = sampled(suite, inputs, shots=(0, 2), samples=1, greedy=False)
    assert rows.group_by("shots").len().sort("shots").rows() == [(0, 3), (2, 3)]
    (prompt,) = rows.filter(shots=2, question="q2")["prompt"]
    parts = ["What is 0 + 0?", "<answer>0</answer>", "What is 1 + 1?", "<answer>2</answer>", "What is 2 + 4?"]
    assert prompt == "\n\n".join(parts)
    with pytest.raises(ValueError, match="declares no examples"):
        sampled(SUMS, inputs, shots=(1,))
    scores, _ = scored(tmp_path / "s", rows)
    assert set(scores["shots"]) == {0, 2}


def test_the_model_stays_open_from_batch_to_batch(model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    asker = FolderAsker(folder, max_rows=4, workers=1, report=Notes())
    params = SamplingParams(max_tokens=8)
    told: list[list[list[Message]]] = [[[{"role": "user", "content": t}]] for t in ("What is 1 + 2 + 3 + 4 + 5?", "7?")]
    long, short = told
    first = asker.ask(short, params, 2, [1])
    again = asker.ask(long, params, 2, [1])
    (folder / "model.safetensors").unlink()  # what is open needs no file, for a shorter question too
    assert asker.ask(long, params, 2, [1]) == again
    assert asker.ask(short, params, 2, [1]) == first
    assert first != again
    with pytest.raises(ValueError, match="neither"):
        asker.ask(long, SamplingParams(max_tokens=32), 2, [1])


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The model behind OpenAI's protocol."""
    tokenizer, (shape, state) = Tokenizer.load(folder), load_folder(folder)
    app = make_app(LocalSampler(shape, state, tokenizer, max_rows=4), tokenizer, "tiny")
    loop, ready, port = asyncio.new_event_loop(), threading.Event(), []

    async def start() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.append(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]
        ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(start()), loop.run_forever()), daemon=True)
    thread.start()
    ready.wait(60)
    yield f"http://127.0.0.1:{port[0]}/v1"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_a_server_gives_the_same_answers_as_the_folder(model: Path, tmp_path: Path) -> None:
    data = write_suite(tmp_path, sums(3))
    own = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "a", model), max_tokens=6)
    with served(model) as url:
        server = Server(url=url, model="tiny")
        told = sampled(SUMS, file_inputs(SUMS, data, tmp_path / "b", None), max_tokens=6, server=server)
    assert own.equals(told)
