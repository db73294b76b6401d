"""Ask: type a problem and see one or two models think, each step with its check, as the tokens come."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

import streamlit as st

from dashboards import look, steps
from dashboards.source import Source

NONE = "none"
WAIT_SECONDS = 300.0
EXAMPLES = ("7 + 6 + 1 + 2", "9 + 12 + 5 + 19 等于多少？")


def page() -> None:
    """Draw the page."""
    look.title("Ask", "The model thinks aloud, and every step is checked: understood, broken down, computed, verified.")
    models = _models(Source().ask)
    if models is None:
        st.info("No ask server answers. `rigor ui` starts one, or `python -m flows.ask_server`;"
                ' in a terminal, `rigor ask "7 + 6 + 1 + 2"` does the same.')  # fmt: skip
        return
    if not models:
        st.info("No language model is registered yet. `rigor run pretrain` makes the first.")
        return
    with st.form("ask"):
        problem = st.text_area("Problem", value=EXAMPLES[0], height=80, max_chars=4000, key="ask-problem")
        cells = st.columns([2, 2, 1, 1, 1], vertical_alignment="bottom")
        first = cells[0].selectbox("Model", models, key="ask-first")
        second = cells[1].selectbox("Beside it", [NONE, *models], index=min(2, len(models)), key="ask-second")
        temperature = cells[2].number_input("Temperature", 0.0, 2.0, 0.6, 0.1, key="ask-temperature",
                                            help="0 takes the most probable token")  # fmt: skip
        most = cells[3].number_input("Most tokens", 16, 4096, 256, 16, key="ask-tokens")
        asked = cells[4].form_submit_button("Ask", type="primary", width="stretch")
    st.caption(look.md(f"A laptop's model has learned sums such as {'; '.join(EXAMPLES)}, and no equations"))
    if asked and problem.strip():
        chosen = [first] if second == NONE else [first, second]
        _answer({"problem": problem, "models": chosen, "temperature": temperature, "max_tokens": int(most)})


@st.cache_data(ttl=5.0, max_entries=4, show_spinner=False)
def _models(url: str) -> list[str] | None:
    """Models that the ask server offers, the best first; None where there is no server."""
    if not url.startswith(("http://127.0.0.1:", "http://localhost:")):
        return None
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=10.0) as answer:  # noqa: S310 a loopback address
            return list(json.load(answer)["models"])
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ValueError, KeyError):
        return None


def _events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    request = urllib.request.Request(  # noqa: S310 a loopback address, checked by `_models`
        f"{Source().ask}/ask", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310
        for line in answer:
            yield json.loads(line)


class Column:
    """One model's answer as it grows."""

    def __init__(self, model: str) -> None:
        """Draw the frame."""
        st.markdown(f"**{look.md(model)}**")
        self.thinking, self.final, self.foot = st.empty(), st.empty(), st.empty()
        self.steps: list[dict[str, Any]] = []
        self.tail = ""

    def take(self, event: dict[str, Any]) -> None:
        """Show one event of the stream."""
        kind = event["kind"]
        if kind == "partial":
            self.tail = event["text"]
        elif kind == "step":
            self.steps, self.tail = [*self.steps, event], ""
        elif kind == "answer":
            self.tail = ""
            self._conclude(event)
        elif kind == "done":
            pace = event["tokens"] / max(event["seconds"], 1e-9)
            self.foot.caption(f"{event['tokens']} tokens in {event['seconds']:.1f} s, {pace:.0f} a second;"
                              f" ended by {event['finish']}")  # fmt: skip
        elif kind == "error":
            self.final.error(look.md(event["message"]))
        if kind != "error":
            going = [{"text": self.tail + " ▌", "verdict": "none"}] if self.tail.strip() else []
            self.thinking.html(steps.chain([*self.steps, *going]))

    def _conclude(self, event: dict[str, Any]) -> None:
        sign, _, word = look.VERDICTS[event["verdict"]]
        text = f"Answer: **{look.md(event['text'] or 'none')}**  \n{sign} {word}"
        if event["verdict"] == "wrong" and event["expected"]:
            text += f", should be {look.md(event['expected'])}"
        {"ok": self.final.success, "wrong": self.final.error}.get(event["verdict"], self.final.info)(text)


def _answer(body: dict[str, Any]) -> None:
    columns = []
    for place, model in zip(st.columns(len(body["models"])), body["models"], strict=True):
        with place.container(border=True):
            columns.append(Column(model))
    try:
        for event in _events(body):
            columns[event["model"]].take(event)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        st.error(f"The ask server broke off: {look.md(error)}")
