"""Walks of lineage against the slow way: every row of every table looked at."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from tests.warehouse.lineage_kit import Kit, random_kit, schema
from warehouse import row_index
from warehouse.ids import row_id
from warehouse.lineage import COMPACT_EVERY
from warehouse.schema import LINEAGE, QUARANTINE
from warehouse.walk import Limits, Trace, Walk

ALL = Limits(rows=10_000)


def reached(found: Trace) -> set[tuple[str, str]]:
    return {(node.fingerprint, node.facts["id"]) for node in found.rows()}


def index_files(kit: Kit) -> list[Path]:
    return sorted((kit.folder / row_index.FOLDER).glob("*.parquet"))


@pytest.mark.parametrize("indexed", [True, False])
def test_walks_find_what_looking_at_every_row_finds(tmp_path: Path, indexed: bool) -> None:
    kit = random_kit(tmp_path, seed=3)
    if not indexed:
        for file in index_files(kit):
            file.unlink()
    walk, draw = Walk(kit.lineage, ALL), random.Random(1)
    grown = 0
    for _ in range(10 if indexed else 4):
        print_ = draw.choice(list(kit.rows))
        row = draw.choice(kit.rows[print_])["id"]
        up, down = walk.trace(row, "up"), walk.trace(row, "down")
        assert reached(up) == kit.slow_up(print_, row)
        assert reached(down) == kit.slow_down(print_, row)
        assert reached(walk.trace(row, "both")) == reached(up) | reached(down)
        assert bool(up.notes) == (not indexed)
        grown = max(grown, len(up.nodes), len(down.nodes))
    assert grown > (8 if indexed else 3), "the comparison means something"


def test_edges_are_the_parents_column(tmp_path: Path) -> None:
    kit = random_kit(tmp_path, seed=5)
    last = kit.calls[-1]
    for row in kit.rows[last["fingerprint"]][:5]:
        found = Walk(kit.lineage, ALL).trace(row["id"])
        edges = {(found.nodes[e.source].facts["id"], found.nodes[e.made].facts["id"]) for e in found.edges}
        assert edges == {(p, node.facts["id"]) for node in found.rows() for p in node.facts["parents"]}


def test_an_index_of_many_sorted_runs_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_index, "RUN_ENTRIES", 700)
    monkeypatch.setattr(row_index, "GROUP_ENTRIES", 64)
    kit = Kit(tmp_path)
    above = kit.table("above", [[] for _ in range(3_000)])
    ids = kit.ids(above)
    made = kit.table("below", [[ids[n % 1_000], ids[-1 - n]] for n in range(3_000)], [above])
    index = row_index.RowIndex(kit.tables, made)
    for number in (0, 1, 999, 2_999):
        keys = row_index.keys_of([ids[number]])[0]
        wanted = [n for n, row in enumerate(kit.rows[made.fingerprint]) if ids[number] in row["parents"]]
        assert index.made_from(keys).tolist() == wanted
        own = row_index.keys_of([kit.ids(made)[number]])[0]
        assert index.holding(own).tolist() == [number]
        assert number in index.beginning(kit.ids(made)[number][:5]).tolist()
    many = row_index.keys_of(kit.ids(made)[::7])[0]
    assert index.holding(many).tolist() == list(range(0, 3_000, 7))


@pytest.mark.parametrize("harm", ["absent", "cut short", "one byte", "of other content", "no content hashes"])
def test_an_index_that_cannot_be_used_is_not_used_and_the_answer_says_so(tmp_path: Path, harm: str) -> None:
    kit = Kit(tmp_path)
    above = kit.table("above", [[] for _ in range(50)])
    made = kit.table("below", [[i] for i in kit.ids(above)], [above])
    file = tmp_path / row_index.FOLDER / f"{above.fingerprint}.parquet"
    data = file.read_bytes()
    if harm == "absent":
        file.unlink()
    elif harm == "cut short":
        file.write_bytes(data[: len(data) // 2])
    elif harm == "one byte":
        file.write_bytes(data[:40] + bytes([data[40] ^ 0xFF]) + data[41:])
    elif harm == "of other content":
        row_index.write(kit.tables, above.model_copy(update={"digest": "0" * 64}))
    else:
        read = row_index.keys_of
        with pytest.MonkeyPatch.context() as patch:  # as if no id were a content hash
            patch.setattr(row_index, "keys_of", lambda ids: (read(ids)[0][:0], read(ids)[1] & False))
            row_index.write(kit.tables, above)
    child, parent = kit.ids(made)[7], kit.ids(above)[7]
    found = Walk(kit.lineage).trace(child)
    assert reached(found) == {(made.fingerprint, child), (above.fingerprint, parent)}
    assert any("above@1" in note and "scanned" in note for note in found.notes)
    assert Walk(kit.lineage).trace(child).notes == found.notes, "said each time"


def test_a_beginning_of_an_id_is_enough_where_one_row_has_it(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    kit.table("above", [[] for _ in range(400)])
    ids = sorted(kit.ids(kit.table("below", [[] for _ in range(400)])))
    assert Walk(kit.lineage).trace(ids[5][:20]).rows()[0].facts["id"] == ids[5]
    with pytest.raises(LookupError, match="no row"):
        Walk(kit.lineage).trace(ids[5][:5])
    with pytest.raises(LookupError, match="no row"):
        Walk(kit.lineage).trace("zzzzzzzz")


def test_parents_are_looked_for_only_in_the_partitions_that_were_read(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    first = kit.table("above", [[], []], partition="2026-01")
    second = kit.table("above", [[], []], partition="2026-02")  # the same ids, as when a page comes twice
    made = kit.table("below", [[kit.ids(second)[0]]], [second], partition="2026-02")
    found = Walk(kit.lineage).trace(kit.ids(made)[0])
    assert reached(found) == {(made.fingerprint, kit.ids(made)[0]), (second.fingerprint, kit.ids(second)[0])}
    down = Walk(kit.lineage).trace(kit.ids(first)[1], "down")
    assert {node.artifact for node in down.rows()} == {"above@2[2026-02]"}, "the newest artifact with this id"


def trained(kit: Kit) -> tuple[str, str]:
    """problems → sft → base; the base and problems → policy with rollouts beside; samples of the policy."""
    problems = kit.table("problems", [[] for _ in range(20)])
    ids = kit.ids(problems)
    sft = kit.table("sft", [[i] for i in ids], [problems])
    base = kit.model("rigor-base", [sft])
    facts = {"mlflow_run": "rl", "started": kit.calls[-1]["started"]}
    rollouts = kit.table("rollouts", [[ids[n % 4]] for n in range(12)], [base, problems], "policy", **facts)
    policy = kit.model("policy", [base, problems], **facts)
    samples = kit.table("samples", [[] for _ in range(5)], [policy])
    return kit.ids(samples)[2], kit.ids(rollouts)[0]


def test_a_sample_leads_through_models_to_what_they_learned_from(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    sample, _ = trained(kit)
    found = Walk(kit.lineage).trace(sample)
    assert [(n.kind, n.artifact.split("@")[0], n.depth) for n in found.nodes.values()] == [
        ("row", "samples", 0), ("model", "policy", 1), ("model", "rigor-base", 2), ("table", "problems", 2),
        ("table", "rollouts", 2), ("table", "sft", 3),
    ]  # fmt: skip
    assert Walk(kit.lineage, Limits(models=False)).trace(sample).nodes.keys() == {next(iter(found.nodes))}
    assert len(Walk(kit.lineage, Limits(depth=1)).trace(sample).nodes) == 2
    drawn = Walk(kit.lineage, Limits(sample=2)).trace(sample)
    by_table = pl.Series([n.artifact.split("@")[0] for n in drawn.rows()]).value_counts()
    assert dict(by_table.iter_rows())["rollouts"] == 2
    for node in drawn.rows():
        if node.artifact.startswith(("rollouts", "sft")):
            above = {drawn.nodes[e.source].facts["id"] for e in drawn.edges if e.made == node.key and e.how == "row"}
            assert above == set(node.facts["parents"]), "drawn rows are followed on"


def test_down_from_a_row_come_its_rollouts_the_models_and_their_samples(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    _, rollout = trained(kit)
    problem = kit.rows[next(c["fingerprint"] for c in kit.calls if c["name"] == "rollouts")][0]["parents"][0]
    found = Walk(kit.lineage).trace(problem, "down")
    names = pl.Series([n.artifact.split("@")[0] for n in found.nodes.values()]).value_counts()
    assert dict(names.iter_rows()) == {
        "problems": 1,
        "sft": 1,
        "rollouts": 4,  # three rows, and the table, which the base was read for
        "rigor-base": 1,
        "policy": 1,
        "samples": 1,
    }
    assert any(e.source.endswith(rollout) and e.how == "beside" for e in found.edges)
    few = Walk(kit.lineage, Limits(rows=2)).trace(problem, "down")
    assert sum(n.artifact.startswith("rollouts") for n in few.rows()) == 2
    assert any("1 more" in note and "rollouts" in note for note in few.notes)


def test_a_row_that_was_rejected_ends_with_the_reason(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    root = kit.table("root", [[]])
    above = kit.table("above", [kit.ids(root), kit.ids(root)], [root])
    kept, lost = kit.ids(above)
    source = kit.ids(root)[0]
    made = kit.table("below", [[kept]], [above], rejected=1)
    row = {"id": "q", "parents": [], "partition": made.fingerprint, "fingerprint": made.fingerprint, "stage": "below",
           "row": lost, "reason": "too short", "detail": "3 characters", "count": 1, "source": ""}  # fmt: skip
    frame = pl.from_dicts([row], schema=pl.Schema(QUARANTINE.arrow))
    kit.tables.commit(QUARANTINE, [frame], partitions=[made.fingerprint])
    found = Walk(kit.lineage).trace(lost, "down")
    assert [(n.kind, n.facts.get("reason")) for n in found.nodes.values()] == [("row", None), ("rejected", "too short")]
    assert [n.kind for n in Walk(kit.lineage).trace(kept, "down").nodes.values()] == ["row", "row"]
    family = Walk(kit.lineage).trace(source, "down")  # a row that lived on does not hide its sister's end
    assert [(e.source.split("/")[1], e.how) for e in family.edges if e.how == "rejected"] == [(lost, "rejected")]
    assert len(family.rows()) == 4


def test_names_versions_and_fingerprints_stand_for_calls(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    january = kit.table("pages", [[]], partition="2026-01")
    february = kit.table("pages", [[]], partition="2026-02", first=1)
    again = kit.table("pages", [[]], partition="2026-01", first=2)
    first, second = kit.model("m", [january]), kit.model("m", [again])

    def prints(text: str) -> list[str]:
        return [call["fingerprint"] for call in kit.lineage.called(text)]

    assert prints("pages@1") == prints("pages@1[2026-01]") == [january.fingerprint]
    assert prints("pages") == [february.fingerprint, again.fingerprint]
    assert prints("m") == prints("m@2") == [second.fingerprint]
    assert prints("m@1") == prints(first.fingerprint[:12]) == [first.fingerprint]
    assert prints("m@7") == prints("nobody") == prints(first.fingerprint[:11]) == prints("pages@x") == []
    assert prints("pages@²") == prints("m@²") == prints("pages@" + "9" * 5_000) == []  # digits that int() refuses
    restored = kit.tables.restore(
        schema("pages"), january.version, ["2026-01"], {"fingerprint": january.fingerprint}
    )  # a version that no stage call made
    assert prints("pages") == prints(f"pages@{restored}") == [january.fingerprint, february.fingerprint]


def test_many_calls_stay_few_files(tmp_path: Path) -> None:
    kit = Kit(tmp_path)
    for number in range(COMPACT_EVERY + 3):
        kit.model("m", seconds=float(number))
    assert len(kit.tables.view("lineage").paths) <= 5
    calls = kit.lineage.calls()
    assert calls["seconds"].to_list() == [float(n) for n in range(COMPACT_EVERY + 3)]
    assert calls["fingerprint"].to_list() == [call["fingerprint"] for call in kit.calls]
    assert calls.schema == pl.Schema(LINEAGE.arrow)


def test_keys_are_the_first_64_bits_of_an_id_and_nothing_else_has_one() -> None:
    ids = [row_id(n) for n in range(50)]
    keys, valid = row_index.keys_of([*ids, "short", "g" * 32, "é" * 32, "A" * 32, ""])
    assert valid.tolist() == [True] * 50 + [False] * 5
    assert keys.tolist() == [int(i[:16], 16) for i in ids]
