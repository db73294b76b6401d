"""Data: a table's rows, distributions and versions; what was rejected and why; domains found per round."""

from __future__ import annotations

import altair as alt
import polars as pl
import streamlit as st

from dashboards import look, read
from dashboards.source import Source
from warehouse.plain import plain
from warehouse.schema import QUARANTINE, TABLES

ROWS_SHOWN = 25
ROWS_MEASURED = 200_000
"""Distributions are over the first rows of a version, up to so many."""


def page() -> None:
    """Draw the page."""
    look.title("Data", "Any version of any table; filters and limits are pushed into the Parquet files.")
    heads = read.heads()
    if not heads:
        st.info("No tables yet. `rigor run mine` makes the first.")
        return
    view = look.choose("View", ["Rows", "Distributions", "Versions", "Rejected rows", "Domains"], "data-view")
    if view == "Rejected rows":
        _rejected(heads)
        return
    if view == "Domains":
        _domains(heads)
        return
    name, version = _pick(heads)
    if view == "Versions":
        _versions(name)
    else:
        {"Rows": _rows, "Distributions": _distributions}[view](name, version)


def _pick(heads: dict[str, int]) -> tuple[str, int]:
    left, right, told = st.columns([2, 2, 4], vertical_alignment="bottom")
    names = list(heads)
    first = names.index("math_corpus") if "math_corpus" in names else 0
    name = left.selectbox("Table", names, index=first, key="data-table")
    made = [v for v in read.versions(name) if v.operation == "WRITE" or v.version == heads[name]]
    labels = {v.version: f"@{v.version}, {v.time:%Y-%m-%d %H:%M} UTC" for v in made}
    version = right.selectbox(
        "Version", list(labels), format_func=lambda v: labels.get(v, f"@{v}"), key=f"data-version-{name}"
    )
    rows = read.count(Source().warehouse, name, version, "")
    told.markdown(f"**{rows:,} rows.** {look.md(TABLES[name].meaning)}")
    return name, version


def _rows(name: str, version: int) -> None:
    uri = Source().warehouse
    with st.form("data-filter", border=False):
        left, middle, right = st.columns([6, 2, 1], vertical_alignment="bottom")
        where = left.text_input("Condition (Polars SQL)", placeholder="language = 'de' AND formulas > 3",
                                key=f"where-{name}")  # fmt: skip
        start = middle.number_input("From row", min_value=0, step=ROWS_SHOWN, key=f"start-{name}")
        right.form_submit_button("Show", width="stretch")
    try:
        found = read.count(uri, name, version, where) if where.strip() else None
        frame = read.sample(uri, name, version, where, int(start), ROWS_SHOWN)
    except (ValueError, pl.exceptions.PolarsError) as error:
        st.error(f"The condition cannot be read: {look.md(error)}")
        return
    if found is not None:
        st.caption(f"{found:,} rows meet the condition.")
    if frame.is_empty():
        st.info("No row here.")
        return
    light = [c for c in frame.columns if c not in ("parents", "partition")]
    shown = frame.select(*[c for c in light if c != "id"], "partition", "id", "parents")
    st.caption("Choose a row to see it whole.")
    event = st.dataframe(
        shown, hide_index=True, width="stretch", on_select="rerun", selection_mode="single-row",
        key=f"rows-{name}-{version}-{start}-{where}", alt=f"Rows of {name}",
    )  # fmt: skip
    chosen = event.selection.rows
    if chosen:
        _whole(name, version, frame["id"][chosen[0]])
    with st.expander("Columns"):
        st.dataframe(read.columns(name), hide_index=True, width="stretch", alt="Columns with unit and meaning")


def _whole(name: str, version: int, id_: str) -> None:
    row = read.whole_row(Source().warehouse, name, version, id_)
    long = {k: v for k, v in row.items() if isinstance(v, str) and (len(v) > 80 or "\n" in v)}
    short = {k: plain(v)[:500] for k, v in row.items() if k not in long}
    left, right = st.columns([1, 2])
    left.dataframe(
        pl.DataFrame({"column": list(short), "value": list(short.values())}), hide_index=True, width="stretch",
        alt="Short fields of the row",
    )  # fmt: skip
    with right:
        for column, text in long.items():
            st.caption(column)
            look.text_block(text, height=320 if len(text) > 1500 else None)


