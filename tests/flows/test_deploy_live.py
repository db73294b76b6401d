"""A schedule, a trigger and a zombie against a real server; `make operate` has the real flows on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operate.live import ENDED, kill, live, until

TOYS = Path(__file__).parents[1] / "operate" / "toys.yaml"
DEPLOYED = ("dig/toy", "smelt/toy", "nap/toy")


@pytest.mark.timeout(1800)
@pytest.mark.slow  # a zombie is told by 40 s of silence: two minutes in all
def test_a_schedule_fires_a_trigger_chains_and_a_zombie_is_crashed(tmp_path: Path) -> None:
    with live(tmp_path) as server:
        served = server.deploy(TOYS, *DEPLOYED)
        try:
            dug = until(600, "a scheduled run", lambda: server.runs("dig", "COMPLETED"))[0]
            assert dug["auto_scheduled"]
            assert dug["parameters"]["config"] == {"count": 3, "depth": 7}, "the schedule's own, over the defaults"
            smelted = until(600, "the run it triggers", lambda: server.runs("smelt", *ENDED))[0]
            assert smelted["state_type"] == "COMPLETED", server.logs(smelted["id"])
            assert smelted["parameters"]["config"] == {"count": 5, "depth": 9}, "deployment's and trigger's together"
            event = server.events("rigor.committed")[-1]
            assert event["resource"]["prefect.resource.id"] == "rigor.table.toy_ore"
            assert event["resource"]["prefect.resource.name"] == "toy_ore@1"
            sleeper = server.start("nap/toy", {"config": {"seconds": 3600}})
            until(600, "its heartbeat", lambda: server.heartbeats(sleeper))
            assert server.state(sleeper)["type"] == "RUNNING"
            assert kill(served) >= 1
            served = server.deploy(TOYS, *DEPLOYED)  # as systemd would; it must not forget whom it waited for
            state = server.ended(sleeper, 600)
            assert (state["type"], state["message"]) == (
                "CRASHED", "no heartbeat for 40 s: the process or its machine died",
            )  # fmt: skip
            later = server.runs("dig", "COMPLETED")
            assert len(server.runs("smelt")) == 1, f"{len(later)} runs dug, but only the first made anything new"
        finally:
            kill(served)
