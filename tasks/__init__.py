"""What one stage does: pure functions, no Prefect, no MLflow."""