def _distributions(name: str, version: int) -> None:
    uri = Source().warehouse
    schema = read.view(uri, name, version).scan().collect_schema()
    columns = [c for c, t in schema.items() if c not in ("id", "parents", "partition") and t not in read.HEAVY
               and not isinstance(t, pl.Struct)]  # fmt: skip
    rows = min(read.count(uri, name, version, ""), ROWS_MEASURED)
    best = [c for c in ("language", "family", "score", "domain", "reason", "reward", "level") if c in columns]
    chosen = st.multiselect("Columns", columns, default=(best or columns)[:4], key=f"columns-{name}")
    st.caption(f"Over the first {rows:,} rows. Texts and lists with many values are measured by their length.")
    cells = st.columns(2)
    for index, column in enumerate(chosen):
        with cells[index % 2], st.container(border=True):
            _distribution(uri, name, version, column, rows)


def _distribution(uri: str, name: str, version: int, column: str, rows: int) -> None:
    dtype = read.view(uri, name, version).scan().collect_schema()[column]
    unit = {f.name: f.metadata[b"unit"].decode() for f in TABLES[name].arrow}.get(column, "")
    title = f"**{look.md(column)}**" + (f" ({look.md(unit)})" if unit else "")
    named = dtype in (pl.String, pl.Boolean) or dtype == pl.List(pl.String)
    counted = read.values(uri, name, version, column, rows) if named else None
    if (
        counted is not None
        and counted["rows"].sum() >= 0.5 * rows
        and not counted.filter(pl.col("rows") > 1).is_empty()
    ):
        st.markdown(f"{title}, rows by value")
        shown = counted.head(12).with_columns(pl.col("value").fill_null("(null)").replace("", "(empty)"))
        left = f"; {counted.height - 12}+ further values" if counted.height > 12 else ""
        look.show(look.bars(shown, "value", "rows", value_title=f"rows{left}"), f"Most frequent values of {column}")
        return
    spread = read.spread(uri, name, version, column, rows)
    what = "characters" if dtype == pl.String else "items" if isinstance(dtype, pl.List) else unit
    st.markdown(title + (f", length in {what}" if dtype == pl.String or isinstance(dtype, pl.List) else ""))
    if spread.is_empty():
        st.caption("No values.")
        return
    if spread["low"].dtype.is_temporal():
        across = alt.X("low:T", title="UTC", scale=alt.Scale(type="utc"))
        ends = [alt.Tooltip(f"{end}:T", title=said, format="%Y-%m-%d %H:%M")
                for end, said in (("low", "from"), ("high", "to"))]  # fmt: skip
    else:
        across = alt.X("low:Q", bin="binned", title=what or "value", axis=alt.Axis(format="~s"))
        ends = [alt.Tooltip(f"{end}:Q", title=said, format=",.4~r") for end, said in (("low", "from"), ("high", "to"))]
    chart = alt.Chart(spread).mark_bar(color=look.BLUE).encode(
        x=across, x2="high", y=alt.Y("rows:Q", title="rows", axis=alt.Axis(format="~s")),
        tooltip=[*ends, alt.Tooltip("rows:Q", format=",")],
    ).properties(height=200)  # fmt: skip
    look.show(chart, f"Histogram of {column}")


def _versions(name: str) -> None:
    calls = {c["fingerprint"]: c for c in read.calls().iter_rows(named=True)}
    rows = []
    for v in read.versions(name):
        call = calls.get(v.fingerprint, {})
        rows.append(
            {
                "version": f"@{v.version}", "committed": v.time, "rows written": v.rows_added,
                "partitions": ", ".join(call.get("partitions", [])), "stage": call.get("stage", ""),
                "seconds": call.get("seconds"), "code": str(call.get("git_sha", ""))[:12],
                "fingerprint": v.fingerprint[:16], "what": v.operation.lower(),
            }
        )  # fmt: skip
    st.dataframe(
        pl.DataFrame(rows, infer_schema_length=None), hide_index=True, width="stretch", alt=f"Versions of {name}",
        column_config={"committed": st.column_config.DatetimeColumn("committed (UTC)", timezone="UTC"),
                       "rows written": st.column_config.NumberColumn(format="localized"),
                       "seconds": st.column_config.NumberColumn(format="%.1f")},
    )  # fmt: skip


