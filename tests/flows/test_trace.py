"""The commands trace, diff and cost through the real command line, on what a real flow made."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.runner import Runner
from flows.settings import Settings
from tests.flows.test_runner import APPLY, BESIDE, FIT, MAKE, NUMBERS, SQUARE, SQUARES, Count, Keep, chain, in_flow
from warehouse.ids import row_id
from warehouse.schema import TABLES

PRICES = {"cpu_hour": 3600, "kilowatt_hour": 3.6e6, "watts_a_core": 5}
SVG = "{http://www.w3.org/2000/svg}"


def rigor(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def modelled(run: Runner) -> None:
    """numbers → squares → a model, and one with a table beside it → squares by the model."""
    numbers = run.call(MAKE, Count(), {})
    squares = run.call(SQUARE, Keep(), {"numbers": (numbers,)})
    model = run.call(FIT, Keep(offset=2), {"squares": (squares,)})
    run.call(BESIDE, Keep(offset=7), {"squares": (squares,)})
    run.call(APPLY, Keep(), {"model": (model,)})


def shifted(run: Runner) -> None:
    """The same numbers, other squares: run once, and once more where all is there."""
    numbers = run.call(MAKE, Count(), {})
    run.call(SQUARE, Keep(offset=3), {"numbers": (numbers,)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Runner, str]]]:
    """One warehouse for all tests here: (runner, MLflow run id) of each flow run, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIGOR_WAREHOUSE", str(tmp_path_factory.mktemp("trace") / "warehouse"))
        patch.setenv("RIGOR_PRICES", json.dumps(PRICES))
        patch.setenv("RIGOR_OPEN_LINEAGE", str(tmp_path_factory.mktemp("events") / "events.jsonl"))
        for schema in (NUMBERS, SQUARES):
            patch.setitem(TABLES, schema.name, schema)
        bodies: dict[str, Callable[[Runner], None]] = {
            "modelled": modelled, "longer": chain(count=9, offset=1), "shifted": shifted, "again": shifted,
        }  # fmt: skip
        yield {name: in_flow(body) for name, body in bodies.items()}


ANSWER = row_id("squares", 1 + 4 + 16 + 25 + 2)
"""The one row that the model of `modelled` gives."""


def artifact(made: dict[str, tuple[Runner, str]], flow: str, call: int) -> str:
    return str(made[flow][0].calls[call].ref)


def test_a_trace_says_the_same_as_text_json_and_picture(made: dict[str, tuple[Runner, str]], tmp_path: Path) -> None:
    told = json.loads(rigor("trace", ANSWER, "--format", "json", "--sample", "2"))
    artifacts = [node["artifact"] for node in told["nodes"]]
    assert artifacts[:2] == [artifact(made, "modelled", 4), artifact(made, "modelled", 2)]
    assert {node["kind"] for node in told["nodes"]} == {"row", "model", "table"}
    assert len([node for node in told["nodes"] if node["kind"] == "row" and node["depth"] == 2]) == 2, "drawn rows"
    text = rigor("trace", ANSWER, "--sample", "2")
    assert all(name in text for name in artifacts)
    assert len([line for line in text.splitlines() if " by " in line]) == len(told["nodes"])
    rigor("trace", ANSWER, "--sample", "2", "--format", "svg", "--to", str(tmp_path / "a.svg"))
    root = ET.parse(tmp_path / "a.svg").getroot()
    boxes = list(root.iter(f"{SVG}g"))
    assert len(boxes) == len(told["nodes"])
    assert len(list(root.iter(f"{SVG}path"))) == len(told["edges"])
    places = {box.find(f"{SVG}text").text: float(box.find(f"{SVG}rect").attrib["x"]) for box in boxes}  # type: ignore[union-attr]
    of = {node["key"]: node["artifact"] for node in told["nodes"]}
    assert all(places[of[e["source"]]] < places[of[e["made"]]] for e in told["edges"]), (
        "what was made first stands left"
    )


def test_down_and_both_and_what_is_not_there(made: dict[str, tuple[Runner, str]]) -> None:
    down = rigor("trace", row_id("numbers", 4), "--direction", "down")
    assert row_id("squares", 16 + 1) in down, "the newest numbers made the squares plus one"
    assert row_id("squares", 16 + 3) in rigor("trace", f"numbers@1:{row_id('numbers', 4)}", "--direction", "down")
    both = rigor("trace", "sum-model", "--direction", "both")
    answered = artifact(made, "modelled", 4)
    assert both.index(artifact(made, "modelled", 0)) < both.index("went into") < both.index(answered)
    for wrong in ("ffffffffff", "squares@99"):
        with pytest.raises(LookupError, match="no row"):
            rigor("trace", wrong)
    wrong_way = CliRunner().invoke(app, ["trace", "squares", "--direction", "sideways"])
    assert (wrong_way.exit_code, "is not one of 'up'" in wrong_way.output) == (2, True)


