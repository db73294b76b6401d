"""What is kept: Delta tables, fingerprints, digests and lineage."""