def _rejected(heads: dict[str, int]) -> None:
    head = heads.get(QUARANTINE.name)
    if head is None:
        st.success("No row was ever rejected.")
        return
    uri = Source().warehouse
    counted = read.rejects(uri, head, ())
    stages = counted["stage"].unique(maintain_order=True).to_list()
    stage = st.selectbox("Stage", [f"all {len(stages)} stages", *stages], key="rejected-stage")
    shown = counted if stage not in stages else counted.filter(pl.col("stage") == stage)
    named = shown.head(20).with_columns(pl.format("{}: {}", "stage", "reason").alias("reason"))
    st.markdown(f"**{shown['rows'].sum():,} rows rejected**, by stage and reason")
    look.show(look.bars(named, "reason", "rows", value_title="rows", colour=look.AMBER), "Rejected rows by reason")
    reason = st.selectbox("Show rows of", named["reason"].to_list(), key="rejected-reason")
    if reason:
        of_stage, _, words = reason.partition(": ")
        where = f"stage = {_sql(of_stage)} AND reason = {_sql(words)}"
        frame = read.sample(uri, QUARANTINE.name, head, where, 0, ROWS_SHOWN)
        st.dataframe(frame.select("detail", "source", "count", "row"), hide_index=True, width="stretch",
                     alt="Rejected rows with their source")  # fmt: skip


def _sql(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _domains(heads: dict[str, int]) -> None:
    if "domains" not in heads:
        st.info("No domains yet. `rigor run mine` finds them, round by round.")
        return
    rounds = _rounds(Source().warehouse, heads["domains"])
    total = rounds.group_by("round", maintain_order=True).agg(
        pl.col("mathematical").sum().alias("mathematical domains"), pl.col("collected").sum().alias("pages collected")
    )
    left, right = st.columns(2)
    for place, figure in ((left, "mathematical domains"), (right, "pages collected")):
        with place, st.container(border=True):
            st.markdown(f"**{figure.capitalize()} by round**")
            base = alt.Chart(total).encode(x=alt.X("round:O", title="round of the mine", axis=alt.Axis(labelAngle=0)),
                                           y=alt.Y(f"{figure}:Q", title=figure))  # fmt: skip
            labels = base.mark_text(dy=-8, color=look.GREY).encode(text=f"{figure}:Q")
            look.show(alt.layer(base.mark_bar(color=look.GREEN, size=44), labels).properties(height=220),
                      f"{figure} by round")  # fmt: skip
    wide = rounds.pivot(on="round", index="domain", values="share", aggregate_function="first")
    last = rounds.group_by("domain").agg(pl.col("pages").last(), pl.col("decision").last(),
                                         pl.col("mathematical").last())  # fmt: skip
    numbers = [c for c in wide.columns if c != "domain"]
    down = [True] * len(numbers) + [False]
    shown = last.join(wide, on="domain").sort([*reversed(numbers), "domain"], descending=down)
    st.markdown("**Share of each domain's pages that was collected, by round**")
    st.dataframe(
        shown.select("domain", "mathematical", "decision", "pages", *numbers), hide_index=True, width="stretch",
        alt="Domains by round",
        column_config={c: st.column_config.ProgressColumn(f"round {c}", min_value=0, max_value=1, format="percent")
                       for c in numbers},
    )  # fmt: skip


@st.cache_data(max_entries=8, show_spinner=False)
def _rounds(uri: str, head: int) -> pl.DataFrame:
    """Domains as a whole in the newest commit of every round; one that is mined anew ends the rounds after it."""
    held: dict[int, pl.DataFrame] = {}
    made = [v.version for v in read.versions("domains") if v.operation == "WRITE" and v.version <= head]
    for version in sorted(made):
        frame = read.view(uri, "domains", version).scan().filter(pl.col("pattern") == "").collect()
        for (number,), part in frame.sort("round", maintain_order=True).group_by("round", maintain_order=True):
            held = {earlier: known for earlier, known in held.items() if earlier < int(str(number))}
            held[int(str(number))] = part
    return pl.concat([held[number] for number in sorted(held)])