def test_missing_indexes_are_said_and_can_be_written(made: dict[str, tuple[Runner, str]]) -> None:
    before = rigor("trace", ANSWER, "--sample", "1")
    files = list((Path(Settings().warehouse_uri()) / "row_index").glob("*.parquet"))
    for file in files:
        file.unlink()
    scanned = rigor("trace", ANSWER, "--sample", "1")
    assert scanned.startswith(before.rstrip("\n"))
    assert "scanned" in scanned
    assert f"row indexes written: {len(files)}" in rigor("trace", "--write-index")
    assert rigor("trace", ANSWER, "--sample", "1") == before


def test_a_diff_of_artifacts_tells_config_rows_metrics_and_where_they_part(made: dict[str, tuple[Runner, str]]) -> None:
    pair = [artifact(made, flow, 1) for flow in ("modelled", "longer")]
    told = json.loads(rigor("diff", *pair, "--format", "json"))
    assert told["config"] == {"offset": [0, 1]}
    numbers = [artifact(made, flow, 0) for flow in ("modelled", "longer")]
    assert [[i["name"], i["left"].split()[0], i["right"].split()[0]] for i in told["inputs"]] == [["numbers", *numbers]]
    assert [(o["stage"], o["why"]) for o in told["origins"]] == [
        ("make_numbers", ["config count"]), ("square", ["config offset"]),
    ]  # fmt: skip
    old, new = {n * n for n in (1, 2, 4, 5)}, {n * n + 1 for n in (1, 2, 4, 5, 7, 8)}
    assert (told["rows"]["added"], told["rows"]["removed"]) == (len(new - old), len(old - new))
    assert told["metrics"]["rows_out"] == [4.0, 6.0]
    assert told["code"]["git_sha"][0] == told["code"]["git_sha"][1]
    by_print = [made[flow][0].calls[1].fingerprint for flow in ("modelled", "longer")]
    assert json.loads(rigor("diff", *by_print, "--format", "json")) == told
    text = rigor("diff", *pair)
    assert "offset: 0 → 1" in text
    assert f"make_numbers: {numbers[0]} and {numbers[1]}: config count" in text
    assert "the same content" in rigor("diff", pair[0], pair[0])


def test_a_diff_of_runs_goes_stage_by_stage_to_where_they_part(made: dict[str, tuple[Runner, str]]) -> None:
    runs = {name: run_id for name, (_, run_id) in made.items()}
    told = json.loads(rigor("diff", runs["modelled"], runs["shifted"], "--format", "json"))
    assert [(s["stage"], s["left"] == s["right"], s["right"] is None) for s in told["stages"]] == [
        ("make_numbers", True, False), ("square", False, False), ("fit", False, True),
        ("fit_and_square", False, True), ("apply_model", False, True),
    ]  # fmt: skip
    assert told["parted_at"] == "square"
    assert told["first"]["config"] == {"offset": [0, 3]}
    assert "they part at square" in rigor("diff", runs["modelled"], runs["shifted"])
    prefect = [mlflow.MlflowClient().get_run(runs[name]).data.tags["prefect_flow_run"] for name in ("shifted", "again")]
    same = json.loads(rigor("diff", *prefect, "--format", "json"))
    assert same["parted_at"] is None, "the second was reused whole, and is listed whole"
    assert len(same["stages"]) == 2
    with pytest.raises(ValueError, match="not of one kind"):
        rigor("diff", runs["modelled"], "squares@1")
    with pytest.raises(ValueError, match=r"sum-model@\d+ is a model and squares@1 is a table: compare two of one kind"):
        rigor("diff", "sum-model", "squares@1")
    with pytest.raises(LookupError, match="no artifact"):
        rigor("diff", "0" * 32, "squares@1")


def test_costs_are_recorded_by_the_runner_and_added_up(made: dict[str, tuple[Runner, str]]) -> None:
    runner, _ = made["modelled"]
    told = json.loads(rigor("cost", "sum-model", "--format", "json"))
    cpu = sum(runner.lineage.call_of(call.ref)["cpu_seconds"] for call in runner.calls[:3] if call.ref)
    assert list(told["stages"]) == ["make_numbers", "square", "fit"]
    assert told["total"]["cpu_seconds"] == pytest.approx(cpu)
    assert sum(told["methods"].values()) == 3
    assert not any(method.startswith("not recorded") for method in told["methods"])
    joules = told["total"]["energy_joules"]
    if told["methods"] == {"estimated: CPU seconds at 5 W": 3}:  # a machine without counters, as most are
        assert joules == pytest.approx(cpu * 5)
    assert told["total"]["money"] == pytest.approx(cpu + joules)
    assert "total" in rigor("cost", "sum-model")
    with pytest.raises(LookupError, match="no pass@1"):
        rigor("cost", "sum-model", "--suite", "held_out")
    with pytest.raises(LookupError, match="no artifact"):
        rigor("cost", "nobody")


def test_every_computed_call_leaves_an_event(made: dict[str, tuple[Runner, str]]) -> None:
    events = [json.loads(line) for line in Path(Settings().open_lineage).read_text().splitlines()]
    computed = [call.stage for runner, _ in made.values() for call in runner.calls if call.state == "done"]
    assert [event["job"]["name"].split("@")[0] for event in events] == computed
    beside = events[computed.index("fit_and_square")]
    assert [output["name"] for output in beside["outputs"]] == ["squares", "square-model"]
