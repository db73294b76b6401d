"""Every page through Streamlit's AppTest on a real small warehouse: what it shows is what the tables hold."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import look, read, runs
from dashboards.views import cost, data, evaluation, pipeline, training
from flows.tracking import process_tag
from tests.dashboards.made import HOSTILE, SECONDS, STEPS, Made, make
from warehouse.ids import row_id
from warehouse.lineage import Lineage

PAGES = ("pipeline", "data", "training", "evaluation", "lineage", "cost", "ask")


def shown(page: str, **query: str) -> AppTest:
    app = AppTest.from_string(f"from dashboards.views import {page}\n{page}.page()", default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return clean(app.run())


def clean(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def view(page: str, name: str) -> AppTest:
    app = shown(page)
    key = next(b.key for b in app.button_group if name in b.options)
    return clean(app.button_group(key=key).set_value(name).run())


def words(app: AppTest) -> str:
    parts = [e.value for kind in ("markdown", "caption", "info", "success", "error", "code") for e in app.get(kind)]
    return "\n".join([*map(str, parts), *(str(e.proto.body) for e in app.get("html"))])


def unescaped(text: str) -> str:
    return text.replace("\\", "")


@pytest.mark.parametrize("page", PAGES)
def test_empty_home_says_what_to_run(nothing: None, page: str) -> None:
    app = shown(page)
    assert len(app.info) == 1
    assert "rigor" in app.info[0].value


def test_pipeline_shows_failures_first(looking: Made) -> None:
    app = shown("pipeline")
    assert app.metric[0].value == "1"
    assert app.metric[0].label == "Failed, not healed"
    assert "1 failed" in app.error[0].value
    failed, stages = app.dataframe[0].value, app.dataframe[1].value
    assert list(failed["stage"]) == ["deduplicate", "pretrain"]
    assert list(failed["state"]) == ["✗ failed", "✗ failed, healed"]
    assert [s.split()[1].strip(",") for s in stages["state"][:3]] == ["failed", "failed", "done"]
    by_stage = {(r["stage"], r["partitions"]): r for r in stages.to_dict("records")}
    read_warc = by_stage["read_warc", "2026-01"]
    assert (read_warc["rows in"], read_warc["rows out"], read_warc["rejected"]) == (11, 4, 7)


def test_a_run_that_ends_and_a_later_one_are_seen_though_old_runs_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Made(tmp_path)
    monkeypatch.setenv("DASHBOARDS_MLFLOW", world.store)
    old = world.run("mine", "read_warc", "2026-01", "a")
    world.clock += dt.timedelta(hours=1)
    running = world.run("mine", "extract_text", "2026-01", "b", "RUNNING")
    world.clock += dt.timedelta(hours=1)
    world.run("mine", "deduplicate", "2026-01", "c")
    assert [a.status for a in runs.attempts()] == ["FINISHED", "RUNNING", "FINISHED"]
    world.client.set_terminated(running, "FAILED")
    world.client.set_tag(old, "stage", "unseen")
    world.run("mine", "decontaminate", "2026-01", "d")
    runs._attempts.clear()
    assert [(a.stage, a.status) for a in runs.attempts()] == [
        ("decontaminate", "FINISHED"), ("deduplicate", "FINISHED"), ("extract_text", "FAILED"),
        ("read_warc", "FINISHED"),
    ]  # fmt: skip


def test_a_call_that_succeeds_in_another_flow_heals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = Made(tmp_path)
    monkeypatch.setenv("DASHBOARDS_MLFLOW", world.store)
    for flow, print_, status in (("pretrain", "a", "FAILED"), ("zero", "b", "FAILED"), ("r1", "a", "FINISHED")):
        world.run(flow, "pretrain", "all", print_, status)
    found = pipeline.find_failures(runs.attempts())
    assert [(f.flow, f.healed) for f in found] == [("zero", False), ("pretrain", True)]


def test_a_run_whose_process_is_gone_is_abandoned_and_one_elsewhere_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Made(tmp_path)
    monkeypatch.setenv("DASHBOARDS_MLFLOW", world.store)
    with subprocess.Popen(["true"]) as ended:
        pass
    here = process_tag()
    gone, anew = f"{here.partition(' ')[0]} {ended.pid}:1", f"{here.rpartition(':')[0]}:1"
    tags = {"lives": here, "gone": gone, "anew": anew, "elsewhere": f"another-{gone}", "older": ""}
    for stage, tag in tags.items():
        run = world.run("mine", stage, "all", stage, "RUNNING")
        world.client.set_tag(run, "process", tag)
    found = pipeline.find_failures(runs.attempts())
    assert sorted((f.what, f.state, f.healed) for f in found) == [
        ("anew", "abandoned", False), ("gone", "abandoned", False),
    ]  # fmt: skip


def test_a_score_costs_what_the_model_that_was_asked_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(tmp_path)
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", world.warehouse)
    world._record("zero", "reinforce_zero", "rigor-zero", "model", 2, "all", "other", [], 0, 0, {})  # not evaluated
    heads = read.heads()
    answered = cost._answered(world.warehouse, (heads["lineage"], -1), heads["evals"])
    assert answered == {"rigor-base": "rigor-base@1", "rigor-zero": "rigor-zero@1"}


def test_graph_has_the_lineage_edges(looking: Made) -> None:
    calls, attempts = read.calls(), runs.attempts()
    flows = {a.run: a.flow for a in attempts}
    boxes, edges = pipeline.stage_graph(calls, flows, attempts, pipeline.find_failures(attempts))
    stage = {key: key.partition(" → ")[0] for pair in edges for key in pair}
    assert {(stage[a], stage[b]) for a, b in edges} == {
        ("read_warc", "extract_text"), ("extract_text", "decontaminate"), ("decontaminate", "recall_domains"),
        ("decontaminate", "pack_tokens"), ("pack_tokens", "pretrain"), ("pretrain", "reinforce_zero"),
        ("make_problems", "reinforce_zero"), ("pretrain", "reinforce_zero rollouts"),
        ("make_problems", "reinforce_zero rollouts"), ("pretrain", "sample_answers"),
        ("make_problems", "sample_answers"), ("reinforce_zero", "sample_answers"), ("sample_answers", "score_answers"),
    }  # fmt: skip
    by_head = {box.head: box for box in boxes}
    assert by_head["deduplicate"].state == "failed", "it has committed nothing, and is shown all the same"
    assert by_head["pretrain"].state == "done"
    assert by_head["read_warc"].lines == ("crawl_records@2 (2 partitions)", "20.0 s; 22 in, 8 out, 14 rejected")


def test_a_partition_that_is_written_anew_is_the_newest_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Made(tmp_path)
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", world.warehouse)
    for month in ("2026-01", "2026-02", "2026-01"):
        world.call("mine", "extract_text", "pages", [{"text": "t"}], partition=month)
    (box,), _ = pipeline.stage_graph(read.calls(), {}, [], [])
    assert box.lines[0] == f"pages@{read.heads()['pages']} (2 partitions)" == "pages@3 (2 partitions)"


def test_a_table_beside_a_model_is_of_the_same_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = Made(tmp_path)
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", world.warehouse)
    monkeypatch.setenv("DASHBOARDS_MLFLOW", world.store)
    table = world.calls[world.call("zero", "reinforce", "rollouts", [{}, {}], rejected=[("too long", 3)])]
    for first_or_last in ("0" * 32, "f" * 32):
        world.lineage.record({**table, "name": "rigor-zero", "kind": "model", "rows": 0, "fingerprint": first_or_last})
    app = shown("pipeline")
    told = {m.label: m.value for m in app.metric}
    assert (told["Stage calls committed"], told["Rows rejected"]) == ("1", "3")
    (row,) = next(d.value for d in app.dataframe if "rows out" in d.value).to_dict("records")
    assert (row["rows in"], row["rows out"], row["rejected"]) == (5, 2, 3)


def test_rows_under_a_condition(looking: Made) -> None:
    app = shown("data")
    app.selectbox(key="data-table").set_value("math_corpus").run()
    app.text_input(key="where-math_corpus").set_value("language = 'de' AND formulas > 1")
    clean(app.button[0].click().run())
    files = Path(looking.warehouse, "math_corpus").glob("partition=*/*.parquet")
    wanted = pl.concat([pl.read_parquet(f, hive_partitioning=False) for f in sorted(files)])
    wanted = wanted.filter(pl.col("language") == "de", pl.col("formulas") > 1)
    assert sorted(app.dataframe[0].value["id"]) == sorted(wanted["id"])
    assert f"{wanted.height} rows meet the condition." in words(app)


def test_a_bad_condition_is_told(looking: Made) -> None:
    app = shown("data")
    app.text_input(key="where-math_corpus").set_value("nonsense >")
    clean(app.button[0].click().run())
    assert "cannot be read" in app.error[0].value


def test_only_the_files_in_need_are_read(looking: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second month's data are destroyed, their footers are not: what does not need them never notices."""
    tables = Made(tmp_path)
    for month in ("2026-01", "2026-02"):
        tables.call("mine", "extract_text", "pages", [{"id": row_id(month, i), "text": "t"} for i in range(40)],
                    partition=month)  # fmt: skip
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", tables.warehouse)
    for file in Path(tables.warehouse, "pages", "partition=2026-02").glob("*.parquet"):
        stored = file.read_bytes()
        footer = int.from_bytes(stored[-8:-4], "little") + 8
        file.write_bytes(stored[:4] + bytes(len(stored) - 4 - footer) + stored[-footer:])
    found = read.sample(tables.warehouse, "pages", read.heads()["pages"], "", 5, 25)
    assert found["id"].to_list() == [row_id("2026-01", i) for i in range(5, 30)]
    with pytest.raises(pl.exceptions.PolarsError):
        read.sample(tables.warehouse, "pages", read.heads()["pages"], "", 30, 25)


