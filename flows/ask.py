"""`rigor ask`, and the asking behind the page Ask: models answer a problem, every step checked as it comes."""

from __future__ import annotations

import codecs
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.markup import escape
from rich.text import Text

from flows.ask_steps import AnswerReader, Event
from flows.commands import out, warehouse_tables
from flows.settings import Settings
from model.convert import load_folder
from model.sample import LocalSampler, SamplingParams
from model.sample.stop import bytes_of
from model.tokenizer import Tokenizer
from warehouse.lineage import ArtifactRef, Lineage

BEST_FIRST = ("rigor-r1", "rigor-reason", "rigor-sft", "rigor-cold", "rigor-zero", "rigor-distill-large",
              "rigor-distill-small", "rigor-base")  # fmt: skip
"""Which model answers when none is named: the first of these that there is, else the newest."""
NO_ANSWERERS = ("rigor-reward-",)
MARKS = {"ok": ("✓", "green"), "wrong": ("✗", "bold red"), "not_checkable": ("·", "dim")}


class Question(BaseModel):
    """What is asked, of whom, and how tokens are drawn (R1's settings as defaults)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    problem: str = Field(min_length=1, max_length=4_000)
    models: tuple[str, ...] = Field(min_length=1, max_length=2)
    """Names of registered models, or `name@version`."""
    temperature: float = Field(0.6, ge=0, le=10)
    top_p: float = Field(0.95, gt=0, le=1)
    max_tokens: int = Field(256, ge=1, le=32_768)
    """Also bounded by the model's positions."""
    seed: int = Field(0, ge=0, lt=2**31)


class Abandoned(Exception):  # noqa: N818 not an error: nobody listens any more
    """Raised inside a sampler to end it."""


class Answerer:
    """A loaded model; one problem at a time."""

    def __init__(self, ref: ArtifactRef, folder: Path) -> None:
        """Load the model of `folder`."""
        self.ref = ref
        config, state = load_folder(folder)
        self.tokenizer = Tokenizer.load(folder)
        self.positions = config.max_positions
        self.sampler = LocalSampler(config, state, self.tokenizer, max_rows=1)
        self._turn = threading.Lock()

    def answer(self, question: Question, tell: Callable[[Event], None]) -> None:
        """Answer, telling of every event; the last one is done.

        Raises:
            ValueError: the problem alone fills the model's positions.
        """
        prompt = self.tokenizer.chat([{"role": "user", "content": question.problem}], add_generation_prompt=True)
        if len(prompt) >= self.positions:
            raise ValueError(f"the problem has {len(prompt):,} tokens, and {self.ref} has room for {self.positions:,}")
        reader, decoder = AnswerReader(question.problem), codecs.getincrementaldecoder("utf-8")("replace")

        def take(_row: int, _sample: int, token: int) -> None:
            if token != self.tokenizer.eos:
                for event in reader.feed(decoder.decode(bytes_of(self.tokenizer, token))):
                    tell(event)

        params = SamplingParams(
            temperature=question.temperature, top_p=question.top_p, max_tokens=question.max_tokens, seed=question.seed
        )
        with self._turn:
            started = time.perf_counter()
            ((made,),) = self.sampler.generate([prompt], params, 1, [question.seed], take)
        for event in reader.end():
            tell(event)
        finish = "its end" if made.finish == "stop" else "the limit"
        tell({"kind": "done", "tokens": len(made.tokens), "seconds": time.perf_counter() - started, "finish": finish})


