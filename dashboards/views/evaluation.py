"""Evaluation: models × suites with intervals, pass@k curves, and every sample with its verdict and wrong step."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl
import streamlit as st

from dashboards import look, read, steps
from dashboards.source import Source

HEADLINES = ("pass@1", "greedy", "win_rate")
JUDGED = {True: "✓ right", False: "✗ wrong", None: "compared by a judge"}
LESS_IS_BETTER = ("truncated", "wrong_step")
NOT_RANKED = ("tokens",)
"""Metrics of which neither more nor less is better."""
SAMPLES_SHOWN = 50
REASONS = {"right and wrong": None, "wrong": False, "right": True}


def page() -> None:
    """Draw the page."""
    look.title("Evaluation", "Scores with 95 % intervals, clustered by question; every answer can be read.")
    heads = read.heads()
    if "evals" not in heads:
        st.info("No scores yet. `rigor run evaluate` makes them.")
        return
    scores = _scores(Source().warehouse, heads["evals"])
    view = look.choose("View", ["Scores", "pass@k", "By family", "Samples", "Side by side"], "evaluation-view")
    if view == "Scores":
        _overview(scores)
    elif view == "pass@k":
        _curves(scores)
    elif view == "By family":
        _families(Source().warehouse, heads["evals"], scores)
    elif view == "Samples":
        _samples(heads["eval_samples"], scores)
    else:
        _beside(heads["eval_samples"], scores)


@st.cache_data(max_entries=8, show_spinner=False)
def _scores(uri: str, head: int) -> pl.DataFrame:
    """Scores of whole suites; models in the order in which they were made."""
    frame = read.view(uri, "evals", head).scan().filter(pl.col("family") == "", pl.col("level") == "")
    made = {m: i for i, m in enumerate(dict.fromkeys(
        c["name"] for c in read.calls().iter_rows(named=True) if c["kind"] == "model"))}  # fmt: skip
    found = frame.drop("parents").collect()
    order = pl.col("model").replace_strict(made, default=len(made), return_dtype=pl.Int64)
    shot = pl.when(pl.col("shots") > 0).then(pl.format("{}, {}-shot", "suite", "shots")).otherwise("suite")
    return found.with_columns(order.alias("order"), shot.alias("name")).sort("order", "model", "name", "metric")


def _rank(metric: str) -> tuple[int, str]:
    return (HEADLINES.index(metric) if metric in HEADLINES else len(HEADLINES), metric)


def _models(frame: pl.DataFrame) -> list[str]:
    return list(frame["model"].unique(maintain_order=True))


def _overview(scores: pl.DataFrame) -> None:
    metrics = sorted(set(scores["metric"]), key=_rank)
    metric = st.selectbox("Metric", metrics, key="score-metric")
    shown = scores.filter(pl.col("metric") == metric)
    models, suites = _models(shown), sorted(set(shown["name"]))
    cells = {(r["model"], r["name"]): r for r in shown.iter_rows(named=True)}
    winners = best_of(shown, metric)
    rows = [{"model": m, **{s: _cell(cells.get((m, s)), (m, s) in winners and len(models) > 1) for s in suites}}
            for m in models]  # fmt: skip
    st.dataframe(pl.DataFrame(rows), hide_index=True, width="stretch", alt=f"{metric} by model and suite")
    st.caption("Value [95 % interval]; ▲ the best of its suite; * some questions are in the training tables.")
    for start in range(0, len(suites), 2):
        for place, suite in zip(st.columns(2), suites[start : start + 2], strict=False):
            with place, st.container(border=True):
                part = shown.filter(pl.col("name") == suite)
                st.markdown(f"**{look.md(suite)}**, {look.md(metric)} over {asked(part)} questions")
                look.show(_intervals(part, metric), f"{metric} on {suite} by model, with intervals")


def asked(part: pl.DataFrame) -> str:
    """How many questions the models of a suite were asked: not always all equally many."""
    found = sorted(set(part["questions"]))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def best_of(shown: pl.DataFrame, metric: str) -> set[tuple[str, str]]:
    """Model and suite of each value of a metric that no other model's of that suite equals or betters."""
    if metric in NOT_RANKED:
        return set()
    value = pl.col("value")
    top = (value.min() if metric in LESS_IS_BETTER else value.max()).over("name")
    alone = shown.filter(value == top).filter(pl.len().over("name") == 1)
    return {(r["model"], r["name"]) for r in alone.iter_rows(named=True)}


