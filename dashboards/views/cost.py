"""Cost: time, energy and money of an artifact and of all that it was made from, each stage call counted once."""

from __future__ import annotations

import altair as alt
import polars as pl
import streamlit as st

from dashboards import look, read
from dashboards.source import Source
from warehouse.ledger import Entry, Ledger, Use, by_stage
from warehouse.lineage import Lineage
from warehouse.tables import Tables

JOULES_A_KWH = 3.6e6


def page() -> None:
    """Draw the page."""
    look.title("Cost", "What an artifact took, with everything it was made from; each stage call is counted once.")
    calls = read.calls()
    if calls.is_empty():
        st.info("Nothing has run here yet. `rigor run mine` makes the first tables.")
        return
    prices = _prices()
    newest = calls.select("name", "version", "kind").reverse().to_dicts()
    made = sorted(newest, key=lambda c: c["kind"] != "model")
    names = list(dict.fromkeys(f"{c['name']}@{c['version']}" for c in made))
    target = st.selectbox("Artifact, models first", names, key="cost-target")
    (entries,) = _bills(Source().warehouse, _heads(), (target,), prices["watts_a_core"])
    total = sum((e.use for e in entries), Use())
    _figures(total, prices)
    _stages(entries, prices)
    _calls(entries, prices)
    _accuracy(prices)


def _prices() -> dict[str, float]:
    source = Source()
    with st.expander("Prices and the estimate's watts"):
        cells = st.columns(4)
        shown = {
            "cpu_hour": (f"{source.currency} a core-hour", source.cpu_hour),
            "gpu_hour": (f"{source.currency} a GPU-hour", source.gpu_hour),
            "kilowatt_hour": (f"{source.currency} a kWh", source.kilowatt_hour),
            "watts_a_core": ("W a busy core, where not measured", source.watts_a_core),
        }
        found = {}
        for place, (name, (label, value)) in zip(cells, shown.items(), strict=True):
            found[name] = float(
                place.number_input(label, min_value=0.0, value=value, format="%.3f", key=f"price-{name}")
            )
        return found


@st.cache_data(max_entries=64, show_spinner=False)
def _bills(uri: str, heads: tuple[int, int], targets: tuple[str, ...], watts_a_core: float) -> list[list[Entry]]:  # noqa: ARG001 heads are for the cache
    lineage = Lineage(Tables(uri, Source().storage_options))
    return Ledger(lineage).bills([lineage.called(target) for target in targets], watts_a_core)


def _heads() -> tuple[int, int]:
    """The versions that a bill depends on."""
    heads = read.heads()
    return heads["lineage"], heads.get("ledger", -1)


def money(use: Use, prices: dict[str, float]) -> float:
    """Price of a use."""
    hours = use.cpu_seconds / 3600 * prices["cpu_hour"] + use.gpu_seconds / 3600 * prices["gpu_hour"]
    return hours + use.energy_joules / JOULES_A_KWH * prices["kilowatt_hour"]


def _figures(total: Use, prices: dict[str, float]) -> None:
    shown = st.columns(6)
    shown[0].metric(f"Money ({Source().currency})", look.number(money(total, prices)))
    shown[1].metric("Energy (kWh)", look.number(total.energy_joules / JOULES_A_KWH))
    shown[2].metric("CPU time", look.duration(total.cpu_seconds))
    shown[3].metric("GPU time", look.duration(total.gpu_seconds) if total.gpu_seconds else "none")
    shown[4].metric("Wall clock, added up", look.duration(total.seconds))
    shown[5].metric("Stage calls", f"{total.calls:,}")


def _stages(entries: list[Entry], prices: dict[str, float]) -> None:
    rows = [{"stage": stage, "CPU seconds": use.cpu_seconds, "kWh": use.energy_joules / JOULES_A_KWH,
             "money": money(use, prices)} for stage, use in by_stage(entries).items()]  # fmt: skip
    frame = pl.DataFrame(rows).sort("CPU seconds", "stage", descending=[True, False])
    left, right = st.columns(2)
    unit = Source().currency
    with left:
        st.markdown("**CPU time by stage**")
        look.show(look.bars(frame, "stage", "CPU seconds", value_title="CPU seconds"), "CPU seconds by stage")
    with right:
        st.markdown(f"**Money by stage** ({unit})")
        look.show(look.bars(frame, "stage", "money", value_title=unit, colour=look.GREEN), "Money by stage")