@pytest.mark.parametrize(("column", "kind"), [("language", "values"), ("formulas", "spread"), ("text", "spread")])
def test_distributions_count_every_row(looking: Made, column: str, kind: str) -> None:
    head = read.heads()["pages"]
    rows = read.count(looking.warehouse, "pages", head, "")
    found = getattr(read, kind)(looking.warehouse, "pages", head, column, rows)
    assert found["rows"].sum() == rows == 8
    if kind == "values":
        assert dict(found.iter_rows()) == {"de": 6, "en": 2}
    if column == "formulas":
        assert {low: n for low, _, n in found.iter_rows()} == {0.0: 2, 1.0: 2, 2.0: 2, 3.0: 2}


@pytest.mark.parametrize("name", ["Distributions", "Versions", "Rejected rows", "Domains"])
def test_data_views(looking: Made, name: str) -> None:
    app = view("data", name)
    if name == "Rejected rows":
        assert "19 rows rejected" in words(app)
    if name == "Versions":
        assert list(app.dataframe[0].value["version"]) == ["@2", "@1", "@0"]
    if name == "Domains":
        assert app.dataframe[0].value["domain"].iloc[0] == "site3.org", "most collected in the last round first"


def test_a_shorter_mine_ends_the_rounds_of_the_longer_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Made(tmp_path)
    monkeypatch.setenv("DASHBOARDS_WAREHOUSE", world.warehouse)
    for number, pages in ((1, 10), (2, 10), (3, 10), (1, 20), (2, 20)):
        world.call("mine", "recall_domains", "domains", [{"round": number, "domain": "a.org", "pages": pages}])
    found = data._rounds(world.warehouse, read.heads()["domains"])
    assert found.select("round", "pages").rows() == [(1, 20), (2, 20)]