def _cell(row: dict[str, object] | None, best: bool) -> str:
    if row is None:
        return "–"
    value, low, high = (float(str(row[c])) for c in ("value", "low", "high"))
    star = "*" if row["contaminated"] else ""
    figure = f"{value:.1f} [{low:.1f}, {high:.1f}]" if value > 1 else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    return f"{'▲ ' if best else ''}{figure}{star}"


def _intervals(part: pl.DataFrame, metric: str) -> look.Drawing:
    base = alt.Chart(part).encode(
        y=alt.Y("model:N", sort=_models(part), title=None, axis=look.LABELS),
        color=alt.Color("model:N", scale=look.colours(_models(part)), legend=None),
        tooltip=["model", alt.Tooltip("value:Q", format=".4f"), alt.Tooltip("low:Q", format=".4f"),
                 alt.Tooltip("high:Q", format=".4f"), alt.Tooltip("questions:Q", format=",")],
    )  # fmt: skip
    across = alt.X("low:Q", title=f"{metric}, 95 % interval", axis=alt.Axis(tickCount=6))
    rule = base.mark_rule(strokeWidth=2).encode(x=across, x2="high:Q")
    point = base.mark_point(filled=True, size=90, opacity=1).encode(x="value:Q")
    return alt.layer(rule, point).properties(height=look.stacked(part.height))


def _curves(scores: pl.DataFrame) -> None:
    at_k = scores.filter(pl.col("metric").str.contains(r"^pass@\d+$")).with_columns(
        pl.col("metric").str.extract(r"(\d+)$").cast(pl.Int64).alias("k")
    )
    several = at_k.group_by("name").agg(pl.col("k").n_unique()).filter(pl.col("k") > 1)["name"]
    suites = sorted(several)
    if not suites:
        st.info("Every suite was sampled once a question; pass@k needs more.")
        return
    for start in range(0, len(suites), 2):
        for place, suite in zip(st.columns(2), suites[start : start + 2], strict=False):
            part = at_k.filter(pl.col("name") == suite).sort("order", "k")
            with place, st.container(border=True):
                st.markdown(f"**{look.md(suite)}**: chance that one of k samples is right, with 95 % intervals")
                look.show(_pass_at_k(part), f"pass@k on {suite} by model")


def _pass_at_k(part: pl.DataFrame) -> look.Drawing:
    models = _models(part)
    base = alt.Chart(part).encode(
        x=alt.X("k:Q", scale=alt.Scale(type="log", base=2, nice=False), title="samples k",
                axis=alt.Axis(values=sorted(set(part["k"])), format="d")),
        color=alt.Color("model:N", scale=look.colours(models),
                        legend=alt.Legend(title=None, orient="bottom", symbolOpacity=1)),
    )  # fmt: skip
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="pass@k"), y2="high:Q")
    told = ["model", "k", alt.Tooltip("value:Q", format=".4f"), alt.Tooltip("low:Q", format=".4f"),
            alt.Tooltip("high:Q", format=".4f")]  # fmt: skip
    line = base.mark_line(point=True).encode(y="value:Q", tooltip=told)
    return alt.layer(band, line).properties(height=300)