def _calls(entries: list[Entry], prices: dict[str, float]) -> None:
    st.subheader("Stage calls")
    priced = f"money ({Source().currency})"
    rows = [{"stage": e.stage, "made": ", ".join(e.artifacts), "seconds": e.use.seconds,
             "CPU seconds": e.use.cpu_seconds, "GPU seconds": e.use.gpu_seconds, "Wh": e.use.energy_joules / 3600,
             priced: money(e.use, prices), "energy": e.method} for e in entries]  # fmt: skip
    number = st.column_config.NumberColumn(format="%.2f")
    st.dataframe(pl.DataFrame(rows), hide_index=True, width="stretch", alt="Stage calls with what each took",
                 column_config={"seconds": number, "CPU seconds": number, "GPU seconds": number, "Wh": number,
                                priced: st.column_config.NumberColumn(format="%.5f")})  # fmt: skip


def _accuracy(prices: dict[str, float]) -> None:
    """Score against money, a point for each model."""
    heads = read.heads()
    if "evals" not in heads:
        return
    st.subheader("What accuracy cost")
    scores = _scores(Source().warehouse, heads["evals"])
    cells = st.columns(2)
    suite = cells[0].selectbox("Suite", sorted(set(scores["suite"])), key="cost-suite")
    metrics = sorted(set(scores.filter(pl.col("suite") == suite)["metric"]), key=lambda m: (m != "pass@1", m))
    metric = cells[1].selectbox("Metric", metrics, key=f"cost-metric-{suite}")
    answered = _answered(Source().warehouse, _heads(), heads["evals"])
    of_model = pl.col("model").replace_strict(answered, default=None, return_dtype=pl.String)
    chosen = scores.filter((pl.col("suite") == suite) & (pl.col("metric") == metric)).with_columns(of_model)
    chosen = chosen.drop_nulls("model")
    if chosen.is_empty():
        st.caption("None of the models with this score was made here.")
        return
    bills = _bills(Source().warehouse, _heads(), tuple(chosen["model"]), prices["watts_a_core"])
    spent = [money(sum((e.use for e in bill), Use()), prices) for bill in bills]
    frame = chosen.select("model", pl.Series("money", spent), "value", "low", "high")
    base = alt.Chart(frame).encode(
        x=alt.X("money:Q", title=f"money for the model and all before it ({Source().currency})",
                scale=alt.Scale(zero=False, padding=30), axis=alt.Axis(format=",.4~r", tickCount=6)),
        color=alt.Color("model:N", scale=look.colours(frame["model"].to_list()),
                        legend=alt.Legend(title=None, orient="bottom")),
        tooltip=["model", alt.Tooltip("money:Q", format=".5f"), alt.Tooltip("value:Q", format=".4f")],
    )  # fmt: skip
    rule = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=f"{metric} on {suite}"), y2="high:Q")
    point = base.mark_point(filled=True, size=110, opacity=1).encode(y="value:Q")
    look.show(alt.layer(rule, point).properties(height=300), f"{metric} on {suite} against money")


@st.cache_data(max_entries=8, show_spinner=False)
def _answered(uri: str, heads: tuple[int, int], head: int) -> dict[str, str]:  # noqa: ARG001 heads are for the cache
    """The model version, `name@version`, behind each label of the scores; none for a folder or a server."""
    lineage = Lineage(Tables(uri, Source().storage_options))
    calls = {call["fingerprint"]: call for call in lineage.calls().iter_rows(named=True)}
    found: dict[str, str] = {}
    for scores in lineage.held("evals", head):
        answers = [calls[given["fingerprint"]] for given in calls[scores.fingerprint]["inputs"]
                   if given["fingerprint"] in calls]  # fmt: skip
        models = {f"{given['name']}@{given['version']}" for call in answers if call["name"] == "eval_samples"
                  for given in call["inputs"] if given["kind"] == "model"}  # fmt: skip
        if len(models) == 1:
            found |= dict.fromkeys(scores.partitions, *models)
    return found


@st.cache_data(max_entries=8, show_spinner=False)
def _scores(uri: str, head: int) -> pl.DataFrame:
    whole = (pl.col("family") == "") & (pl.col("level") == "") & (pl.col("shots") == 0)
    return read.view(uri, "evals", head).scan().filter(whole).drop("parents").collect()
