"""Training: curves of one or several runs, router load, reward terms and lengths, and rollouts of one prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

import altair as alt
import polars as pl
import streamlit as st

from dashboards import look, read, runs, steps
from dashboards.source import Source

CURVES = {
    "Loss": ("next_token", "mtp_1", "loss", "held_out_next_token"),
    "Pass rate and reward": ("reward", "pass_rate", "held_out_pass_rate", "held_out_greedy"),
    "Length": ("response_tokens", "response_tokens_right", "response_tokens_wrong", "cut_share"),
    "Health": ("grad_norm", "entropy", "kl", "sampler_gap", "zero_variance_share", "router_violation_max"),
    "Pace": ("learning_rate", "tokens_per_second", "mfu", "memory_bytes"),
}
AT_FIRST = 3
"""Groups that are drawn unasked: a browser takes a fifth of a second for each of their curves."""
UNITS = {
    "next_token": "nats a token", "mtp_1": "nats a token", "loss": "nats a token",
    "held_out_next_token": "nats a token",
    "reward": "points", "pass_rate": "share right", "held_out_pass_rate": "share right",
    "held_out_greedy": "share right", "response_tokens": "tokens", "response_tokens_right": "tokens",
    "response_tokens_wrong": "tokens", "cut_share": "share cut off", "grad_norm": "norm", "entropy": "nats a token",
    "kl": "nats a token", "sampler_gap": "nats a token", "zero_variance_share": "share of groups",
    "router_violation_max": "load over mean − 1", "learning_rate": "per step", "tokens_per_second": "tokens/s",
    "mfu": "share of peak", "memory_bytes": "bytes",
}  # fmt: skip
LOAD = re.compile(r"load\.layer_(\d+)\.expert_(\d+)")
LEARNS = ("loss", "reward")
MOST_EXPERTS = 64
SIDE_BY_SIDE = 4


def page() -> None:
    """Draw the page."""
    look.title("Training", "Curves as they come in; several runs lie over each other. Drag to move, scroll to zoom.")
    trainings = [a for a in runs.attempts() if a.stage and any(name in a.metrics for name in LEARNS)]
    if not trainings:
        st.info("No training yet. `rigor run pretrain` makes the first model.")
        return
    names = _names(trainings)
    view = look.choose("View", ["Curves", "Router load", "Rewards and length", "Rollouts"], "training-view")
    if view == "Curves":
        _curves(names)
    elif view == "Router load":
        _router({k: a for k, a in names.items() if any(m.startswith("router_violation") for m in a.metrics)})
    elif view == "Rewards and length":
        _rewards({k: a for k, a in names.items() if "reward" in a.metrics})
    else:
        _rollouts()


def _names(trainings: list[runs.Attempt]) -> dict[str, runs.Attempt]:
    """A name for each run: what it wrote, or the stage and its state; newest first. Of two alike one tells its id."""
    wrote = {c["mlflow_run"]: f"{c['name']}@{c['version']}" for c in read.calls().iter_rows(named=True)
             if c["kind"] == "model"}  # fmt: skip
    names: dict[str, runs.Attempt] = {}
    for a in trainings:
        state = {"FINISHED": "", "RUNNING": ", running"}.get(a.status, ", failed")
        name = f"{wrote.get(a.run, a.stage)}{state} ({a.started:%m-%d %H:%M})"
        names[f"{name}, {a.run}" if name in names else name] = a
    return names


def _series(names: dict[str, runs.Attempt], chosen: list[str], metric: str) -> pl.DataFrame:
    uri = Source().mlflow
    parts = [runs.curve(uri, names[n].run, metric).with_columns(pl.lit(n).alias("run"))
             for n in chosen if metric in names[n].metrics]  # fmt: skip
    return pl.concat(parts) if parts else pl.DataFrame(schema={"step": pl.Int64, "value": pl.Float64, "run": pl.String})


def _curves(names: dict[str, runs.Attempt]) -> None:
    first = next(iter(names))
    alike = [n for n in names if names[n].stage == names[first].stage][:3]
    left, right = st.columns([4, 3])
    chosen = left.multiselect("Runs", list(names), default=alike, key="curve-runs")
    present = [group for group, wanted in CURVES.items() if any(m in names[n].metrics for n in chosen for m in wanted)]
    groups = right.multiselect("Figures", present, default=present[:AT_FIRST], key=f"curve-groups-{'-'.join(present)}")
    _warnings({name: names[name].warnings for name in chosen})
    log = st.toggle("Logarithmic loss", key="curve-log")
    for group in groups:
        wanted = [m for m in CURVES[group] if any(m in names[n].metrics for n in chosen)]
        if group == "Loss" and "next_token" in wanted:
            wanted = [m for m in wanted if m != "loss"]
        if not wanted:
            continue
        st.subheader(group)
        cells = st.columns(2)
        for index, metric in enumerate(wanted):
            frame = _series(names, chosen, metric)
            with cells[index % 2]:
                _curve(frame, metric, [n for n in chosen if n in set(frame["run"])], log=log and group == "Loss")


def _warnings(by_run: dict[str, tuple[str, ...]]) -> None:
    count = sum(len(texts) for texts in by_run.values())
    if not count:
        return
    with st.expander(f"{count} {'warning' if count == 1 else 'warnings'}", icon=":material/warning:"):
        for run, texts in by_run.items():
            for text in texts:
                st.markdown(f"**{look.md(run)}**: {look.md(text)}")


def _curve(frame: pl.DataFrame, metric: str, order: list[str], *, log: bool = False) -> None:
    if frame["step"].n_unique() < 2:
        told = "; ".join(f"{n}: {look.number(v)}" for n, v in zip(frame["run"], frame["value"], strict=True))
        st.markdown(f"**{look.md(metric)}**")
        st.caption(look.md(f"one value only: {told}"))
        return
    st.markdown(f"**{look.md(metric)}**")
    chart = look.lines(frame, "step", "value", "run", order, x_title="step", y_title=UNITS.get(metric, ""), height=220,
                       log=log, points=frame["step"].n_unique() < 25)  # fmt: skip
    look.show(chart, f"Curve of {metric} over steps for {', '.join(order)}")


def _router(names: dict[str, runs.Attempt]) -> None:
    if not names:
        st.info("No run of a mixture of experts has been logged.")
        return
    uri = Source().mlflow
    name = st.selectbox("Run", list(names), key="router-run")
    run = names[name].run
    last = runs.last_metrics(uri, run)
    cells = [(int(m[1]), int(m[2]), v) for k, v in last.items() if (m := LOAD.fullmatch(k))]
    frame = _series(names, [name], "router_violation_max")
    left, right = st.columns(2)
    with left:
        st.markdown("**Largest overload of an expert, over all layers** (0 is even, 1 is twice its share)")
        chart = look.lines(frame, "step", "value", "run", [name], x_title="step", y_title="load over mean − 1")
        look.show(chart, "Router violation over steps")
    if not cells:
        right.info("This run logged no load by expert.")
        return
    load = pl.DataFrame(cells, schema=["layer", "expert", "share"], orient="row").sort("layer", "expert")
    load = load.with_columns((pl.col("share") / pl.col("share").mean().over("layer")).alias("relative"))
    with right:
        st.markdown("**Load of each expert at the last step** (1 is its even share)")
        base = alt.Chart(load).encode(
            x=alt.X("expert:O", title="expert", axis=alt.Axis(labelAngle=0)), y=alt.Y("layer:O", title="layer")
        )
        heat = base.mark_rect(stroke="#88888855").encode(
            color=alt.Color("relative:Q", title="load",
                            scale=alt.Scale(scheme="purpleorange", domainMid=1, domain=[0, 2], clamp=True)),
            tooltip=["layer", "expert", alt.Tooltip("relative:Q", title="load", format=".2f")])  # fmt: skip
        few = load.height <= MOST_EXPERTS
        text = base.mark_text(color="#1f2430").encode(text=alt.Text("relative:Q", format=".2f"))
        drawn = alt.layer(heat, text) if few else alt.layer(heat)
        look.show(drawn.properties(height=look.stacked(load["layer"].n_unique())), "Load by layer and expert")
    layer = st.selectbox("Layer over time", sorted(set(load["layer"])), key="router-layer")
    experts = load.filter(pl.col("layer") == layer)["expert"].to_list()
    few_experts = experts[:MOST_EXPERTS]
    keys = {k: m for k in last if (m := LOAD.fullmatch(k)) and int(m[1]) == layer and int(m[2]) in few_experts}
    parts = [runs.curve(uri, run, k).with_columns(pl.lit(f"expert {int(m[2])}").alias("expert"))
             for k, m in keys.items()]  # fmt: skip
    # Shares of the layer's tokens: the even one is of all its experts, shown or not.
    over = pl.concat(parts).with_columns(pl.col("value") * len(experts))
    order = sorted(set(over["expert"]), key=lambda n: int(n.rsplit(" ", 1)[1]))
    st.markdown(f"**Load in layer {layer}** (1 is the even share)")
    chart = look.lines(over, "step", "value", "expert", order, x_title="step", y_title="load over mean")
    look.show(chart, f"Load of each expert of layer {layer} over steps")


def _rewards(names: dict[str, runs.Attempt]) -> None:
    if not names:
        st.info("No reinforcement yet. `rigor run zero` makes the first.")
        return
    name = st.selectbox("Run", list(names), key="reward-run")
    attempt = names[name]
    terms = sorted(m for m in attempt.metrics if m.startswith("reward."))
    left, right = st.columns(2)
    with left:
        st.markdown("**Reward terms, mean over the step's responses** (before their weights)")
        _many(attempt, terms, "points", [t.removeprefix("reward.") for t in terms])
    with right:
        st.markdown("**Length of responses**")
        lengths = {"response_tokens": "all", "response_tokens_right": "right", "response_tokens_wrong": "wrong"}
        have = [m for m in lengths if m in attempt.metrics]
        _many(attempt, have, "tokens", [lengths[m] for m in have])
    with left:
        st.markdown("**Pass rate** (training samples; held-out questions sampled and greedy)")
        rates = [m for m in ("pass_rate", "held_out_pass_rate", "held_out_greedy") if m in attempt.metrics]
        _many(attempt, rates, "share right", rates)
    with right:
        st.markdown("**What responses do**")
        habits = [m for m in ("reasoning_share", "self_check_share", "mixed_language_share", "cut_share")
                  if m in attempt.metrics]  # fmt: skip
        _many(attempt, habits, "share of responses", [h.removesuffix("_share").replace("_", " ") for h in habits])


def _many(attempt: runs.Attempt, metrics: Sequence[str], unit: str, labels: Sequence[str]) -> None:
    uri = Source().mlflow
    frame = pl.concat([runs.curve(uri, attempt.run, m).with_columns(pl.lit(label).alias("term"))
                       for m, label in zip(metrics, labels, strict=True)])  # fmt: skip
    chart = look.lines(frame, "step", "value", "term", labels, x_title="step", y_title=unit, height=230,
                       points=frame["step"].n_unique() < 25)  # fmt: skip
    look.show(chart, f"{', '.join(labels)} over steps")


def _rollouts() -> None:
    heads = read.heads()
    if "rollouts" not in heads:
        st.info("No rollouts yet. `rigor run zero` samples the first.")
        return
    uri, head = Source().warehouse, heads["rollouts"]
    prompts = _prompts(uri, head)
    left, right = st.columns([1, 3])
    policies = prompts["policy"].unique(maintain_order=True).to_list()
    policy = left.selectbox("Policy", policies, key="rollout-policy")
    offered = prompts.filter(pl.col("policy") == policy)
    again = offered["steps"].max()
    labels = {r["problem"]: f"{r['prompt'][:120]}  ·  {r['family']}, level {r['level']}, at {r['steps']} steps"
              for r in offered.iter_rows(named=True)}  # fmt: skip
    problem = right.selectbox("Prompt", list(labels), format_func=lambda p: labels.get(p, p), key=f"prompt-{policy}")
    found = _responses(uri, head, policy, problem, "")
    if again == 1:
        of = offered.filter(pl.col("problem") == problem).row(0, named=True)
        st.caption("No prompt was drawn twice in this run; beside it stand others of its family and level.")
        found = _responses(uri, head, policy, "", f"{of['family']}\n{of['level']}")
    all_steps = sorted(set(found["step"]))
    spaced = [all_steps[round(i * (len(all_steps) - 1) / max(SIDE_BY_SIDE - 1, 1))] for i in range(SIDE_BY_SIDE)]
    chosen = st.multiselect("Steps", all_steps, default=sorted(set(spaced)), key=f"steps-{policy}-{problem}")
    which = st.radio("Response", ["best", "worst", "first"], horizontal=True, key="rollout-which")
    for place, step in zip(st.columns(max(len(chosen), 1)), sorted(chosen), strict=False):
        group = found.filter(pl.col("step") == step)
        row = group.sort("reward", descending=which == "best", maintain_order=True) if which != "first" else group
        _rollout(place, row.row(0, named=True), group)


def _rollout(place: st.delta_generator.DeltaGenerator, row: dict[str, object], group: pl.DataFrame) -> None:
    with place.container(border=True):
        st.markdown(f"**Step {row['step']}**: {group['correct'].sum()} of {group.height} right, "
                    f"mean reward {look.number(float(str(group['reward'].mean())))}")  # fmt: skip
        st.caption(look.md(row["prompt"]))
        verdict = "ok" if row["correct"] else "wrong"
        lines = [{"text": line, "verdict": "none"} for line in str(row["text"]).splitlines() if line.strip()]
        lines.append({"text": f"reward {look.number(float(str(row['reward'])))}, {row['tokens']} tokens,"
                              f" {row['finish']}", "verdict": verdict})  # fmt: skip
        st.html(steps.chain(lines))


@st.cache_data(max_entries=8, show_spinner=False)
def _prompts(uri: str, head: int) -> pl.DataFrame:
    """Prompts by policy, those at most steps first."""
    frame = read.view(uri, "rollouts", head).scan().group_by("policy", "problem")
    counted = frame.agg(
        pl.col("step").n_unique().alias("steps"), pl.first("prompt"), pl.first("family"), pl.first("level")
    )
    best = counted.sort("steps", "level", "problem", descending=[True, False, False]).group_by("policy").head(200)
    return best.collect().sort("policy", "steps", "level", "problem", descending=[True, True, False, False])


@st.cache_data(max_entries=32, show_spinner=False)
def _responses(uri: str, head: int, policy: str, problem: str, kind: str) -> pl.DataFrame:
    """Responses of a policy to a problem, or to a family and level; tokens as their number."""
    frame = read.view(uri, "rollouts", head).scan().filter(pl.col("policy") == policy)
    if problem:
        frame = frame.filter(pl.col("problem") == problem)
    else:
        family, _, level = kind.partition("\n")
        frame = frame.filter(pl.col("family") == family, pl.col("level") == int(level))
    columns = ["step", "place", "sample", "prompt", "text", "reward", "correct", "finish"]
    return frame.select(*columns, pl.col("tokens").list.len()).sort("step", "place", "sample").head(20_000).collect()