@st.cache_data(max_entries=16, show_spinner=False)
def _by_family(uri: str, head: int, suite: str, shots: int, metric: str) -> pl.DataFrame:
    frame = read.view(uri, "evals", head).scan().filter(
        pl.col("suite") == suite, pl.col("shots") == shots, pl.col("metric") == metric, pl.col("family") != "",
        pl.col("level") == "",
    )  # fmt: skip
    return frame.select("model", "family", "value", "low", "high", "questions").collect()


def _families(uri: str, head: int, scores: pl.DataFrame) -> None:
    left, right = st.columns(2)
    name = left.selectbox("Suite", sorted(set(scores["name"])), key="family-suite")
    of = scores.filter(pl.col("name") == name)
    metrics = sorted(set(of["metric"]), key=_rank)
    metric = right.selectbox("Metric", metrics, key="family-metric")
    found = _by_family(uri, head, of["suite"][0], of["shots"][0], metric)
    if found.is_empty():
        st.info("This suite has no families.")
        return
    more = metric not in LESS_IS_BETTER
    order = found.group_by("family").agg(pl.col("value").mean()).sort("value", "family", descending=[more, False])
    models = [m for m in _models(scores) if m in set(found["model"])]
    base = alt.Chart(found).encode(
        y=alt.Y("family:N", sort=order["family"].to_list(), title=None, axis=look.LABELS),
        x=alt.X("model:N", sort=models, title=None, axis=alt.Axis(labelAngle=0, orient="top")),
    )
    heat = base.mark_rect(stroke="#88888855").encode(
        color=alt.Color("value:Q", title=metric, scale=alt.Scale(scheme="yellowgreenblue")),
        tooltip=["model", "family", alt.Tooltip("value:Q", format=".3f"), alt.Tooltip("low:Q", format=".3f"),
                 alt.Tooltip("high:Q", format=".3f"), "questions"],
    )  # fmt: skip
    middle = (found["value"].min() + found["value"].max()) / 2  # type: ignore[operator]
    ink = alt.condition(alt.datum.value > middle, alt.value("#ffffff"), alt.value("#1f2430"))
    text = base.mark_text().encode(text=alt.Text("value:Q", format=".2f"), color=ink)
    first = "largest values" if metric in NOT_RANKED else "best families"
    st.markdown(f"**{look.md(metric)} by family**, {first} first")
    look.show(alt.layer(heat, text).properties(height=look.stacked(order.height + 1)), f"{metric} by family and model")


@st.cache_data(max_entries=32, show_spinner=False)
def _answers(uri: str, head: int, model: str, suite: str, mode: str, correct: bool | None, words: str) -> pl.DataFrame:
    frame = read.view(uri, "eval_samples", head, (f"{model}.{suite}",)).scan().filter(pl.col("mode") == mode)
    if correct is not None:
        frame = frame.filter(pl.col("correct") == correct)
    if words:
        frame = frame.filter(pl.col("problem").str.contains(words, literal=True)
                             | pl.col("response").str.contains(words, literal=True))  # fmt: skip
    return frame.with_columns(pl.col("tokens").list.len()).head(SAMPLES_SHOWN).collect()


def _samples(head: int, scores: pl.DataFrame) -> None:
    cells = st.columns(5)
    model = cells[0].selectbox("Model", list(reversed(_models(scores))), key="sample-model")
    suite = cells[1].selectbox("Suite", sorted(set(scores.filter(pl.col("model") == model)["suite"])),
                               key=f"sample-suite-{model}")  # fmt: skip
    mode = cells[2].selectbox("Sampling", ["greedy", "sampled"], key="sample-mode")
    verdict = cells[3].selectbox("Verdict", list(REASONS), key="sample-verdict")
    words = cells[4].text_input("Contains", key="sample-words")
    found = _answers(Source().warehouse, head, model, suite, mode, REASONS[verdict], words)
    if found.is_empty():
        st.info("No such answer.")
        return
    sign = pl.col("correct").replace_strict(JUDGED, return_dtype=pl.String).alias("verdict")
    step = pl.when(pl.col("first_wrong").is_null()).then(pl.lit("")).otherwise(
        pl.format("step {}", pl.col("first_wrong") + 1)).alias("wrong step")  # fmt: skip
    table = found.select(sign, "family", "level", pl.col("problem").str.slice(0, 200), "gold",
                         pl.col("answer").str.slice(0, 100), step, "reason", "tokens")  # fmt: skip
    st.caption(f"The first {found.height} of them; choose one to read it.")
    event = st.dataframe(table, hide_index=True, width="stretch", height=260, on_select="rerun",
                         selection_mode="single-row", key=f"samples-{model}-{suite}-{mode}-{verdict}-{words}",
                         alt="Answers with their verdicts")  # fmt: skip
    chosen = event.selection.rows
    _answer(found.row(chosen[0] if chosen else 0, named=True))


