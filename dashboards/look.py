"""How things look: colours that read on light and dark, states as sign and word, charts of one hand.

Texts of the warehouse were written by strangers (pages of a crawl, outputs of models). They are shown as plain text or
escaped, never as Markdown or HTML: an image in them would make the browser ask another machine for it.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Sequence
from typing import TypeAlias, cast

import altair as alt
import polars as pl
import streamlit as st

from warehouse.plain import plain

GREEN, RED, AMBER, BLUE, GREY = "#2f9e63", "#d64545", "#c9820a", "#3b82c4", "#8a8f98"
SERIES = (BLUE, "#d9722b", GREEN, "#9a63c9", RED, "#2a9d9d", AMBER, "#c2588f", "#7a8f2f", GREY)
STATES = {
    "failed": ("✗", RED), "abandoned": ("✗", RED), "running": ("▶", BLUE), "done": ("✓", GREEN), "planned": ("·", GREY)
}  # fmt: skip
VERDICTS = {"ok": ("✓", GREEN, "checked"), "wrong": ("✗", RED, "wrong"), "not_checkable": ("·", GREY, "not checkable")}
BIG = ("bytes", "tokens/s")
"""Units whose axis says k, M, G."""
LEGEND_COLUMNS, LONG_NAME = 2, 30
"""Names in a legend stand two in a row, unless one has more letters."""
LABELS = alt.Axis(labelLimit=420, labelOverlap=False, ticks=False, domain=False)
"""An axis that names every row."""
Drawing: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart


def dark() -> bool:
    """Whether the browser shows the dark theme."""
    return bool(st.context.theme.type == "dark")


def escaped(text: object) -> str:
    """Text as HTML that shows exactly it."""
    return html.escape(plain(text), quote=True)


_ADDRESS = re.compile(r"https?(?=://)|www(?=\.)|@(?=[-\w]+\.[-\w])", re.IGNORECASE)
"""Where remark-gfm finds a web or mail address: it looks after the escapes are taken away, so they do not help."""


def md(text: object) -> str:
    """Text inside Markdown that shows exactly it, and no link: a name of a table or model, a reason.

    A word joiner, which nobody sees, parts addresses.
    """
    apart = _ADDRESS.sub("\\g<0>\u2060", plain(text).replace("\n", " "))
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|$~:&])", r"\\\1", apart)


def state(name: str) -> str:
    """A state as sign and word, so that colour is never the only sign."""
    return f"{STATES.get(name, ('·', GREY))[0]} {name}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def ago(time: dt.datetime) -> str:
    """How long ago a moment is."""
    minutes = max((dt.datetime.now(dt.UTC) - time).total_seconds(), 0.0) / 60
    if minutes < 100:
        return f"{minutes:.0f} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 48 * 60 else f"{minutes / 1440:.0f} d ago"


def number(value: float) -> str:
    """A figure to four digits, thousands set apart."""
    if value != value:  # NaN
        return "not a number"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}"


def title(text: str, about: str) -> None:
    """A page's head."""
    st.html("<style>.stMainBlockContainer{padding-top:2.6rem;padding-bottom:2rem}</style>")
    st.title(text)
    st.caption(about)


def choose(label: str, options: Sequence[str], key: str, *, first: int = 0) -> str:
    """One of a few options, as buttons in a row; never none of them."""
    chosen = st.segmented_control(label, options, default=options[first], key=key, label_visibility="collapsed")
    return str(chosen) if chosen is not None else options[first]


def text_block(text: str, height: int | None = None) -> None:
    """A text exactly as it is."""
    st.code(plain(text), language=None, wrap_lines=True, height=height if height is not None else "content")


def colours(names: Sequence[str]) -> alt.Scale:
    """One colour a name, in the order given."""
    return alt.Scale(domain=list(names), range=[SERIES[i % len(SERIES)] for i in range(len(names))])


def lines(
    frame: pl.DataFrame, x: str, y: str, series: str, names: Sequence[str], *, x_title: str, y_title: str,
    height: int = 260, log: bool = False, points: bool = False,
) -> Drawing:  # fmt: skip
    """A curve for each name; a point under the mouse tells its values, dragging and scrolling zoom."""
    base = alt.Chart(frame).encode(
        x=alt.X(f"{x}:Q", title=x_title, axis=alt.Axis(tickMinStep=1, format="~s")),
        y=alt.Y(f"{y}:Q", title=y_title, scale=alt.Scale(type="log" if log else "linear", zero=False),
                axis=alt.Axis(format="~s" if y_title in BIG else ",.4~r", tickCount=5)),
        color=alt.Color(f"{series}:N", scale=colours(names), legend=_legend(names)),
        tooltip=[alt.Tooltip(f"{series}:N", title="series"), alt.Tooltip(f"{x}:Q", title=x_title, format=","),
                 alt.Tooltip(f"{y}:Q", title=y_title, format=",.4~r")],
    )  # fmt: skip
    below = 0 if len(names) < 2 else 30 + 24 * -(-len(names) // _columns(names))  # the height is with the legend
    drawn = base.mark_line(strokeWidth=1.8, point=points).properties(height=height + below).interactive(bind_y=False)
    return cast("Drawing", drawn)


def _legend(names: Sequence[str]) -> alt.Legend | None:
    if len(names) < 2:
        return None
    return alt.Legend(title=None, orient="bottom", columns=_columns(names), labelLimit=420)


def _columns(names: Sequence[str]) -> int:
    return 1 if max(map(len, names)) > LONG_NAME else LEGEND_COLUMNS


def bars(frame: pl.DataFrame, label: str, value: str, *, value_title: str, colour: str = BLUE) -> Drawing:
    """Horizontal bars in the frame's order, each with its figure."""
    order = frame[label].to_list()
    figure = "," if frame.schema[value].is_integer() else ",.4~r"
    base = alt.Chart(frame).encode(
        y=alt.Y(f"{label}:N", sort=order, title=None, axis=LABELS),
        x=alt.X(f"{value}:Q", title=value_title, axis=alt.Axis(format=",.4~r", tickCount=4)),
        tooltip=[alt.Tooltip(f"{label}:N", title=label), alt.Tooltip(f"{value}:Q", title=value_title, format=",.4~r")],
    )
    bar = base.mark_bar(color=colour, cornerRadiusEnd=2)
    figures = base.mark_text(align="left", dx=4, color=GREY).encode(text=alt.Text(f"{value}:Q", format=figure))
    return cast("Drawing", alt.layer(bar, figures).properties(height=stacked(frame.height)))


def stacked(rows: int) -> int:
    """Height in pixels of a chart with so many rows, its axis included."""
    return 24 * rows + 60


def show(chart: Drawing, alt_text: str) -> None:
    """A chart over the whole width, described for those who do not see it."""
    st.altair_chart(chart, width="stretch", alt=alt_text)
