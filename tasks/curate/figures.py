"""Plots and tables of the curation."""

from __future__ import annotations

from typing import Any

import polars as pl
from matplotlib.figure import Figure


def bars(frame: pl.DataFrame, label: str, value: str, title: str) -> Any:
    """One horizontal bar a row."""
    figure = Figure(figsize=(8, 1.5 + 0.22 * frame.height), layout="constrained")
    axes = figure.subplots()
    axes.barh(frame[label].cast(pl.String).to_list()[::-1], frame[value].to_list()[::-1])
    axes.set(title=title, xlabel=value)
    return figure


def boxes(values: dict[str, list[int]], title: str, unit: str) -> Any:
    """One box a name: quartiles, whiskers at 1.5 of their distance."""
    figure = Figure(figsize=(8, 1.5 + 0.25 * max(len(values), 1)), layout="constrained")
    axes = figure.subplots()
    names = sorted(values, reverse=True)
    axes.boxplot([values[name] for name in names], orientation="horizontal", tick_labels=names, showfliers=False)
    axes.set(title=title, xlabel=unit)
    return figure


def share_table(frame: pl.DataFrame, by: list[str], value: str) -> pl.DataFrame:
    """Sum and share of `value` by the columns `by`."""
    sums = frame.group_by(by).agg(pl.col(value).sum()).sort(by)
    return sums.with_columns((pl.col(value) / pl.col(value).sum()).round(5).alias("share"))