class Answerers:
    """The registered language models, loaded when asked for and kept."""

    def __init__(self, kept: int = 4) -> None:
        """Keep up to `kept` models in memory."""
        self.kept, self._loaded = kept, dict[str, Answerer]()
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """What can be asked: the newest version of every language model, the best first."""
        calls = Lineage(warehouse_tables()).calls()
        rows = calls.select("kind", "name", "version").iter_rows()
        newest = {name: version for kind, name, version in rows if kind == "model" and is_answerer(name)}
        order = {name: rank for rank, name in enumerate(BEST_FIRST)}
        made = {name: rank for rank, name in enumerate(newest)}
        ranked = sorted(newest, key=lambda n: (order.get(n, len(order)), -made[n]))
        return [f"{name}@{newest[name]}" for name in ranked]

    def get(self, name: str) -> Answerer:
        """A model by name or `name@version`.

        Raises:
            LookupError: there is none of that name, or it does not answer.
        """
        found = [c for c in Lineage(warehouse_tables()).called(name) if c["kind"] == "model" and is_answerer(c["name"])]
        if not found:
            known = ", ".join(self.names()) or "none yet; `rigor run pretrain` makes the first"
            raise LookupError(f"no language model {name}; there are: {known}")
        call = found[-1]
        ref = ArtifactRef(**{field: call[field] for field in ArtifactRef.model_fields})
        with self._lock:
            if str(ref) not in self._loaded:
                while len(self._loaded) >= self.kept:
                    del self._loaded[next(iter(self._loaded))]
                self._loaded[str(ref)] = _load(ref)
            return self._loaded[str(ref)]

    def ask(self, question: Question) -> Generator[Event, None, None]:
        """Events of all models of a question as they come, each with `model`: its place in the question.

        A model that cannot answer gives an event error. Closing the iterator ends the sampling.
        """
        events: queue.Queue[Event | None] = queue.Queue()
        gone = threading.Event()

        def run(place: int, name: str) -> None:
            def tell(event: Event) -> None:
                if gone.is_set():
                    raise Abandoned
                events.put({"model": place, **event})

            torch.set_num_threads(1)
            try:
                self.get(name).answer(question, tell)
            except Abandoned:
                return
            except Exception as error:  # noqa: BLE001 whatever it is, who asked is told
                events.put({"model": place, "kind": "error", "message": str(error)})
            finally:
                events.put(None)

        pairs = enumerate(question.models)
        threads = [threading.Thread(target=run, args=pair, name="asked", daemon=True) for pair in pairs]
        for thread in threads:
            thread.start()
        try:
            open_ = len(threads)
            while open_:
                event = events.get()
                if event is None:
                    open_ -= 1
                else:
                    yield event
        finally:
            gone.set()


def is_answerer(name: str) -> bool:
    """Whether a registered model answers questions; tokenizers, classifiers and reward models do not."""
    return name.startswith("rigor-") and not name.startswith(NO_ANSWERERS)


def _load(ref: ArtifactRef) -> Answerer:
    from flows import models

    scratch = Settings().absolute_home() / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ask-", dir=scratch))
    try:
        return Answerer(ref, models.fetch(ref, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ask_in_terminal(problem: str, names: Sequence[str], temperature: float, max_tokens: int, seed: int) -> None:
    """Print each model's answer as it comes, every ended line with its mark.

    Raises:
        LookupError: no such model.
    """
    answerers = Answerers(kept=1)
    chosen = list(names) or answerers.names()[:1]
    if not chosen:
        raise LookupError("no language model yet; `rigor run pretrain` makes the first")
    for name in chosen:
        answerer = answerers.get(name)
        out.print(f"[bold]{answerer.ref}[/] [dim]temperature {temperature:g}[/]")
        asked = Question(problem=problem, models=(name,), temperature=temperature, max_tokens=max_tokens, seed=seed)
        answerer.answer(asked, Terminal().take)


class Terminal:
    """Draws events line by line: the open line grows, and gets its mark when it ends."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self.drawn = ""

    def take(self, event: Event) -> None:
        """Draw one event."""
        kind = event["kind"]
        if kind == "partial":
            self._grow(event["text"].lstrip())
        elif kind == "step":
            self._grow(event["text"])
            should = f"wrong, should be {event['expected']}" if event["expected"] else "wrong"
            self._mark(event["verdict"], should if event["verdict"] == "wrong" else event["role"])
        elif kind == "answer":
            self._grow(f"Answer: {event['text'] or 'none'}")
            should = f"should be {event['expected']}" if event["expected"] else "wrong"
            self._mark(event["verdict"], {"ok": "checked", "wrong": should}.get(event["verdict"], "not checkable"))
        else:
            out.print(f"[dim]{event['tokens']} tokens in {event['seconds']:.1f} s; ended by {event['finish']}[/]\n")

    def _grow(self, line: str) -> None:
        """Draw what is new of the open line; a line that is another one begins anew."""
        if not line.startswith(self.drawn):
            out.print()
            self.drawn = ""
        new = line[len(self.drawn) :]
        out.print(Text(("  " if not self.drawn and new else "") + new), end="")
        out.file.flush()
        self.drawn = line

    def _mark(self, verdict: str, words: str) -> None:
        sign, style = MARKS[verdict]
        space = " " * max(2, 44 - len(self.drawn))
        out.print(f"{space}[{style}]{sign} {escape(words)}[/]")
        self.drawn = ""
