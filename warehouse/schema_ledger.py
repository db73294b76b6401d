"""The table of the ledger: what a stage call used beyond time."""

from __future__ import annotations

import pyarrow as pa

from warehouse.columns import TIME, Column, TableSchema

LEDGER = TableSchema(
    "ledger",
    "One row per stage call: GPU time and energy, and how they were found; time is in `lineage`.",
    ("mlflow_run",),
    (
        Column("mlflow_run", pa.string(), "MLflow run id of the call, as in `lineage`"),
        Column("fingerprint", pa.string(), "fingerprint of the call"),
        Column("stage", pa.string(), "stage name"),
        Column("started", TIME, "start of the call"),
        Column("gpu_seconds", pa.float64(), "seconds in which a visible GPU worked, summed over GPUs", "s"),
        Column("energy_joules", pa.float64(), "energy of processors and GPUs while the call ran", "J"),
        Column("method", pa.string(), "where the energy comes from: rapl, nvml, or estimated from what at which watts"),
    ),
)