def test_curves_are_what_was_logged(looking: Made) -> None:
    run = next(a for a in runs.attempts() if a.stage == "pretrain" and a.status == "FINISHED")
    curve = runs.curve(looking.store, run.run, "next_token")
    assert curve["step"].to_list() == list(range(30))
    assert curve["value"].to_list() == pytest.approx([7 / (1 + i) for i in range(30)])
    assert not any(name.startswith("load.") for name in run.metrics)
    app = shown("training")
    app.multiselect(key="curve-runs").set_value(app.multiselect(key="curve-runs").options).run()
    assert "next\\_token" in words(clean(app))
    assert [box.label for box in app.expander] == ["1 warning"]
    assert look.md(f"nobody is right. {HOSTILE}") in words(app)


@pytest.mark.parametrize("name", ["Router load", "Rewards and length"])
def test_training_views(looking: Made, name: str) -> None:
    assert (
        len(view("training", name).get("vega_lite_chart")) + len(view("training", name).get("arrow_vega_lite_chart"))
        >= 3
    )


def test_runs_that_began_in_one_minute_are_all_offered(nothing: None) -> None:
    begun = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)
    tries = [
        runs.Attempt(f"{n:032x}", "", "distill", "distill all", "distill", "", "RUNNING", begun, 1.0, "", {"loss": 1.0})
        for n in range(3)
    ]
    names = training._names(tries)
    assert list(names.values()) == tries
    assert next(iter(names)) == "distill, running (11-01 08:00)"


