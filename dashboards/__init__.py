"""What people look at: read-only pages over the warehouse and MLflow, in Streamlit."""