def _answer(row: dict[str, Any]) -> None:
    with st.container(border=True):
        st.markdown(f"**{look.md(row['model'])}: {JUDGED[row['correct']]}.** {look.md(row['reason'])}")
        left, right = st.columns(2)
        with left:
            st.caption("Problem")
            look.text_block(str(row["problem"]))
            gold, answer = (look.md(row[c] or "none") for c in ("gold", "answer"))
            st.caption(f"Reference answer: {gold}; judged answer: {answer}")
        with right:
            st.caption("Response, step by step")
            st.html(steps.response(row))
        st.caption(f"Row {row['id']}")


@st.cache_data(max_entries=8, show_spinner=False)
def _questions(uri: str, head: int, suite: str, models: tuple[str, ...]) -> pl.DataFrame:
    """Questions that several models answered greedily, those that they differ on first."""
    frame = read.view(uri, "eval_samples", head).scan().filter(
        pl.col("suite") == suite, pl.col("mode") == "greedy", pl.col("model").is_in(models)
    )  # fmt: skip
    grouped = frame.group_by("question", "shots").agg(
        pl.first("problem"), pl.col("model").n_unique().alias("models"), pl.col("correct").sum().alias("right"),
    )  # fmt: skip
    apart = ((pl.col("right") > 0) & (pl.col("right") < pl.col("models"))).alias("apart")
    ordered = grouped.with_columns(apart).sort("apart", "right", "question", descending=[True, True, False])
    return ordered.head(300).collect()


def _beside(head: int, scores: pl.DataFrame) -> None:
    uri = Source().warehouse
    suites = sorted(set(scores["suite"]))
    left, right = st.columns([1, 4])
    suite = left.selectbox("Suite", suites, key="beside-suite")
    # An earlier model under a label may have answered suites that its present one was not asked.
    models = tuple(_models(scores.filter(pl.col("suite") == suite)))
    offered = _questions(uri, head, suite, models)
    if offered.is_empty():
        st.info("This suite has no greedy answers.")
        return
    labels = {(r["question"], r["shots"]): f"{r['problem'][:140]}  ·  right: {r['right']} of {r['models']}"
              for r in offered.iter_rows(named=True)}  # fmt: skip
    chosen = right.selectbox("Question, those the models differ on first", list(labels),
                             format_func=lambda q: labels.get(q, str(q)), key=f"beside-question-{suite}")  # fmt: skip
    frame = read.view(uri, "eval_samples", head).scan().filter(
        pl.col("suite") == suite, pl.col("question") == chosen[0], pl.col("shots") == chosen[1],
        pl.col("mode") == "greedy", pl.col("model").is_in(models),
    )  # fmt: skip
    found = frame.drop("tokens").collect()
    st.caption(f"Reference answer: {look.md(found['gold'][0] or 'none')}")
    rows = list(found.iter_rows(named=True))
    for start in range(0, len(rows), 3):
        for place, row in zip(st.columns(min(3, len(rows))), rows[start : start + 3], strict=False):
            with place.container(border=True):
                st.markdown(f"**{look.md(row['model'])}** {JUDGED[row['correct']]}")
                st.html(steps.response(row))
