"""`prefect.yaml`: every flow has a deployment whose form, schedule and trigger fit its config."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from prefect.automations import Posture
from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed
from prefect.utilities.schema_tools import validate
from typer.testing import CliRunner

from flows import commands
from flows.catalogue import FLOWS
from flows.cli import FLOW_NAMES, app
from flows.config import ConfigError, profile_names
from flows.deploy import deploy, zombie_automation
from flows.deployments import FILE, deployments, read_operations
from flows.triggers import network_failed, retry_policy
from flows.zero import ZeroConfig
from model.losses import ALGORITHMS
from tasks.mine.warc_open import BlockedAddressError
from tasks.stage import SourceFile

OTHERS = {"backfill", "champion"}


def test_every_flow_has_a_deployment_and_no_other() -> None:
    named = [spec.entrypoint.rpartition(":")[2] for spec in read_operations().deployments]
    assert sorted(named) == sorted({*FLOWS, *OTHERS})


def test_the_help_names_every_flow() -> None:
    assert sorted(re.findall(r"(\w+)(?: \(.*?\))?[,.]", FLOW_NAMES)) == sorted(FLOWS)


@pytest.mark.parametrize("profile", profile_names())
def test_parameters_of_runs_schedules_and_triggers_pass_the_form(profile: str) -> None:
    for made in deployments(read_operations(), profile):
        schema = made._parameter_openapi_schema.model_dump(exclude_unset=True)
        assert "config" in schema["properties"]
        given = [made.parameters] if made.parameters else []
        given += [s.parameters for s in made.schedules or []]
        given += [t.parameters for t in made.triggers]
        assert given or made.flow_name == "backfill", "a backfill's months have no default"
        for parameters in given:
            assert validate(parameters, schema, raise_on_error=True) == []
        assert made.concurrency_limit == 1, "one run of a flow at a time"


def test_what_starts_by_itself_carries_the_whole_config() -> None:
    made = {each.flow_name: each for each in deployments(read_operations(), "laptop")}
    (nightly,), (weekly,) = made["mine"].schedules or [], made["evaluate"].schedules or []
    plain = made["mine"].parameters["config"]
    assert nightly.parameters["config"] == plain | {"classifier": "latest"}, "the profile's values stay"
    assert plain["train_classifier"]["dim"] == 16, "the laptop's"
    assert weekly.parameters["config"]["models"] == ["champion"]
    (new_model,) = made["evaluate"].triggers
    assert new_model.parameters["config"]["models"] == ["{{ event.resource['rigor.name'] }}"]
    assert "{{" not in str(made["evaluate"].parameters), "nothing else in it that Prefect would take for a template"
    by_hand = deployments(read_operations(), "laptop", manual=True)
    assert not any(each.schedules or each.triggers for each in by_hand)
    assert [each.parameters for each in by_hand] == [each.parameters for each in made.values()]
    assert not {each.full_name for each in by_hand} & {each.full_name for each in made.values()}, "one of each name"


def test_a_deployment_goes_over_the_profile_before_it_is_filled(tmp_path: Path) -> None:
    """Laid over the filled config, a named algorithm would keep every value of the one before it."""
    (file := tmp_path / "prefect.yaml").write_text(
        "name: x\ndeployments: [{name: zero, entrypoint: 'flows/zero.py:zero', parameters: {config: {reinforce:"
        " {algorithm: {base: gspo}, optimizer: {learning_rate: 0.5}}}}}]"
    )
    (made,) = deployments(read_operations(file), "laptop")
    config = ZeroConfig.model_validate(made.parameters["config"]).reinforce
    assert config.algorithm == ALGORITHMS["gspo"]
    assert (config.optimizer.learning_rate, config.optimizer.weight_decay, config.steps) == (0.5, 0, 24)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deployments: [{name: a, entrypoint: 'flows/mine.py:mine', cron: x}]", r"deployments\.0\.cron: Extra"),
        ("deployments: [{name: a, entrypoint: 'mine'}]", r"deployments\.0\.entrypoint"),
        ("deployments: [{name: a", "expected"),
        ("deployments: [{name: a, entrypoint: 'flows/nothing.py:mine'}]", "No module named 'flows.nothing'"),
        ("deployments: [{name: a, entrypoint: 'flows/mine.py:mined'}]", "no attribute 'mined'"),
        ("deployments: [{name: a, entrypoint: 'flows/mine.py:mine', parameters: {config: {round: 1}}}]",
         r"mine\.round: there is no such key"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "prefect.yaml"
    file.write_text(f"name: test\n{text}")
    with pytest.raises(ConfigError, match=words):
        deployments(read_operations(file), "laptop")


def test_no_file_and_no_server_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="name another with --file"):
        deploy(tmp_path / "none.yaml", "", manual=False, dry_run=True)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ConnectionError, match="no Prefect server at"):
        deploy(FILE, "laptop", manual=False, dry_run=False)


def test_a_dry_run_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.out, "width", 200)
    shown = CliRunner().invoke(app, ["deploy", "--dry-run"])
    assert shown.exit_code == 0
    for words in ("mine/rigor", "nightly: 30 2 * * * UTC", "new math_corpus → pretrain", "backfill/rigor"):
        assert words in shown.output


def test_the_zombie_automation_waits_longer_than_two_heartbeats() -> None:
    wanted = zombie_automation(read_operations().rigor.zombie_after_seconds)
    trigger = wanted.trigger
    assert trigger.posture == Posture.Proactive
    assert trigger.within.total_seconds() >= 3 * 30
    assert "prefect.flow-run.heartbeat" in trigger.after & trigger.expect
    assert {f"prefect.flow-run.{s}" for s in ("Completed", "Failed", "Cancelled", "Crashed")} < trigger.expect


def test_only_reading_over_a_network_is_tried_again() -> None:
    near, far = SourceFile("/crawl/a.warc.gz", "d", 1), SourceFile("s3://crawl/a.warc.gz", "d", 1)
    assert retry_policy({"crawl": (near,), "pages": ()}) == {}
    policy = retry_policy({"crawl": (near, far)})
    assert policy["retries"] == 4
    assert policy["retry_delay_seconds"](4) == [10, 20, 40, 80]
    assert policy["retry_jitter_factor"] > 0
    for error, again in (
        (ConnectionResetError("reset"), True), (TimeoutError("late"), True), (OSError("https://x: 503"), True),
        (FileNotFoundError("gone"), False), (BlockedAddressError("inside"), False), (PermissionError("no"), False),
        (ValueError("a bug"), False), (httpx.ReadError("not the crawl's"), False),
    ):  # fmt: skip
        failed = Failed(data=error)
        assert network_failed(None, TaskRun(task_key="t", dynamic_key="1"), failed) is again, error
