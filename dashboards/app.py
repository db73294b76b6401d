"""The app: `rigor ui` runs this file with Streamlit (see `dashboards.__main__`)."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards.source import Source
from dashboards.views import ask, cost, data, evaluation, lineage, pipeline, training

ICON = Path(__file__).parent / "static" / "rigor.svg"


def main() -> None:
    """Navigation and the chosen page."""
    st.set_page_config(page_title="Rigor", page_icon=str(ICON), layout="wide")
    pages = [
        st.Page(pipeline.page, title="Pipeline", icon=":material/account_tree:", default=True),
        st.Page(data.page, title="Data", url_path="data", icon=":material/table_rows:"),
        st.Page(training.page, title="Training", url_path="training", icon=":material/show_chart:"),
        st.Page(evaluation.page, title="Evaluation", url_path="evaluation", icon=":material/fact_check:"),
        st.Page(lineage.page, title="Lineage", url_path="lineage", icon=":material/route:"),
        st.Page(cost.page, title="Cost", url_path="cost", icon=":material/payments:"),
        st.Page(ask.page, title="Ask", url_path="ask", icon=":material/forum:"),
    ]
    chosen = st.navigation(pages)
    with st.sidebar:
        st.caption("Warehouse")
        st.code(Source().warehouse, language=None, wrap_lines=True)
    chosen.run()


main()
