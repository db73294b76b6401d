"""What runs, in which order: Prefect flows, the runner and the command line."""
