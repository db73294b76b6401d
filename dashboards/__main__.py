"""`python -m dashboards [--port 8501]`: the pages on loopback, everything they need already imported."""

from __future__ import annotations

import argparse

import uvicorn

from dashboards.server import HOST, make_app


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="Rigor's dashboards on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8501)
    port = parser.parse_args().port
    app = make_app(port)
    _warm_up()
    uvicorn.run(app, host=HOST, port=port, log_level="warning", ws_max_size=2**26)


def _warm_up() -> None:
    """Import what the pages import and look at both stores once, so that the first visitor does not wait for it."""
    import altair  # noqa: F401
    from mlflow.exceptions import MlflowException

    from dashboards import read, runs
    from dashboards.views import ask, cost, data, evaluation, lineage, pipeline, training  # noqa: F401

    read.calls()
    try:
        runs.attempts()
    except MlflowException as error:
        print(f"MLflow's store cannot be read: {error}")


if __name__ == "__main__":
    main()