def test_the_even_share_is_that_of_all_experts_though_some_are_not_shown(
    looking: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MOST_EXPERTS", 2)
    drawn = view("training", "Router load").get("vega_lite_chart")[-1].proto
    shown = pl.read_ipc_stream(drawn.datasets[0].data.data)
    assert set(shown["expert"]) == {"expert 0", "expert 1"}
    found = shown.group_by("expert").agg(pl.col("value").mean()).sort("expert")["value"]
    assert found.to_list() == pytest.approx([4 * (0.25 - 0.015), 4 * (0.25 - 0.005)])


def test_rollouts_of_one_prompt_side_by_side(looking: Made) -> None:
    app = view("training", "Rollouts")
    told = words(app)
    assert all(f"Step {step}" in told for step in range(3))
    assert all(f"step {step} sample 2" in told for step in range(3)), "the best response of each step"
    app.radio(key="rollout-which").set_value("worst").run()
    assert "step 1 sample 0" in words(clean(app))


def test_scores_with_intervals(looking: Made) -> None:
    frame = shown("evaluation").dataframe[0].value
    assert list(frame["model"]) == ["rigor-base", "rigor-zero"]
    assert list(frame["held_out"]) == ["0.167 [0.083, 0.250]", "▲ 0.333 [0.167, 0.500]"]


def test_the_best_has_the_fewest_wrong_steps_and_no_length_is_best() -> None:
    shown = pl.DataFrame({"model": ["a", "b", "c"], "name": ["s"] * 3, "value": [0.1, 0.3, 0.2]})
    assert evaluation.best_of(shown, "pass@1") == {("b", "s")}
    for metric in ("wrong_step", "truncated"):
        assert evaluation.best_of(shown, metric) == {("a", "s")}
    assert evaluation.best_of(shown, "tokens") == set()
    assert evaluation.best_of(shown.with_columns(value=0.5), "pass@1") == set(), "equal ones"
    assert evaluation.asked(pl.DataFrame({"questions": [1500, 100, 500]})) == "100 to 1,500"
    assert evaluation.asked(pl.DataFrame({"questions": [1500, 1500]})) == "1,500"


@pytest.mark.parametrize("name", ["pass@k", "By family", "Samples", "Side by side"])
def test_evaluation_views(looking: Made, name: str) -> None:
    app = view("evaluation", name)
    if name == "Samples":
        app.selectbox(key="sample-verdict").set_value("wrong").run()
        told = words(clean(app))
        assert STEPS[1] in told
        assert "should be 9" in told
        assert set(app.dataframe[0].value["wrong step"]) == {"step 2"}
    if name == "Side by side":
        assert "right: 1 of 2" in app.selectbox(key="beside-question-held_out").options[0], "where models differ, first"


def test_from_a_score_to_the_warc_file(looking: Made) -> None:
    """By the page's own buttons: score → answer → model → base → its tokens → corpus page → page → record."""
    app = shown("lineage")
    clean(app.button(key="go-score").click().run())
    for wanted in ("·  sampled", "rigor-zero@1", "rigor-base@1", None, "Page ", "Page ", "2026-"):
        ups = [b for b in app.button if str(b.key).startswith("up-")]
        assert ups, words(app)
        chosen = ups[0]
        if wanted is not None:
            chosen = next((b for b in ups if wanted in unescaped(b.label)), ups[0])
        else:  # rows that the base learned from
            tokens = {r["id"] for r in looking.tables.view("tokens").scan().select("id").collect().to_dicts()}
            chosen = next(b for b in ups if str(b.key).rpartition("/")[2] in tokens)
        clean(chosen.click().run())
    assert "This is where it comes from" in app.success[-1].value
    assert "01.warc.gz" in unescaped(app.success[-1].value)
    assert "byte 1,000" in app.success[-1].value


def test_an_artifacts_rows_are_those_of_its_own_partition(looking: Made) -> None:
    for month in ("2026-01", "2026-02"):
        app = shown("lineage", at=row_id("decontaminate", month))
        rows = {str(b.key).removeprefix("own-") for b in app.button if str(b.key).startswith("own-")}
        assert rows == {row_id("decontaminate", month, i) for i in range(4)}


def test_a_wrong_id_is_told(looking: Made) -> None:
    assert "no row, artifact or model" in shown("lineage", at="ffffffffff").error[0].value


def test_cost_counts_each_call_once(looking: Made) -> None:
    """rigor-zero comes from both months' mine, tokens, base, problems and itself: nine calls, whatever the ways."""
    app = shown("cost")
    assert app.selectbox(key="cost-target").value == "rigor-zero@1"
    told = {m.label: m.value for m in app.metric}
    assert told["Stage calls"] == "10"
    assert told["CPU time"] == look.duration(10 * SECONDS / 2)
    assert float(told["Money (EUR)"]) == pytest.approx(10 * SECONDS / 2 / 3600 * 0.04, rel=1e-3)
    app.number_input(key="price-cpu_hour").set_value(3600.0).run()
    assert {m.label: m.value for m in clean(app).metric}["Money (EUR)"] == "50"


def test_strangers_texts_stay_texts(looking: Made) -> None:
    """In Markdown every sign that means something is escaped, in HTML too; the rest is code or a table's cell."""
    pages = [
        view("evaluation", "Samples"),
        view("training", "Rollouts"),
        shown("lineage"),
        shown("pipeline"),
    ]
    for app in pages:
        for kind in ("markdown", "caption", "error", "info", "success"):
            assert not any("](http" in str(e.value) or "<img" in str(e.value) for e in app.get(kind))
        assert not any("<img" in str(e.proto.body) or "<script" in str(e.proto.body) for e in app.get("html"))
        assert not any("](http" in b.label for b in app.button)
    assert look.escaped(HOSTILE).count("<") == 0


@pytest.mark.parametrize(
    "text", ["http://203.0.113.7/a.png", "see HTTPS://evil.example", "www.evil.example/x", "a@b.example", HOSTILE]
)
def test_an_address_in_a_strangers_text_becomes_no_link(text: str) -> None:
    """mdast-util-gfm-autolink-literal's two patterns, which it looks for in what is left when escapes are resolved."""
    shown = unescaped(look.md(text))
    assert not re.search(r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)", shown, re.IGNORECASE)
    assert not re.search(r"([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)", shown)
    assert shown.replace("\u2060", "") == text
    assert look.md("rigor-base@1") == r"rigor\-base@1"


def test_lineage_is_left_as_it_was(looking: Made) -> None:
    before = looking.tables.history("lineage")[0]["version"]
    for page in PAGES[:-1]:
        shown(page)
    assert Lineage(looking.tables).tables.history("lineage")[0]["version"] == before
