"""Judges: mathematics, code, steps, format and language. No Prefect, MLflow or torch."""
