"""The same mine with nothing embedded: PostgreSQL under Prefect and MLflow, an S3 API under the warehouse."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import psycopg2
import pytest

from tasks.sample_crawl import SampleCrawlConfig, generate
from tests.flows.postgres import create_databases, free_port, postgres
from warehouse.tables import Tables

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
OUTPUTS = ("crawl_records", "pages", "pages_unique", "math_corpus")


def run(environment: dict[str, str], *args: str) -> str:
    """The command line in a process of its own, as a user has it."""
    command = [sys.executable, "-m", "flows.cli", *args]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(900)
def test_a_mine_on_postgresql_and_s3_equals_the_embedded_one(tmp_path: Path) -> None:
    crawl = tmp_path / "crawl-input"
    generate(crawl, SampleCrawlConfig(pages_per_month=60, months=("2026-01",)))
    mine = (
        "run", "mine", "--paths", str(crawl / "crawl"), "--set", "max_rounds=1",
        "--set", f"positives=['{crawl}/seeds/positives.jsonl']",
        "--set", f"negatives=['{crawl}/seeds/negatives.jsonl']",
        "--set", f"benchmarks=['{crawl}/benchmarks/contest.jsonl']",
    )  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RIGOR_", "PREFECT_", "MLFLOW_"))}
    embedded = {**clean, "RIGOR_HOME": str(tmp_path / "embedded")}
    run(embedded, *mine)
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    with postgres(tmp_path / "postgres") as where:
        try:
            create_databases(where, "prefect", "mlflow")
            endpoint = f"http://127.0.0.1:{port}"
            client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                                  aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
            wait_for(port)
            client.create_bucket(Bucket="rigor")
            options = {**KEYS, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
            elsewhere = {
                **clean, **KEYS, "RIGOR_HOME": str(tmp_path / "elsewhere"),
                "RIGOR_WAREHOUSE": "s3://rigor/warehouse", "RIGOR_STORAGE_OPTIONS": json.dumps(options),
                "RIGOR_MLFLOW_URI": f"postgresql://{where}/mlflow",
                "RIGOR_MLFLOW_ARTIFACTS": "s3://rigor/mlflow", "MLFLOW_S3_ENDPOINT_URL": endpoint,
                "RIGOR_PREFECT_DATABASE_URL": f"postgresql+asyncpg://{where}/prefect",
            }  # fmt: skip
            run(elsewhere, *mine)
            assert "nothing recomputed" in run(elsewhere, *mine)
            assert "math_corpus" in run(elsewhere, "tables")
            here, there = Tables(str(tmp_path / "embedded" / "warehouse")), Tables("s3://rigor/warehouse", options)
            assert {n: here.view(n).digest() for n in OUTPUTS} == {n: there.view(n).digest() for n in OUTPUTS}
            assert any("classifier.bin" in o["Key"] for o in client.list_objects_v2(Bucket="rigor")["Contents"])
            assert count(where, "prefect", "select count(*) from task_run where state_type = 'COMPLETED'") >= 6
            assert count(where, "mlflow", "select count(*) from model_versions") == 1
            assert not (tmp_path / "elsewhere" / "mlflow.db").exists(), "nothing may fall back to the embedded store"
        finally:
            server.terminate()
            server.wait()


def count(where: str, database: str, query: str) -> int:
    """One number from a database."""
    connection = psycopg2.connect(f"postgresql://{where}/{database}")
    with connection.cursor() as cursor:
        cursor.execute(query)
        (number,) = cursor.fetchone()
    connection.close()
    return int(number)


def wait_for(port: int) -> None:
    """Until something listens on the port."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
